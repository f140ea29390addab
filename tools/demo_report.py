#!/usr/bin/env python3
"""Prints what tools/demo.sh left in its folder as tables: demo_report.py FOLDER --price USD_PER_HOUR --price-cores N."""
import argparse
import json
import pathlib
import shutil

DATA = pathlib.Path(__file__).resolve().parents[1] / "examples" / "product-search" / "data"
WIDTH = max(40, min(70, (shutil.get_terminal_size((150, 24)).columns - 24) // 2))  # of one title


def read_rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_id(rows):
    return {row["id"]: row for row in rows}


def cut(text, width=WIDTH):
    return text if len(text) <= width else text[: width - 3] + "..."


def headline(text):
    print(f"\n{text}\n{'-' * len(text)}")


def percent(share):
    """Never rounds a probability to certainty."""
    return f"{min(100 * share, 99.9):5.1f} %"


def print_pairs(pairs, with_truth=False):
    """pairs: (answer, row)."""
    truth_head = "really  " if with_truth else ""
    print(f"  {'score':>7}  {truth_head}{'northgate':{WIDTH}}  quayside")
    for answer, row in pairs:
        truth = f"{'same' if row['label'] else 'other':8}" if with_truth else ""
        print(f"  {percent(answer['score'])}  {truth}{cut(row['left']['title']):{WIDTH}}  {cut(row['right']['title'])}")


def report_duplicates(folder):
    rows = by_id(read_rows(DATA / "pairs.jsonl"))
    answers = [answer for part in sorted((folder / "duplicates").glob("part-*.jsonl")) for answer in read_rows(part)]
    pairs = sorted(((answer, rows[answer["id"]]) for answer in answers), key=lambda pair: -pair[0]["score"])
    found = [pair for pair in pairs if pair[0]["label"]]
    rejected = [pair for pair in pairs if not pair[0]["label"]]
    headline(f"The most certain of {len(found)} duplicates among {len(pairs)} candidate pairs")
    print_pairs(found[:12])
    headline("Near misses: the highest scores under the threshold")
    print_pairs(rejected[:8], with_truth=True)
    hits, due = sum(row["label"] for _, row in found), sum(row["label"] for _, row in pairs)
    print(f"\n  Against the labels: {hits} of {due} duplicates found, {len(found) - hits} of {len(pairs) - due} other pairs taken for one; "
          f"precision {100 * hits / len(found):.0f} %, recall {100 * hits / due:.0f} %, F1 {200 * hits / (len(found) + due):.0f} %")
    print("  (invented products that the model has never seen; the others differ in capacity, colour, generation or are an accessory)")


def report_intents(folder):
    rows, answers = by_id(read_rows(DATA / "queries.jsonl")), read_rows(folder / "intents.jsonl")
    inside = [answer for answer in answers if not answer.get("out_of_scope")]
    outside = [answer for answer in answers if answer.get("out_of_scope")]
    headline(f"Intents of {len(answers)} queries, {len(outside)} of them out of scope")
    print(f"  {'query':56}  {'intent':24} {'':7}  next best")
    unsure = sorted(inside, key=lambda answer: answer["labels"][0]["score"])[:4]
    for answer in inside[:: max(1, len(inside) // 7)][:7] + unsure[::-1]:
        best, second = answer["labels"][:2]
        print(f"  {cut(rows[answer['id']]['text'], 56):56}  {best['label']:24} {percent(best['score'])}  {second['label']} {percent(second['score']).strip()}")
    for answer in [answer for answer in outside if rows[answer["id"]]["intent"] == "out_of_scope"][:5]:
        print(f"  {cut(rows[answer['id']]['text'], 56):56}  (out of scope)")
    scope = [answer for answer in answers if rows[answer["id"]]["intent"] != "out_of_scope"]
    right = sum(answer["labels"][0]["label"] == rows[answer["id"]]["intent"] for answer in scope)
    kept = sum(not answer.get("out_of_scope") for answer in scope)
    told = sum(rows[answer["id"]]["intent"] == "out_of_scope" for answer in outside)
    print(f"\n  Against the labels: {right} of {len(scope)} in-scope queries right ({kept} kept in scope), "
          f"{told} of {len(answers) - len(scope)} out-of-scope queries found")


def report_speed(folder, price, price_cores):
    pairs, queries, single = (json.loads((folder / f"bench-{name}.json").read_text()) for name in ("pairs", "queries", "single"))
    cores = pairs["replicas"]
    headline(f"Speed: {pairs['cpu']}, {cores} core{'s' * (cores > 1)}, {pairs['isa']}, {pairs['precision']}")
    print(f"  {'text in, results out':22} {'per second':>12} {'tokens/s':>12} {'USD a million':>15}")
    for name, one in (("pairs", pairs), ("queries", queries)):
        cost = 1e6 / (one["rows_per_s"] / cores * price_cores) / 3600 * price
        print(f"  {name:22} {one['rows_per_s']:12,.0f} {one['tokens_per_s']:12,.0f} {cost:15.4f}")
    latency = single["latency_ms"]
    print(f"\n  One query alone on one core: P50 {latency['p50']:.2f} ms, P99 {latency['p99']:.2f} ms")
    print(f"  Cost: at USD {price:g} an hour for {price_cores} cores like these, an assumption (--price, --price-cores)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--price", type=float, required=True, help="USD an hour")
    parser.add_argument("--price-cores", type=int, required=True, help="cores that one gets for it")
    arguments = parser.parse_args()
    report_duplicates(arguments.folder)
    report_intents(arguments.folder)
    report_speed(arguments.folder, arguments.price, arguments.price_cores)


if __name__ == "__main__":
    main()
