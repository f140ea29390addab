#!/usr/bin/env python3
"""Candidates by simple blocking: for each northgate product the quayside titles that share the rarest words with it.

  python3 examples/product-search/make_pairs.py        rewrites data/pairs.jsonl beside this file

A shared word counts log(records / records that have it); the KEEP best candidates above LEAST are kept. `label` comes from
data/matches.jsonl and is there to check the model's answers with: the model does not see it.
"""
import collections
import json
import math
import pathlib
import re

DATA = pathlib.Path(__file__).parent / "data"
KEEP, LEAST = 3, 3.0


def read(name):
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def words(record):
    return set(re.findall(r"[a-z]+|[0-9]+", record["title"].lower()))


def without_id(record):
    return {field: value for field, value in record.items() if field != "id"}


def main():
    left, right = read("northgate.jsonl"), read("quayside.jsonl")
    matches = {(match["left_id"], match["right_id"]) for match in read("matches.jsonl")}
    frequency = collections.Counter(word for record in left + right for word in words(record))
    weight = {word: math.log((len(left) + len(right)) / count) for word, count in frequency.items()}

    with open(DATA / "pairs.jsonl", "w", encoding="utf-8") as out:
        for one in left:
            scored = [(math.fsum(weight[word] for word in words(one) & words(other)), other) for other in right]
            best = sorted((pair for pair in scored if pair[0] >= LEAST), key=lambda pair: (-pair[0], pair[1]["id"]))
            for _, other in best[:KEEP]:
                key = (one["id"], other["id"])
                row = {"id": "~".join(key), "left": without_id(one), "right": without_id(other), "label": int(key in matches)}
                out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
