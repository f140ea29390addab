#!/usr/bin/env python3
"""How many known duplicates `tilewise candidates` leaves among the pairs, and what it costs: one table.

Needs a folder with catalogues and their labelled matches: DATA/NAME.jsonl and DATA/NAME.matches.jsonl, where a record of one of two
tables has a field "table" or an id "x-a:..." or "x-g:..."; without it, nothing is measured. --scale compares the two searches on
that many records made from all of them.

    bench/batch/blocking_recall.py --data DATA [--scale 100000]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import datasets

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOPS = (5, 10, 20)
HEADER = "| catalogue | records | K | keys | pairs | reduction | recall | embedding s | search s | total s |\n|---|---|---|---|---|---|---|---|---|---|"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder of catalogues with their matches, searched with its folders")
    parser.add_argument("--scale", type=int, default=0, help="records of the comparison of exact search and HNSW; 0: none")
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--tilewise", type=pathlib.Path, default=ROOT / "build/release/tilewise")
    parser.add_argument("--backbone", type=pathlib.Path, default=ROOT / "build/models/all-minilm-l6-v2")
    return parser.parse_args()


def side(record):
    """Which of two tables a record is of; "" where there is one."""
    if "table" in record:
        return record["table"]
    prefix = record["id"].partition(":")[0]
    return prefix if prefix.endswith(("-a", "-g")) else ""


def flat_records(path):
    """The records without fields that are lists."""
    for record in datasets.read_lines(path):
        yield {name: value for name, value in record.items() if not isinstance(value, (list, dict))}


class Bench:
    def __init__(self, arguments, work):
        self.tilewise, self.work = arguments.tilewise.resolve(), work
        self.model = work / "embedding.tw"
        subprocess.run([self.tilewise, "compile", arguments.backbone, "--precision", arguments.precision, "-o", self.model],
                       check=True, stdout=subprocess.DEVNULL)

    def candidates(self, *flags):
        """The report of one run."""
        report = self.work / "report.json"
        subprocess.run([self.tilewise, "candidates", self.model, *map(str, flags), "--report", report, "--log-level", "warn"], check=True)
        return json.loads(report.read_text())

    def catalog_flags(self, path):
        """One catalogue, or the two tables of it."""
        records = list(flat_records(path))
        sides = sorted({side(record) for record in records})
        files = [datasets.write_lines(self.work / f"side-{i}.jsonl", (record for record in records if side(record) == name))
                 for i, name in enumerate(sides)]
        return files if len(files) == 1 else ["--left-catalog", files[0], "--right-catalog", files[1]]

    def recall_rows(self, name, path):
        flags = self.catalog_flags(path)
        matches = path.with_name(path.stem + ".matches.jsonl")
        variants = [(top, keys) for top in TOPS for keys in (False, True)]
        for top, keys in variants:
            report = self.candidates(*flags, "--top", top, *([] if keys else ["--no-keys"]), "--matches", matches, "--output", self.work / "pairs.jsonl")
            yield row(name, report, "brand, model number" if keys else "none")

    def compare_searches(self, records):
        """Rows of both searches, and the share of the exact pairs that HNSW finds."""
        found, rows = {}, []
        for search in ("exact", "hnsw"):
            pairs = self.work / f"{search}.jsonl"
            report = self.candidates(records, f"--{search}", "--no-keys", "--top", "10", "--output", pairs)
            found[search] = {(pair["left_id"], pair["right_id"]) for pair in datasets.read_lines(pairs)}
            rows.append(row(f"made from all, {search}", report, "none"))
        return rows, len(found["exact"] & found["hnsw"]) / len(found["exact"])


def row(name, report, keys):
    records = " x ".join(f"{report[key]:,}" for key in ("left_records", "right_records") if report[key])
    recall = f"{report['recall']:.4f}" if "recall" in report else ""
    return (f"| {name} | {records} | {report['top']} | {keys} | {report['pairs']:,} | {report['reduction_ratio']:.5f} | {recall} "
            f"| {report['read_seconds']:.2f} | {report['search_seconds']:.2f} | {report['seconds']:.2f} |")


def many_records(paths, count):
    """The records of all catalogues, then variants of them, round after round."""
    real = [record for path in paths for record in flat_records(path)]
    for number in range(count):
        record = real[number % len(real)]
        if number < len(real):
            yield {**record, "id": f"r{number}"}
        else:
            yield {**datasets.variant(record, number), "id": f"v{number}"}


def main():
    arguments = parse_arguments()
    paths = sorted(path for path in (arguments.data or pathlib.Path("/nonexistent")).rglob("*.jsonl")
                   if path.with_name(path.stem + ".matches.jsonl").exists())
    if not paths:
        print("skipped: no catalogues with matches (--data DIR)")
        return
    if not (arguments.backbone / "model.safetensors").exists():
        print(f"skipped: no backbone in {arguments.backbone} (tools/fetch_backbone.sh DIR gets it)")
        return
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(arguments, pathlib.Path(work))
        print(HEADER, flush=True)
        for path in paths:
            for line in bench.recall_rows(path.relative_to(arguments.data).with_suffix(""), path):
                print(line, flush=True)
        if arguments.scale:
            records = datasets.write_lines(bench.work / "many.jsonl", many_records(paths, arguments.scale))
            rows, share = bench.compare_searches(records)
            print("\n".join(rows) + f"\n\nHNSW finds {share:.4f} of the pairs of the exact search.")


if __name__ == "__main__":
    sys.exit(main())
