"""Airflow: the pairs of each day in shards that run side by side. An interrupted shard is resumed by the retry; where a retry cannot help, there is none.

For workers that have tilewise, /models and /data. Airflow 3 (tried with 3.3).
"""
import datetime
import os
import pathlib
import subprocess

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

MODELS, DATA = (pathlib.Path(os.environ.get(name, default)) for name, default in (("TILEWISE_MODELS", "/models"), ("TILEWISE_DATA", "/data")))
SHARDS = 4
NO_RETRY = (2, 3, 4)  # the command line, the input or the machine is wrong


@task(retries=10, retry_delay=datetime.timedelta(minutes=1))
def score(shard, ds=None):
    """ds: the day, YYYY-MM-DD, which Airflow fills in."""
    done = subprocess.run(
        ["tilewise", "batch", MODELS / "product-search.tw", "--task", "duplicate", "--catalog", DATA / ds / "catalog.jsonl",
         "--input", DATA / ds / "pairs.jsonl", "--shard", f"{shard}/{SHARDS}", "--output", DATA / "scores" / ds / f"shard-{shard}-of-{SHARDS}"],
        check=False)
    if done.returncode in NO_RETRY:
        raise AirflowFailException(f"tilewise ended with {done.returncode}; its log says why")
    done.check_returncode()


@dag(schedule="0 2 * * *", start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc), catchup=False, max_active_runs=1)
def duplicates():
    score.expand(shard=list(range(SHARDS)))


duplicates()
