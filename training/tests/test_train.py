"""Training works for every kind, is the same again from the same seed, goes on after a kill, and stops at once when something is wrong."""
import dataclasses
import json

import pytest
import torch
from conftest import FAMILIES, VOCABULARY, task_toml, write_rows, write_tokenizer

from tilewise_training.__main__ import main
from tilewise_training.errors import TrainingError
from tilewise_training.exits import refit_exits
from tilewise_training.model import merged, predict
from tilewise_training.settings import load_recipe
from tilewise_training.train import Run, prepare


def run_of(path, data, out):
    recipe, rows = prepare(load_recipe(path, data))
    return Run(recipe, rows, out, progress=False)


def weights(run):
    return {name: parameter.detach().clone() for name, parameter in run.model.named_parameters() if parameter.requires_grad}


def assert_equal(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("method", ["lora", "full"])
def test_every_kind_learns(write_recipe, data, tmp_path, method):
    path = write_recipe([task_toml(name) for name in FAMILIES], f'method = "{method}"\naverage = 0.5\nhead_learning_rate = 2e-2')
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 5").replace("5e-3", "3e-3" if method == "lora" else "2e-3"))
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    log = json.loads((tmp_path / "run/model/training_log.json").read_text())["epochs"]
    for name in FAMILIES:
        assert log[-1]["loss"][name] < log[0]["loss"][name], name
    metrics = json.loads((tmp_path / "run/model/metrics.json").read_text())
    assert metrics["intent"]["test"]["intent.test.jsonl"]["accuracy"] > 0.6  # a third by chance
    card = (tmp_path / "run/model/README.md").read_text()
    assert str(tmp_path) not in card
    for name in FAMILIES:
        assert f"`{name}`" in card


def test_a_killed_run_goes_on_and_ends_with_the_same_weights(write_recipe, data, tmp_path, monkeypatch):
    path = write_recipe([task_toml("duplicate", "skip_easy = 0.5\nexits = [1, 2]\n"), task_toml("intent", "sampling = 0.5\n")],
                        'dropout = 0.1\naverage = 0.9\nprecision = "bf16"')
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 3"))
    whole = run_of(path, data, tmp_path / "whole")
    whole.train()

    killed = run_of(path, data, tmp_path / "killed")
    steps, step = 0, Run._step

    def dies_in_the_second_epoch(self, *arguments):
        nonlocal steps
        steps += 1
        if steps == 14:  # six and three batches in the first epoch
            raise KeyboardInterrupt
        return step(self, *arguments)

    monkeypatch.setattr(Run, "_step", dies_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    monkeypatch.undo()
    assert killed.epoch == 1
    resumed = run_of(path, data, tmp_path / "killed")
    log = resumed.train()
    assert [entry["epoch"] for entry in log] == [1, 2, 3]
    assert_equal(weights(resumed), weights(whole))


def test_another_seed_is_another_run(write_recipe, data, tmp_path):
    path = write_recipe([task_toml("intent")])
    first = run_of(path, data, tmp_path / "a")
    first.train()
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 2\nseed = 7"))
    second = run_of(path, data, tmp_path / "b")
    second.train()
    assert not torch.equal(first.model.head("intent").weight, second.model.head("intent").weight)
    with pytest.raises(TrainingError, match="run of another recipe"):
        run_of(path, data, tmp_path / "a").train()


def test_early_stop_keeps_the_best_epoch(write_recipe, data, tmp_path, monkeypatch):
    path = write_recipe([task_toml("intent")], "patience = 2")
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 9"))
    scores = iter([0.5, 0.7, 0.6, 0.7, 0.9])
    monkeypatch.setattr("tilewise_training.train.losses.score", lambda task, groups: next(scores))
    run = run_of(path, data, tmp_path / "run")
    assert [entry["valid"]["intent"] for entry in run.train()] == [0.5, 0.7, 0.6, 0.7]
    assert run.best == 0.7


def test_a_loss_that_is_not_a_number_stops_at_once(write_recipe, data, tmp_path):
    run = run_of(write_recipe([task_toml("rank")]), data, tmp_path / "run")
    run.data["rank"].train[5] = dataclasses.replace(run.data["rank"].train[5], label=float("nan"))
    with pytest.raises(TrainingError, match=r"loss is not a number.*epoch 1, task rank, row .*rank.train.jsonl:6"):
        run.train()


def test_bad_input_is_told_before_time_is_spent(write_recipe, data, tmp_path, backbone, capsys):
    path = write_recipe([task_toml("intent", 'labels = ["mouse", "cable", "lamp", "spaceship"]\n')])
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run")]) == 3
    assert "missing from its training data" in capsys.readouterr().err
    path = write_recipe([task_toml("intent", 'labels = ["mouse", "cable"]\n')])
    assert main(["check", str(path), "--data", str(data)]) == 3
    assert "A label does not fit task intent" in capsys.readouterr().err
    path = write_recipe([task_toml("intent", "exits = [3]\n")])
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run")]) == 3
    assert "An exit lies behind the last layer" in capsys.readouterr().err
    path = write_recipe([task_toml("intent").replace("max_tokens = 32", "max_tokens = 65")])
    assert main(["check", str(path), "--data", str(data)]) == 3
    assert "longer than the backbone" in capsys.readouterr().err


def copy_of(backbone, folder):
    folder.mkdir()
    for file in backbone.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_backbones_that_do_not_fit(write_recipe, data, tmp_path, backbone, capsys):
    path = write_recipe([task_toml("intent")])

    def error_with(folder):
        assert main(["train", str(path), "--data", str(data), "--backbone", str(folder), "--out", str(tmp_path / "run")]) == 3
        return capsys.readouterr().err

    folder = copy_of(backbone, tmp_path / "tokenizer")
    write_tokenizer(folder, VOCABULARY + ["more"])
    assert "The tokenizer does not fit the backbone" in error_with(folder)
    folder = copy_of(backbone, tmp_path / "family")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "deberta-v2"}))
    assert "The architecture of the backbone is not supported" in error_with(folder)
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 4}))
    assert "Weights of the backbone are missing" in error_with(folder)
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 64}))
    assert "The backbone cannot be loaded" in error_with(folder)


def test_distillation_teaches_with_and_without_labels(write_recipe, data, tmp_path):
    path = write_recipe([task_toml("duplicate")])
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 6"))
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "teacher"), "--quiet"]) == 0
    rows = [json.loads(line) for line in (data / "duplicate.valid.jsonl").read_text().splitlines()]
    write_rows(tmp_path / "unlabelled.jsonl", [{"left": row["left"], "right": row["right"]} for row in rows])
    more = f'[distillation]\nteachers = ["{tmp_path}/teacher/model"]\nweight = 0.7\n[distillation.unlabelled]\nduplicate = ["{tmp_path}/unlabelled.jsonl"]'
    path = write_recipe([task_toml("duplicate")], more=more)
    run = run_of(path, data, tmp_path / "student")
    run.train()
    taught = run.data["duplicate"].taught
    assert taught.shape == (96 + 48, 1)
    swapped = run.data["duplicate"]
    assert swapped.labelled == 96
    path = write_recipe([task_toml("intent")], more=more.split("[distillation.unlabelled]")[0])
    with pytest.raises(TrainingError, match="none of the recipe's tasks"):
        run_of(path, data, tmp_path / "other").train()


def test_refitted_exits_agree_with_the_full_depth_more_and_leave_it_as_it_is(write_recipe, data, tmp_path):
    run = run_of(write_recipe([task_toml("intent", "exits = [1, 2]\n")]), data, tmp_path / "run")
    task, rows = run.recipe.tasks[0], run.data["intent"].train
    model = merged(run.model)
    before = predict(model, task, rows)
    refit_exits(model, task, rows, "fp32", 1)
    after = predict(model, task, rows)
    assert torch.equal(before[-1], after[-1])
    taught = before[-1].softmax(1)
    for old, new in zip(before[:-1], after[:-1]):
        assert (new.softmax(1) - taught).abs().mean() < 0.5 * (old.softmax(1) - taught).abs().mean()
