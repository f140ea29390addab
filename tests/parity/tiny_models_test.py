#!/usr/bin/env python3
"""Every family and task kind, tiny, against PyTorch's outputs in tests/data/checkpoint/golden.json: tiny_models_test.py TILEWISE."""
import json
import sys
import tempfile

from cli import ROOT, Tilewise

CHECKPOINTS = ROOT / "tests" / "data" / "checkpoint"
# Relative to the largest output of the case. fp32: sums of at most 72 products, a dozen in a row, 2^-24 each.
# bf16 keeps 8 bits, so each of some 14 roundings on the way adds at most 2^-9 of what it rounds.
LIMITS = {"fp32": 2e-5, "bf16": 14 * 2**-9}


def output_of(case, answer):
    if case["kind"] == "embedding":
        return answer["embedding"]
    return answer["logits"]


def largest_difference(case, answers):
    largest = 0.0
    for row, answer in zip(case["rows"], answers, strict=True):
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
            inputs = [{"id": i, **row["input"]} for i, row in enumerate(case["rows"])]
            for precision, limit in LIMITS.items():
                backbone = CHECKPOINTS / case["backbone"] if case["backbone"] else None
                model = tilewise.compile(CHECKPOINTS / case["folder"], f"{folder}/model.tw", precision, backbone)
                for level in tilewise.levels(model, case["task"], inputs[0]):
                    largest = largest_difference(case, tilewise.predict(model, case["task"], inputs, level))
                    print(f"{name:38} {precision} {level:12} largest difference {largest:.2g} (limit {limit * scale:.2g})")
                    if not largest <= limit * scale:
                        failures.append(f"{name} {precision} {level}: {largest:.3g}")
    if failures:
        sys.exit("FAILED\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
