"""What is exported is what tilewise takes: it checks, compiles, reads records alike, and gives PyTorch's logits."""
import json
import os
import pathlib
import subprocess

import pytest
import torch
from conftest import FAMILIES, task_toml, write_rows

from tilewise_training.__main__ import main
from tilewise_training.batches import RowEncoder
from tilewise_training.distill import load_trained
from tilewise_training.model import predict
from tilewise_training.rows import read_rows
from tilewise_training.settings import load_recipe

TILEWISE = pathlib.Path(os.environ.get("TILEWISE", pathlib.Path(__file__).parents[2] / "build/release/tilewise"))
pytestmark = pytest.mark.skipif(not TILEWISE.exists(), reason=f"{TILEWISE} is not built; TILEWISE names another")
TOLERANCE = 2e-4  # fp32 sums in another order, as in the parity tests of tilewise


def tilewise(*arguments, stdin=None):
    result = subprocess.run([str(TILEWISE), *map(str, arguments)], capture_output=True, text=True, input=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_artifact_answers_as_pytorch_does(write_recipe, data, tmp_path, backbone, method):
    path = write_recipe([task_toml(name) for name in FAMILIES], f'method = "{method}"')
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    folder = tmp_path / "run/model"
    where = ["--backbone", backbone] if method == "lora" else []
    tilewise("check", folder, *where)
    tilewise("compile", folder, *where, "--precision", "fp32", "-o", tmp_path / "model.tw")

    recipe = load_recipe(path, data)
    for task in recipe.tasks:
        entry = next(e for e in json.loads((folder / "tasks.json").read_text())["tasks"] if e["name"] == task.name)
        task.__dict__.update(labels=tuple(entry.get("labels", ())))
        rows = read_rows(task, task.test, labelled=False)
        if task.input == "pair":  # fields that a template leaves out, and numbers as they are written
            extra = [{"left": {"price": 0, "title": ""}, "right": {"title": "acme mouse", "price": 5.50, "colour": "red"}},
                     {"left": "red mouse", "right": {"title": None, "price": True}}]
            write_rows(tmp_path / "extra.jsonl", extra)
            (tmp_path / "extra.jsonl").write_text((tmp_path / "extra.jsonl").read_text().replace("5.5,", "5.50,"))
            rows += read_rows(task, [tmp_path / "extra.jsonl"], labelled=False)
        model, vocabulary = load_trained(folder, [task], recipe)
        expected = predict(model, task, RowEncoder(vocabulary, model.encoder.config.vocab_size).encode(task, rows))[-1]
        lines = task.test[0].read_text() + ((tmp_path / "extra.jsonl").read_text() if task.input == "pair" else "")
        answers = tilewise("predict", tmp_path / "model.tw", "--task", task.name, "--logits", stdin=lines)
        found = torch.tensor([json.loads(line)["logits"] for line in answers.splitlines()])
        assert (found - expected).abs().max() < TOLERANCE, task.name
