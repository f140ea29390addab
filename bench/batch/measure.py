#!/usr/bin/env python3
"""What a batch job promises, measured: bench/batch/measure.py WHAT... [--data DIR] [--rounds N] [--json FILE]

  rate      the whole job (read, parse, tokenize, score, write, hash) over `tilewise bench --scenario offline`, in turn
  catalog   a catalogue and id pairs, 20 pairs a record, against the same pairs written out, in turn
  since     a second run with 2 % of the records changed: --since against a full run
  scale     ten million id pairs over half a million records through a model of two small layers: memory, and the time of each part
  kills     jobs killed at random moments and resumed (tests/batch/crash_test.py)
  all       the five of them

Prints one table; --json has everything that was measured. Needs ./dev build and the backbone (tools/fetch_backbone.sh). Without --data (a folder
with catalog/ and pairs/) the records are the example's and variants of them. Sizes can be made smaller to try it.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

import datasets
import tiny_model
from watched import Failed, cpu_name, digest, part_seconds, parts_of, run, say

ROOT = datasets.ROOT
TASK = "duplicate"
SINCE_CHANGED = 0.02
PAIRS_A_RECORD = 20


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[*MEASUREMENTS, "all"])
    parser.add_argument("--data", type=pathlib.Path, help="folder with catalog/ and pairs/ (default: the example's data)")
    parser.add_argument("--rounds", type=int, default=3, help="of rate and catalog")
    parser.add_argument("--precision", choices=("bf16", "int8", "fp32"), default="bf16")
    parser.add_argument("--model", type=pathlib.Path, help="default: the example's, compiled in this precision")
    parser.add_argument("--rate-pairs", type=int, default=100_000)
    parser.add_argument("--catalog-records", type=int, default=5_000)
    parser.add_argument("--since-pairs", type=int, default=300_000)
    parser.add_argument("--since-records", type=int, default=10_000)
    parser.add_argument("--scale-pairs", type=int, default=10_000_000)
    parser.add_argument("--scale-records", type=int, default=500_000)
    parser.add_argument("--memory", default="300M", help="of scale")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--tilewise", type=pathlib.Path, default=ROOT / "build/release/tilewise")
    parser.add_argument("--backbone", type=pathlib.Path, default=ROOT / "build/models/all-minilm-l6-v2")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/bench-batch", help="where inputs and outputs go; emptied first")
    parser.add_argument("--json", type=pathlib.Path, help="write everything that was measured to this file")
    arguments = parser.parse_args()
    if not arguments.tilewise.exists():
        parser.error(f"{arguments.tilewise} does not exist: run ./dev build first, or name it with --tilewise")
    return arguments


def spread(values, form="{:.3g}"):
    """Median (least to most)."""
    return f"{form.format(statistics.median(values))} ({form.format(min(values))} to {form.format(max(values))})"


def percent(ratios):
    return spread([100 * ratio for ratio in ratios], "{:.1f}") + " %"


def megabytes(path):
    return path.stat().st_size / 1e6


class Bench:
    """What the measurements share: the program, its models, a place for files."""

    def __init__(self, arguments):
        self.arguments, self.work = arguments, arguments.work
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)

    def compile(self, folder, output, backbone=None):
        more = ["--backbone", backbone] if backbone else []
        command = [self.arguments.tilewise, "--log-level", "warn", "compile", folder, *more, "--precision", self.arguments.precision, "-o", output]
        subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
        return output

    def model(self):
        if self.arguments.model is None:
            self.arguments.model = self.compile(ROOT / "examples/product-search/model", self.work / "model.tw", self.arguments.backbone)
        return self.arguments.model

    def job(self, *more, model=None, output="out", watch=False):
        """A job into a new directory."""
        path = self.work / output
        shutil.rmtree(path, ignore_errors=True)
        return run([self.arguments.tilewise, "batch", model or self.model(), "--task", TASK, "--output", path, "--json", *more], watch)

    def in_turn(self, sides):
        """{name: call} -> [{name: result}...]; every second round starts with the other side."""
        rounds = []
        for number in range(self.arguments.rounds):
            order = list(sides)[:: -1 if number % 2 else 1]
            taken = {name: sides[name]() for name in order}
            rounds.append(taken)
            say(f"  round {number + 1}: " + ", ".join(f"{name} {taken[name]['seconds']:.2f} s" for name in sides))
        return rounds


def rate(bench):
    path = datasets.write_lines(bench.work / "pairs.jsonl", datasets.load_pairs(bench.arguments.data, bench.arguments.rate_pairs))
    # One pass over the same rows; `seconds` of the report are those of that pass, without the start.
    offline = [bench.arguments.tilewise, "bench", bench.model(), "--task", TASK, "--input", path, "--scenario", "offline", "--seconds", 0.1, "--json"]
    rounds = bench.in_turn({"job": lambda: bench.job("--input", path), "bench": lambda: run(offline)})
    rows = bench.arguments.rate_pairs
    if any(one["job"]["summary"]["tokens"] * one["bench"]["summary"]["rows"] != one["bench"]["summary"]["tokens"] * rows for one in rounds):
        raise Failed("job and bench did not see the same tokens")
    whole = [rows / one["job"]["seconds"] for one in rounds]
    alone = [one["bench"]["summary"]["rows_per_s"] for one in rounds]
    shares = [mine / other for mine, other in zip(whole, alone)]
    return {"rounds": rounds, "lines": [
        ("whole job, start included, pairs/s", spread(whole, "{:,.0f}"), ""),
        ("`bench --scenario offline`, pairs/s", spread(alone, "{:,.0f}"), ""),
        ("whole job over offline", percent(shares), "93 % at least")]}


def catalog(bench):
    records = list(datasets.many_records(bench.arguments.data, bench.arguments.catalog_records))
    pairs = list(datasets.partners(len(records), len(records) * PAIRS_A_RECORD // 2))
    full = datasets.write_full_pairs(bench.work / "full.jsonl", records, pairs)
    catalog_path = datasets.write_catalog(bench.work / "catalog.jsonl", records)
    ids = datasets.write_id_pairs(bench.work / "ids.jsonl", [identifier for identifier, _ in records], pairs)
    rounds = bench.in_turn({"ids": lambda: bench.job("--input", ids, "--catalog", catalog_path, output="ids"),
                            "written out": lambda: bench.job("--input", full, output="full")})
    equal = digest(bench.work / "ids") == digest(bench.work / "full")
    small, large = megabytes(ids) + megabytes(catalog_path), megabytes(full)
    ratios = [one["ids"]["seconds"] / one["written out"]["seconds"] for one in rounds]
    return {"rounds": rounds, "input_mb": {"ids": small, "written out": large}, "equal": equal, "lines": [
        (f"catalogue + id pairs, {len(pairs):,} pairs, {PAIRS_A_RECORD} a record: input", f"{small:.1f} of {large:.1f} MB: {100 * small / large:.0f} %", "less"),
        ("its time over that of the pairs written out", percent(ratios), "no slower"),
        ("its answers", "equal, byte for byte" if equal else "DIFFERENT", "equal")]}


def since(bench):
    records = list(datasets.many_records(bench.arguments.data, bench.arguments.since_records))
    changed = datasets.change(records, SINCE_CHANGED)
    identifiers = [identifier for identifier, _ in records]
    pairs = list(datasets.partners(len(records), bench.arguments.since_pairs))
    ids = datasets.write_id_pairs(bench.work / "ids.jsonl", identifiers, pairs)
    before = datasets.write_catalog(bench.work / "before.jsonl", records)
    after = datasets.write_catalog(bench.work / "after.jsonl", changed)
    touched = sum(records[i] != changed[i] or records[j] != changed[j] for i, j in pairs) / len(pairs)
    runs = {"first": bench.job("--input", ids, "--catalog", before, output="first")}
    say(f"  first run: {runs['first']['seconds']:.1f} s")
    runs["since"] = bench.job("--input", ids, "--catalog", after, "--since", bench.work / "first", output="since")
    say(f"  second run with --since: {runs['since']['seconds']:.1f} s")
    runs["full"] = bench.job("--input", ids, "--catalog", after, output="full")
    say(f"  second run in full: {runs['full']['seconds']:.1f} s")
    equal = digest(bench.work / "since") == digest(bench.work / "full")
    really_changed = digest(bench.work / "since") != digest(bench.work / "first")
    if not really_changed:
        raise Failed("the second run's answers are those of the first: nothing was changed")
    share = runs["since"]["seconds"] / runs["first"]["seconds"]
    return {"runs": runs, "pairs_touched": touched, "equal": equal, "lines": [
        (f"--since, {len(pairs):,} pairs of which {100 * touched:.1f} % changed: time over that of the first run", f"{100 * share:.1f} %", "under 8 %"),
        ("the same in seconds, first run / --since / full", " / ".join(f"{runs[name]['seconds']:.1f}" for name in ("first", "since", "full")), ""),
        ("its answers against a full run's", "equal, byte for byte" if equal else "DIFFERENT", "equal")]}


def straightness(seconds):
    """The largest distance of the time after each part from a straight line through start and end, as a share of the whole."""
    total, so_far, largest = sum(seconds), 0.0, 0.0
    for number, one in enumerate(seconds, 1):
        so_far += one
        largest = max(largest, abs(so_far - total * number / len(seconds)) / total)
    return largest


def scale(bench):
    arguments = bench.arguments
    tiny_model.make(bench.work / "tiny", arguments.backbone)
    model = bench.compile(bench.work / "tiny", bench.work / "tiny.tw")
    records = list(datasets.many_records(arguments.data, arguments.scale_records))
    identifiers = [identifier for identifier, _ in records]
    catalog_path = datasets.write_catalog(bench.work / "catalog.jsonl", records)
    pairs = datasets.partners(len(records), arguments.scale_pairs)
    ids = datasets.write_id_pairs(bench.work / "ids.csv", identifiers, pairs)
    say(f"  {arguments.scale_pairs:,} pairs over {len(records):,} records: {megabytes(ids):,.0f} + {megabytes(catalog_path):,.0f} MB")
    job = bench.job("--input", ids, "--catalog", catalog_path, "--memory", arguments.memory, model=model, output="scale", watch=True)
    seconds = part_seconds(bench.work / "scale")[:-1]  # the last part may be a short one
    if len(seconds) < 8:
        raise Failed(f"{len(seconds)} parts are too few to compare the first with the last: more --scale-pairs")
    some = max(2, len(seconds) // 10)
    first, last = statistics.median(seconds[:some]), statistics.median(seconds[-some:])
    memory = [mb for _, mb in job["memory"]]
    half = memory[len(memory) // 4: len(memory) // 2]
    end = memory[3 * len(memory) // 4:]
    return {"job": job, "part_seconds": seconds, "lines": [
        (f"{arguments.scale_pairs:,} id pairs over {len(records):,} records, two small layers", f"{job['seconds']:.0f} s, {job['summary']['rows_per_s']:,.0f} pairs/s", ""),
        (f"anonymous memory with --memory {arguments.memory}: most of the run", f"{max(memory):.0f} MB", f"within {arguments.memory}"),
        ("mean in its second quarter / in its last", f"{statistics.mean(half):.0f} / {statistics.mean(end):.0f} MB", "flat"),
        (f"time of a part: median of the last {some} over that of the first {some}", f"{last / first:.3f} ({last:.2f} / {first:.2f} s)", "no slowdown"),
        ("time after each part, farthest from a straight line", f"{100 * straightness(seconds):.1f} % of the run", "linear")]}


def kills(bench):
    command = [sys.executable, ROOT / "tests/batch/crash_test.py", bench.arguments.tilewise, "--kills", bench.arguments.kills, "AnyMoment.test_kills"]
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    if done.returncode:
        raise Failed(f"crash_test.py ended with {done.returncode}: {done.stdout[-2000:]}")
    return {"output": done.stdout, "lines": [(f"{bench.arguments.kills} kills at random moments, each job resumed", "all results identical", "all identical")]}


MEASUREMENTS = {"rate": rate, "catalog": catalog, "since": since, "scale": scale, "kills": kills}


def main():
    arguments = parse_arguments()
    names = list(MEASUREMENTS) if "all" in arguments.what else arguments.what
    bench, found, failed = Bench(arguments), {}, False
    for name in names:
        say(name)
        try:
            found[name] = MEASUREMENTS[name](bench)
        except (Failed, OSError, subprocess.CalledProcessError) as reason:
            found[name], failed = {"lines": [(name, f"FAILED: {reason}", "")]}, True
    print(f"machine    {cpu_name()}, {len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.1f}; {datetime.date.today()}")
    print(f"command    bench/batch/measure.py {' '.join(sys.argv[1:])}")
    print(f"data       {arguments.data or 'the sample of examples/product-search'}; model in {arguments.precision}")
    print("\n| what | found | asked |\n|---|---|---|")
    for name in names:
        for line in found[name]["lines"]:
            print("| " + " | ".join(line) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
