#!/usr/bin/env python3
"""The machines for a load, from a job that ran: bench/batch/fleet.py SUMMARY --pairs-per-s 8800 --cores 8 --price 0.30

SUMMARY is what `tilewise batch --json` printed on the kind of machine that will be used. Pairs do not depend on each other and neither do
shards, so rates add up:

  rate of a core = rows a second / (replicas * cores per replica)
  machines       = pairs a second / (rate of a core * cores of a machine * (1 - reserve)), rounded up
  price a day    = machines * price an hour * 24, were it to run all day
"""
import argparse
import json
import math
import pathlib


def fleet(job, arguments):
    a_core = job["rows_per_s"] / (job["replicas"] * job["cores_per_replica"])
    a_machine = a_core * arguments.cores * (1 - arguments.reserve)
    machines = math.ceil(arguments.pairs_per_s / a_machine)
    a_day = machines * arguments.price * 24
    return {"pairs_per_s_of_a_core": round(a_core, 1), "machines": machines, "cores": machines * arguments.cores,
            "usd_per_day": round(a_day, 2), "usd_per_million": round(a_day / (arguments.pairs_per_s * 86400) * 1e6, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("summary", type=pathlib.Path, metavar="SUMMARY", help="what `tilewise batch --json` printed")
    parser.add_argument("--pairs-per-s", type=float, required=True, help="the load of the whole fleet")
    parser.add_argument("--cores", type=int, required=True, help="of one machine; physical ones, as `tilewise devices` counts them")
    parser.add_argument("--price", type=float, required=True, help="USD an hour of one machine")
    parser.add_argument("--reserve", type=float, default=0.1, help="share of a machine that is kept free (default 0.1)")
    arguments = parser.parse_args()
    job = json.loads(arguments.summary.read_text(encoding="utf-8"))
    if job["reused"] > 0:
        parser.error("the job took scores from a previous one, so its rate is not the model's: measure without --since")
    print(json.dumps(fleet(job, arguments)))


if __name__ == "__main__":
    main()
