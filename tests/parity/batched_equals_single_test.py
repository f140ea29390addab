#!/usr/bin/env python3
"""An answer does not depend on its neighbours, its place or the number of replicas, to the last character of the output:
batched_equals_single_test.py TILEWISE."""
import json
import random
import sys
import tempfile

from cli import EXAMPLE, Tilewise, backbone, read_rows, to_lines

SINGLES = 12


def mixed_rows(task, generator):
    """Inputs of very different length in random order: one token to more than the model takes."""
    if task == "duplicate":
        rows = [{"left": row["left"], "right": row["right"]} for row in read_rows(EXAMPLE / "data" / "pairs.jsonl")]
        rows += [{"left": {"title": "cable " * generator.randint(1, 90)}, "right": {"title": "mug"}} for _ in range(30)]
    else:
        texts = [row["text"] for row in read_rows(EXAMPLE / "data" / "queries.jsonl")]
        rows = [{"text": text} for text in texts]
        rows += [{"text": " ".join(generator.choices(texts, k=generator.randint(2, 16)))} for _ in range(100)]
        rows += [{"text": "a"}, {"text": "where " * 500}]
    generator.shuffle(rows)
    return [{"id": i, **row} for i, row in enumerate(rows)]


def by_id(lines):
    answers = {json.loads(line)["id"]: line for line in lines}
    assert len(answers) == len(lines), "an id was answered twice"
    return answers


def check(task, level, tilewise, model, folder, generator):
    rows = mixed_rows(task, generator)
    more = ("--logits",)
    due = by_id(tilewise.predict_lines(model, task, rows, level, (*more, "--replicas", "1")))
    assert sorted(due) == list(range(len(rows))), "rows are missing"

    def same(lines, how):
        for row_id, line in by_id(lines).items():
            assert line == due[row_id], f"{task}, {level}, {how}, row {row_id}:\n  {line[:200]}\n  {due[row_id][:200]}"

    for replicas in (1, 2, 3):
        generator.shuffle(rows)
        same(tilewise.predict_lines(model, task, rows, level, (*more, "--replicas", str(replicas))), f"shuffled, {replicas} replicas")
        path, output = f"{folder}/rows.jsonl", f"{folder}/{task}-{level}-{replicas}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(to_lines(rows))
        tilewise.call("batch", model, "--task", task, "--input", path, "--output", output, *more, "--replicas", str(replicas), isa=level)
        with open(f"{output}/part-00000.jsonl", encoding="utf-8") as file:
            same(file.read().splitlines(), f"batch, {replicas} replicas")
    for row in generator.sample(rows, SINGLES):
        same(tilewise.predict_lines(model, task, [row], level, more), "alone")
    print(f"{task:10} {level:12} {len(rows)} rows in 7 mixes and {SINGLES} alone: equal")


def main():
    tilewise, generator = Tilewise(sys.argv[1]), random.Random(1)
    backbone_folder = backbone()
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("bf16", "fp32"):
            model = tilewise.compile(EXAMPLE / "model", f"{folder}/model.tw", precision, backbone_folder)
            for level in tilewise.levels(model, "clinc150", {"text": "hello"}):
                for task in ("duplicate", "clinc150"):
                    check(task, level, tilewise, model, folder, generator)


if __name__ == "__main__":
    main()
