#!/usr/bin/env python3
"""An answer does not depend on its neighbours, its place or the number of replicas, to the last character of the output:
batched_equals_single_test.py TILEWISE. On the level that this machine chooses; src/runtime/replica_test.cc tests every level."""
import json
import pathlib
import random
import sys
import tempfile

from cli import EXAMPLE, Tilewise, backbone, read_rows, to_lines

SINGLES = 8


def mixed_rows(task, generator):
    """Inputs of very different length in random order: one token to more than the model takes."""
    if task == "duplicate":
        rows = [{"left": row["left"], "right": row["right"]} for row in read_rows(EXAMPLE / "data" / "pairs.jsonl")[::2]]
        rows += [{"left": {"title": "cable " * generator.randint(1, 90)}, "right": {"title": "mug"}} for _ in range(20)]
    else:
        texts = [row["text"] for row in read_rows(EXAMPLE / "data" / "queries.jsonl")]
        rows = [{"text": text} for text in texts]
        rows += [{"text": " ".join(generator.choices(texts, k=generator.randint(2, 16)))} for _ in range(40)]
        rows += [{"text": "a"}, {"text": "where " * 500}]
    generator.shuffle(rows)
    return [{"id": i, **row} for i, row in enumerate(rows)]


def by_id(lines):
    answers = {json.loads(line)["id"]: line for line in lines}
    assert len(answers) == len(lines), "an id was answered twice"
    return answers


def check(task, tilewise, model, folder, generator):
    rows, more = mixed_rows(task, generator), ("--logits",)
    due = by_id(tilewise.predict_lines(model, task, rows, more=(*more, "--replicas", "1")))
    assert sorted(due) == list(range(len(rows))), "rows are missing"

    def same(lines, how):
        for row_id, line in by_id(lines).items():
            assert line == due[row_id], f"{task}, {how}, row {row_id}:\n  {line[:200]}\n  {due[row_id][:200]}"

    for replicas in ("2", "3"):
        generator.shuffle(rows)
        same(tilewise.predict_lines(model, task, rows, more=(*more, "--replicas", replicas)), f"shuffled, {replicas} replicas")
    generator.shuffle(rows)
    path, output = pathlib.Path(folder, "rows.jsonl"), pathlib.Path(folder, f"{task}-{model.stem}")
    path.write_text(to_lines(rows), encoding="utf-8")
    tilewise.call("batch", model, "--task", task, "--input", path, "--output", output, *more, "--replicas", "2")
    same((output / "part-00000.jsonl").read_text(encoding="utf-8").splitlines(), "batch, 2 replicas")
    for row in generator.sample(rows, SINGLES):
        same(tilewise.predict_lines(model, task, [row], more=more), "alone")
    print(f"{task:10} {model.stem} {len(rows)} rows in 4 mixes and {SINGLES} alone: equal")


def main():
    tilewise, generator = Tilewise(sys.argv[1]), random.Random(1)
    backbone_folder = backbone()
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("bf16", "fp32", "int8"):
            model = tilewise.compile(EXAMPLE / "model", pathlib.Path(folder, f"{precision}.tw"), precision, backbone_folder)
            for task in ("duplicate", "clinc150"):
                check(task, tilewise, model, folder, generator)


if __name__ == "__main__":
    main()
