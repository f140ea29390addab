#!/usr/bin/env python3
"""What a queue allows: the highest Poisson rate, as a share of the offline rate, that one core can serve within a deadline.

  bench/queue_bound.py --offline 910 [--overhead-us 40] [--deadline-ms 10] [--lengths ROWS.jsonl] [--seconds 8] [--runs 20]

One server, first come first served, no stalls, no batching gains, each request as long as its words say: an upper bound for any server whose core
does `--offline` requests a second at best, and the reason why a slow core cannot be loaded as high as a fast one under the same deadline. Prints for each
load the P99 (median of the runs) and the share of runs in which no request at all was late.
"""
import argparse
import json
import random
import statistics


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--offline", type=float, required=True, help="requests a second of the core at best (bench --scenario offline)")
    parser.add_argument("--overhead-us", type=float, default=40, help="processor time a request outside the model")
    parser.add_argument("--deadline-ms", type=float, default=10)
    parser.add_argument("--lengths", help="rows {\"text\"}: service times in proportion to their words; without it all alike")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--runs", type=int, default=20)
    return parser.parse_args()


def relative_lengths(path):
    """Words and the two special tokens of each row, with mean 1."""
    if path is None:
        return [1.0]
    with open(path, encoding="utf-8") as rows:
        lengths = [len(json.loads(row)["text"].split()) + 2 for row in rows if row.strip()]
    mean = statistics.fmean(lengths)
    return [length / mean for length in lengths]


def latencies(rate, seconds, service_time, generator):
    arrival = end = 0.0
    while arrival < seconds:
        arrival += generator.expovariate(rate)
        end = max(end, arrival) + service_time()
        yield end - arrival


def main():
    arguments = parse_arguments()
    lengths = relative_lengths(arguments.lengths)
    deadline = arguments.deadline_ms / 1e3
    print("load of the core  P99, ms  runs without a late request")
    for percent in range(40, 100, 5):
        generator = random.Random(percent)
        p99s, clean = [], 0
        for _ in range(arguments.runs):
            times = sorted(latencies(percent / 100 * arguments.offline, arguments.seconds,
                                     lambda: generator.choice(lengths) / arguments.offline + arguments.overhead_us / 1e6, generator))
            p99s.append(times[int(0.99 * len(times))])
            clean += times[-1] <= deadline
        print(f"{percent:13} %  {1e3 * statistics.median(p99s):9.2f}  {100 * clean / arguments.runs:22.0f} %")


if __name__ == "__main__":
    main()
