#!/usr/bin/env python3
"""The real model against PyTorch's fp32 logits, on every instruction set of this machine: real_model_test.py TILEWISE."""
import json
import math
import pathlib
import sys
import tempfile

from cli import EXAMPLE, Tilewise, backbone, full_depth, read_rows

REFERENCE = pathlib.Path(__file__).parent / "data" / "reference_outputs.jsonl"
# fp32: about 40 sums of up to 1,536 products each lie between a token and a logit; PyTorch itself moves by 1e-5 between two
# ways of merging the adapter. bf16: what PyTorch shows on these rows with all of the model in bf16.
# int8: without calibration 24 layers with 1 to 2.4 % of error each leave 4 % of the logits' RMS, 2, which is 0.09; calibrated, 2 % of it
# is what the compiler keeps to. Some rows lie worse than others: the largest of 7,000 errors may be 11 times their RMS.
LIMITS = {"fp32": 2e-4, "bf16": 0.13, "int8": 1.0, "int8 calibrated": 0.6}
# A decision may change where PyTorch itself is as good as undecided: by less than this margin between the two answers.
UNDECIDED = {"fp32": 0, "bf16": 0, "int8": 1.0, "int8 calibrated": 0.6}


def as_row(reference):
    """Rendered text in, so that the template is not part of this test."""
    if "text" in reference:
        return {"id": reference["id"], "text": reference["text"]}
    return {"id": reference["id"], "left": reference["text_a"], "right": reference["text_b"]}


def log_sum_exp(logits):
    most = max(logits)
    return most + math.log(sum(math.exp(logit - most) for logit in logits))


def decision_of(task, logits):
    """What the answer says, computed here from PyTorch's logits."""
    if task["kind"] == "binary":
        return "duplicate" if logits[0] >= task["threshold"] else None
    return task["labels"][logits.index(max(logits))]


def margin_of(task, logits):
    """How far PyTorch's logits are from another decision."""
    if task["kind"] == "binary":
        return abs(logits[0] - task["threshold"])
    best, second = sorted(logits)[:-3:-1]
    return best - second


def decision_in(task, answer):
    return answer["label"] if task["kind"] == "binary" else answer["labels"][0]["label"]


def compare(task, references, answers, undecided):
    """The largest logit difference and the ids whose decision changed, but for those that were as good as undecided."""
    largest, changed = 0.0, []
    for reference, answer in zip(references, answers, strict=True):
        assert answer["id"] == reference["id"], f"answer {answer['id']} where {reference['id']} was due"
        logits = answer["logits"]
        assert len(logits) == len(reference["logits"]), f"{reference['id']}: {len(logits)} logits"
        largest = max(largest, *(abs(a - b) for a, b in zip(logits, reference["logits"])))
        if decision_in(task, answer) != decision_of(task, reference["logits"]) and margin_of(task, reference["logits"]) >= undecided:
            changed.append(reference["id"])
        if "out_of_scope" in task:  # what is said must follow from the logits that are said
            energy = log_sum_exp(logits)
            below = task["out_of_scope"]["below"]
            assert abs(energy - below) < 1e-4 or answer.get("out_of_scope", False) == (energy < below), f"{reference['id']}: out_of_scope"
    return largest, changed


def calibration(folder):
    """--calibrate with the example's own pairs and queries, of which none is among the references."""
    flags = []
    for task, name in (("duplicate", "pairs"), ("clinc150", "queries")):
        flags += ["--calibrate", f"{task}={EXAMPLE / 'data' / name}.jsonl"]
    return flags


def main():
    tilewise, model_folder = Tilewise(sys.argv[1]), EXAMPLE / "model"
    backbone_folder = backbone()
    tasks = {task["name"]: task for task in json.loads((model_folder / "tasks.json").read_text())["tasks"]}
    references = read_rows(REFERENCE)
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        for precision, limit in LIMITS.items():
            stored, more = precision.split()[0], calibration(folder) if "calibrated" in precision else ()
            model = tilewise.compile(model_folder, f"{folder}/{precision}.tw", stored, backbone_folder, more)
            for level in tilewise.levels(model, stored):
                for name, task in tasks.items():
                    due = [reference for reference in references if reference["task"] == name]
                    answers = tilewise.predict(model, name, [as_row(reference) for reference in due], level, ("--logits", *full_depth(task)))
                    largest, changed = compare(task, due, answers, UNDECIDED[precision])
                    print(f"{precision} {level:12} {name:10} {len(due)} rows: largest difference {largest:.2g} (limit {limit}), {len(changed)} decisions changed")
                    if not largest <= limit or changed:
                        failures.append(f"{precision} {level} {name}: {largest:.3g}, changed: {changed}")
    if failures:
        sys.exit("FAILED\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
