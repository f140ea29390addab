#!/usr/bin/env python3
"""Every family and task kind, tiny, against PyTorch's outputs in tests/data/checkpoint/golden.json: tiny_models_test.py TILEWISE."""
import json
import sys
import tempfile

from cli import ROOT, Tilewise

CHECKPOINTS = ROOT / "tests" / "data" / "checkpoint"
# Relative to the largest output of the case (logits: at least 1, the size of the layer-normed states that they are sums of).
# fp32: sums of at most 88 products, a dozen in a row, 2^-24 each. bf16 keeps 8 bits: each rounding (8 activations and 4 weights in a
# layer, 2 in the embeddings) adds at most 2^-9 of what it rounds.
# int8: besides the roundings of bf16, 4 linear layers in a layer with steps of 1/127 of the largest weight and input: half a step
# each, 2^-8, of values whose RMS is a third of the largest; they are independent, so they add as squares.
FP32_LIMIT = 2e-5


def limits_of(case):
    config = json.loads((CHECKPOINTS / (case["backbone"] or case["folder"]) / "config.json").read_text())
    layers = config.get("num_hidden_layers") or config["n_layers"]
    bf16 = (12 * layers + 2) * 2**-9
    return {"fp32": FP32_LIMIT, "bf16": bf16, "int8": bf16 + (4 * layers) ** 0.5 * 3 * 2**-8}


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
            for precision, limit in limits_of(case).items():
                backbone = CHECKPOINTS / case["backbone"] if case["backbone"] else None
                model = tilewise.compile(CHECKPOINTS / case["folder"], f"{folder}/model.tw", precision, backbone)
                more = () if case["kind"] == "embedding" else ("--logits",)
                for level in tilewise.levels(model, precision):
                    largest = largest_difference(case, rows, tilewise.predict(model, case["task"], inputs, level, more))
                    print(f"{name:38} {precision} {level:12} largest difference {largest:.2g} (limit {limit * scale:.2g})")
                    if not largest <= limit * scale:
                        failures.append(f"{name} {precision} {level}: {largest:.3g}")
    if failures:
        sys.exit("FAILED\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
