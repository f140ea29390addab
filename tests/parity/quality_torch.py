#!/usr/bin/env python3
"""Quality on the official splits beside PyTorch's (metrics.json), in every precision: quality_torch.py TILEWISE [DATA].

int8 is compiled twice, without calibration and with rows of the train splits.

Needs the backbone (TILEWISE_BACKBONE) and the public data sets in DATA (default: ../shared/data, TILEWISE_DATA overrides).
Before that, on the texts that the repository carries, the fp32 logits are compared with PyTorch's.
"""
import json
import os
import pathlib
import sys
import tempfile

from cli import EXAMPLE, ROOT, Tilewise, backbone, full_depth, read_rows

# Points of accuracy, and in fp32 of F1: what the model's card reports.
LIMITS = {"fp32": 0.1, "bf16": 0.3, "int8 plain": 1.5, "int8": 0.5}
# A pair test split has a few pairs within a rounding of the threshold, and each that changes sides moves F1 by 0.2: on amazon-google 2 or 3
# of 2,293 do. So other precisions are not held to points of F1, but to change only such pairs: nearer than the limit in real_model_test.py,
# and few. In int8 a logit moves by more, and so may decisions.
EDGE = {"fp32": 0, "bf16": 0.13, "int8 plain": 0.8, "int8": 0.5}
MOST_CHANGED = {"fp32": 0, "bf16": 0.003, "int8 plain": 0.012, "int8": 0.008}
LOGIT_LIMIT = 2e-4  # fp32, see real_model_test.py
PAIR_SPLITS = [("amazon-google", "test"), ("wdc-computers", "test"), ("wdc-cameras", "test"), ("abt-buy", "valid")]
INTENT_SPLITS = [("clinc150", "test"), ("hwu64", "test")]


def f1(truths, positives):
    hits = sum(truth and positive for truth, positive in zip(truths, positives, strict=True))
    return 200 * hits / (sum(truths) + sum(positives))


class Quality:
    def __init__(self, tilewise, data, folder):
        self.tilewise, self.data, self.folder = tilewise, data, pathlib.Path(folder)
        self.metrics = json.loads((EXAMPLE / "model" / "metrics.json").read_text())
        self.tasks = {task["name"]: task for task in json.loads((EXAMPLE / "model" / "tasks.json").read_text())["tasks"]}
        self.failures = []
        self.exact = {}  # split -> the fp32 logits

    def report(self, what, precision, found, due, held=True):
        print(f"{what:40} {precision:10}  {found:6.2f}  PyTorch {due:6.2f}  difference {found - due:+.2f}", flush=True)
        if held and not abs(found - due) <= LIMITS[precision] + 0.005:  # metrics.json has two digits after the point
            self.failures.append(f"{what} {precision}: {found:.2f} instead of {due:.2f}")

    def answers(self, model, task, path):
        output = self.folder / f"{model.stem}-{path.stem}"
        answers = self.tilewise.batch(model, task, path, output, more=("--logits", *full_depth(self.tasks[task])))
        assert len(answers) == len(path.read_text(encoding="utf-8").splitlines()), f"{path.name}: rows are missing"
        return answers

    def measured(self, task, split, path, measure):
        """In percent, as metrics.json has it."""
        return 100 * self.metrics[task][split][path.name][measure]

    def pairs(self, model, precision, name, split):
        path = self.data / "pairs" / f"{name}.{split}.jsonl"
        logits = [answer["logits"][0] for answer in self.answers(model, "duplicate", path)]
        truths = [row["label"] == 1 for row in read_rows(path)]
        threshold = self.tasks["duplicate"]["threshold"]
        found = f1(truths, [logit >= threshold for logit in logits])
        self.report(f"{name} {split}, F1", precision, found, self.measured("duplicate", split, path, "f1"), held=precision == "fp32")
        exact = self.exact.setdefault((name, split), logits)
        changed = [one for one, other in zip(exact, logits, strict=True) if (one >= threshold) != (other >= threshold)]
        print(f"{'':40} {precision:10}  {len(changed)} of {len(logits)} decisions are not those of fp32")
        if len(changed) > MOST_CHANGED[precision] * len(logits) or any(abs(one - threshold) > EDGE[precision] for one in changed):
            self.failures.append(f"{name} {split} {precision}: decisions changed at fp32 logits {changed}")

    def intents(self, model, precision, name, split):
        path = self.data / "intents" / f"{name}.{split}.jsonl"
        best = [answer["labels"][0]["label"] for answer in self.answers(model, name, path)]
        right = sum(found == row["label"] for found, row in zip(best, read_rows(path), strict=True))
        self.report(f"{name} {split}, accuracy", precision, 100 * right / len(best), self.measured(name, split, path, "accuracy"))


def calibration_flags(data, folder):
    """--calibrate for each task: 200 pairs of each train split, and the train splits of the intents as they are."""
    rows = []
    for name, _ in PAIR_SPLITS:
        lines = (data / "pairs" / f"{name}.train.jsonl").read_text(encoding="utf-8").splitlines()
        rows += lines[:: len(lines) // 200]
    path = pathlib.Path(folder, "pairs.jsonl")
    path.write_text("\n".join(rows), encoding="utf-8")
    flags = ["--calibrate", f"duplicate={path}"]
    for name, _ in INTENT_SPLITS:
        flags += ["--calibrate", f"{name}={data / 'intents' / name}.train.jsonl"]
    return flags


def compare_logits(tilewise, model, backbone_folder):
    """The sample pairs and queries, records through the template, against PyTorch. Returns the largest difference."""
    from reference import Reference
    reference, largest = Reference(EXAMPLE / "model", backbone_folder), 0.0
    more = {name: ("--logits", *full_depth(task)) for name, task in reference.tasks.items()}
    for task, name in (("duplicate", "pairs"), ("clinc150", "queries")):
        rows = read_rows(EXAMPLE / "data" / f"{name}.jsonl")
        due = reference.logits(task, [reference.encode(task, row) for row in rows]).tolist()
        found = [answer["logits"] for answer in tilewise.predict(model, task, rows, more=more[task])]
        difference = max(abs(a - b) for one, other in zip(due, found, strict=True) for a, b in zip(one, other, strict=True))
        print(f"sample {name}: largest fp32 logit difference to PyTorch {difference:.2g} (limit {LOGIT_LIMIT})")
        largest = max(largest, difference)
    return largest


def main():
    tilewise, backbone_folder = Tilewise(sys.argv[1]), backbone()
    data = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("TILEWISE_DATA", ROOT.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as folder:
        calibration = {"int8": calibration_flags(data, folder)} if (data / "pairs").is_dir() else {}
        models = {name: pathlib.Path(tilewise.compile(EXAMPLE / "model", f"{folder}/{name}.tw", name.split()[0], backbone_folder, calibration.get(name, ())))
                  for name in LIMITS}
        quality = Quality(tilewise, data, folder)
        if not compare_logits(tilewise, models["fp32"], backbone_folder) <= LOGIT_LIMIT:
            quality.failures.append("logits of the sample data")
        if not (data / "pairs").is_dir():
            print(f"skipped: no data sets in {data}, so the official splits are left out")
        else:
            for precision, model in models.items():
                for name, split in PAIR_SPLITS:
                    quality.pairs(model, precision, name, split)
                for name, split in INTENT_SPLITS:
                    quality.intents(model, precision, name, split)
    if quality.failures:
        sys.exit("FAILED\n" + "\n".join(quality.failures))


if __name__ == "__main__":
    main()
