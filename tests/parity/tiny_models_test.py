#!/usr/bin/env python3
"""Every family and task kind, tiny, from folder and row to answer, against PyTorch's outputs in tests/data/checkpoint/golden.json:
tiny_models_test.py TILEWISE. The other precisions and instruction sets: src/compile/golden_test.cc."""
import json
import sys
import tempfile

from cli import ROOT, Tilewise

CHECKPOINTS = ROOT / "tests" / "data" / "checkpoint"
# Relative to the largest output of the case (logits: at least 1, the size of the layer-normed states that they are sums of): sums of at
# most 88 products, a dozen in a row, 2^-24 each.
LIMIT = 2e-5


def output_of(case, answer):
    if case["kind"] == "embedding":
        return answer["embedding"]
    return answer["logits"]


def has_content(row):
    """Whether the template of the multi-task model finds anything in the records of the row; else tilewise rejects it."""
    records = [side for side in row["input"].values() if isinstance(side, dict)]
    return all(record.keys() & {"title", "brand", "price"} for record in records)


def largest_difference(case, rows, answers):
    largest = 0.0
    for row, answer in zip(rows, answers, strict=True):
        due, found = row.get("logits", row.get("embedding")), output_of(case, answer)
        assert len(due) == len(found), f"{len(found)} numbers where {len(due)} were due: {row['input']}"
        largest = max(largest, *(abs(a - b) for a, b in zip(due, found)))
        assert answer.get("truncated", False) == row["truncated"], f"truncated is wrong: {row['input']}"
        if case["kind"] == "regression":
            assert answer["value"] == found[0], "the value of a regression is its logit"
    return largest


def main():
    tilewise, failures = Tilewise(sys.argv[1]), []
    cases = json.loads((CHECKPOINTS / "golden.json").read_text(encoding="utf-8"))["cases"]
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            name = f"{case['folder']}/{case['task']}"
            scale = max(abs(value) for row in case["rows"] for value in row.get("logits", row.get("embedding")))
            scale = scale if case["kind"] == "embedding" else max(1, scale)
            rows = [row for row in case["rows"] if has_content(row)]
            inputs = [{"id": i, **row["input"]} for i, row in enumerate(rows)]
            backbone = CHECKPOINTS / case["backbone"] if case["backbone"] else None
            model = tilewise.compile(CHECKPOINTS / case["folder"], f"{folder}/model.tw", "fp32", backbone)
            more = () if case["kind"] == "embedding" else ("--logits",)
            largest = largest_difference(case, rows, tilewise.predict(model, case["task"], inputs, more=more))
            print(f"{name:38} largest difference {largest:.2g} (limit {LIMIT * scale:.2g})")
            if not largest <= LIMIT * scale:
                failures.append(f"{name}: {largest:.3g}")
    if failures:
        sys.exit("FAILED\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
