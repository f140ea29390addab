#!/usr/bin/env python3
"""What Spark keeps of the command line's rate: bench/batch/spark_rate.py [--data DIR] [--pairs 100000] [--workers 2] [--rounds 3] [--json FILE]

In turn, on this machine: `tilewise batch` with as many replicas as workers, JSON lines in and out, start included; and tilewise.spark.score on a
local cluster of executors with one core each, Parquet in and out, after a first small job that starts executors, Python workers and model.
Every round compares all answers. CPU seconds are those of all processes of a side (of Spark: driver, executors, Python workers): they say what a machine
with nothing else to do would keep, also where others use this one. Needs ./dev build, the backbone (tools/fetch_backbone.sh), Java, and the tilewise package with pyspark:
pip install ".[spark]" pandas
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

import pyarrow
import pyarrow.parquet
import pyspark
from pyspark.sql import SparkSession

import datasets
import tilewise.spark
from watched import Failed, cpu_name, parts_of, run, say

ROOT = datasets.ROOT
TASK = "duplicate"
FILES_A_WORKER = 8  # of input: as many partitions
EXECUTOR_MB = 2048


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with pairs/ (default: the example's pairs, again and again)")
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2, help="executors of one core, and replicas of the command line")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=pathlib.Path, help="default: the example's, compiled in bf16")
    parser.add_argument("--tilewise", type=pathlib.Path, default=ROOT / "build/release/tilewise")
    parser.add_argument("--backbone", type=pathlib.Path, default=ROOT / "build/models/all-minilm-l6-v2")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/bench-spark", help="where inputs and outputs go; emptied first")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def compile_example(arguments):
    output = arguments.work / "model.tw"
    command = [arguments.tilewise, "compile", ROOT / "examples/product-search/model", "--backbone", arguments.backbone, "-o", output]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return output


def write_parquet(folder, rows, files):
    folder.mkdir()
    record = pyarrow.struct([(name, pyarrow.string()) for name in datasets.FIELDS])
    schema = pyarrow.schema([("id", pyarrow.int64()), ("left", record), ("right", record)])
    for number in range(files):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows[number::files], schema=schema), folder / f"{number}.parquet")


def start_spark(arguments):
    home = arguments.work / "spark"
    home.mkdir()
    for entry in pathlib.Path(pyspark.__file__).parent.iterdir():  # executors work in SPARK_HOME/work
        (home / entry.name).symlink_to(entry)
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_HOME=str(home), SPARK_LOCAL_DIRS=str(home / "local"), SPARK_LOCAL_IP="127.0.0.1")
    builder = SparkSession.builder.master(f"local-cluster[{arguments.workers},1,{EXECUTOR_MB}]")
    options = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.executor.memory": f"{EXECUTOR_MB}m",
               "spark.sql.files.openCostInBytes": "128m"}  # so that each file is a partition
    for name, value in options.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def cpu_of_descendants():
    """Seconds of all living processes below this one."""
    parents, seconds = {}, {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        pid = int(stat.parent.name)
        parents[pid], seconds[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    below, added = {os.getpid()}, True
    while added:
        added = {pid for pid, parent in parents.items() if parent in below} - below
        below |= added
    return sum(seconds.get(pid, 0) for pid in below)


def with_spark(session, model, source, output):
    """Of one job: {"seconds", "cpu_seconds"}."""
    start, cpu = time.monotonic(), cpu_of_descendants()
    pairs = session.read.parquet(str(source))
    tilewise.spark.score(pairs, model, TASK, id="id").write.mode("overwrite").parquet(str(output))
    return {"seconds": time.monotonic() - start, "cpu_seconds": cpu_of_descendants() - cpu}


def with_command_line(arguments, source, output):
    shutil.rmtree(output, ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    job = run([arguments.tilewise, "batch", arguments.model, "--task", TASK, "--input", source, "--output", output,
               "--replicas", arguments.workers, "--json"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": job["seconds"], "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def same_answers(lines, table):
    """Whether a job's parts and Spark's files say the same of the same ids."""
    expected = {row["id"]: (row["score"], row["label"]) for part in parts_of(lines) for row in datasets.read_lines(part)}
    answers = pyarrow.parquet.read_table(table).to_pylist()
    scores = pyarrow.array([score for score, _ in expected.values()], pyarrow.float32()).to_pylist()
    expected = dict(zip(expected, zip(scores, (label for _, label in expected.values()))))
    return len(answers) == len(expected) and {row["id"]: (row["score"], row["label"]) for row in answers} == expected


def measure(arguments, session, source):
    work, rounds = arguments.work, []
    for number in range(arguments.rounds):
        sides = {"command line": lambda: with_command_line(arguments, source, work / "lines"),
                 "spark": lambda: with_spark(session, arguments.model, work / "pairs", work / "table")}
        taken = {name: sides[name]() for name in list(sides)[:: -1 if number % 2 else 1]}
        if not same_answers(work / "lines", work / "table"):
            raise Failed("Spark's answers are not those of the command line")
        say(f"round {number + 1}: " + ", ".join(f"{name} {one['seconds']:.2f} s ({one['cpu_seconds']:.2f} of CPU)" for name, one in taken.items()))
        rounds.append(taken)
    return rounds


def spread(values, form):
    return f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def report(arguments, rounds):
    rates = {name: [arguments.pairs / one[name]["seconds"] for one in rounds] for name in ("command line", "spark")}
    shares = {what: [100 * one["command line"][what] / one["spark"][what] for one in rounds] for what in ("seconds", "cpu_seconds")}
    print(f"{cpu_name()}, {os.cpu_count()} cores; {arguments.pairs:,} pairs; median (least to most) of {len(rounds)} rounds")
    print(f"`tilewise batch --replicas {arguments.workers}`, pairs/s   {spread(rates['command line'], '{:,.0f}')}")
    print(f"Spark, {arguments.workers} executors of one core, pairs/s  {spread(rates['spark'], '{:,.0f}')}")
    print(f"Spark's share                        {spread(shares['seconds'], '{:.1f}')} %")
    print(f"  by CPU seconds                     {spread(shares['cpu_seconds'], '{:.1f}')} %")
    if arguments.json:
        measured = {"cpu": cpu_name(), "pairs": arguments.pairs, "workers": arguments.workers, "rounds": rounds, "share_percent": shares}
        arguments.json.write_text(json.dumps(measured), encoding="utf-8")


def main():
    arguments = parse_arguments()
    shutil.rmtree(arguments.work, ignore_errors=True)
    arguments.work.mkdir(parents=True)
    arguments.model = arguments.model or compile_example(arguments)
    rows = list(datasets.load_pairs(arguments.data, arguments.pairs))
    source = datasets.write_lines(arguments.work / "pairs.jsonl", rows)
    write_parquet(arguments.work / "pairs", rows, FILES_A_WORKER * arguments.workers)
    write_parquet(arguments.work / "first", rows[:1000], 4 * arguments.workers)
    session = start_spark(arguments)
    try:
        with_spark(session, arguments.model, arguments.work / "first", arguments.work / "warm")
        report(arguments, measure(arguments, session, source))
    finally:
        session.stop()


if __name__ == "__main__":
    main()
