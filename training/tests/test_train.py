"""Training works for every kind, is the same again from the same seed, goes on after a kill, and stops at once when something is wrong."""
import dataclasses
import json

import pytest
import torch
from conftest import FAMILIES, VOCABULARY, task_toml, write_rows, write_tokenizer
from transformers import BertConfig, BertModel

from tilewise_training.__main__ import main
from tilewise_training.batches import generator
from tilewise_training.distill import teach
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


def test_check_tells_what_only_the_model_knows(write_recipe, data, capsys):
    def error_of(*recipe):
        assert main(["check", str(write_recipe(*recipe)), "--data", str(data)]) == 3
        return capsys.readouterr().err

    assert "An exit lies behind the last layer (at tasks.intent.exits; expected layers from 1 to 2; found 3)" in error_of([task_toml("intent", "exits = [3]\n")])
    error = error_of([task_toml("intent")], '[training.lora]\ntargets = ["query", "nothing"]')
    assert "LoRA does not find a layer" in error and "dense, key, query, value; found nothing" in error
    if not torch.cuda.is_available():
        assert "The device is not there (at training.device; expected cpu; found cuda)" in error_of([task_toml("intent")], 'device = "cuda"')


def test_an_epoch_of_easy_rows_alone_draws_none(write_recipe, data, tmp_path):
    run = run_of(write_recipe([task_toml("intent", "skip_easy = 1.0\nsampling = 0.5\n"), task_toml("rank")]), data, tmp_path / "run")
    run.epoch = 1
    run.last_loss["intent"].zero_()
    assert {task.name for task, _, _ in run._plan(generator(1, 1))} == {"rank"}


def test_files_of_one_name_are_measured_apart(write_recipe, data, tmp_path):
    for folder, name, rows in (("x", "intent.valid", 48), ("y", "intent.valid", 5), ("outside", "outside", 9)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "valid.jsonl").write_text("".join((data / f"{name}.jsonl").read_text().splitlines(True)[:rows]))
    files = f'valid = ["{tmp_path}/x/valid.jsonl", "{tmp_path}/y/valid.jsonl"]\nout_of_scope_valid = ["{tmp_path}/outside/valid.jsonl"]\n'
    path = write_recipe([task_toml("intent").replace('valid = ["intent.valid.jsonl"]\n', files)])
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    metrics = json.loads((tmp_path / "run/model/metrics.json").read_text())["intent"]
    assert {name: values["rows"] for name, values in metrics["valid"].items()} == {"x/valid.jsonl": 48, "y/valid.jsonl": 5}
    assert {name: values["rows"] for name, values in metrics["test"].items()} == {"intent.test.jsonl": 32}
    assert set(metrics["out_of_scope"]) == {"valid"}


def test_evaluate_chooses_anew(write_recipe, data, tmp_path):
    recipe = [task_toml("intent", "exits = [1, 2]\nmax_changed = 0.0\n")]
    arguments = ["--data", str(data), "--out", str(tmp_path / "run"), "--quiet"]

    def exits():
        return json.loads((tmp_path / "run/model/tasks.json").read_text())["tasks"][0].get("exits", [])

    assert main(["train", str(write_recipe(recipe)), *arguments, "--max-changed", "100%"]) == 0
    assert [exit_["after_layer"] for exit_ in exits()] == [1]  # which may then answer all
    assert main(["evaluate", str(write_recipe(recipe)), *arguments]) == 0
    strict = exits()
    assert strict == [] or strict[0]["confidence"] > 0.334
    changed = recipe[0].replace("max_changed = 0.0", 'max_changed = 1.0\nkeep_in_scope = 0.9\nrefit_exits = false\nout_of_scope_test = ["outside.jsonl"]')
    assert main(["evaluate", str(write_recipe([changed])), *arguments]) == 0
    assert [exit_["after_layer"] for exit_ in exits()] == [1]
    assert main(["evaluate", str(write_recipe(recipe)), *arguments, "--max-changed", "0.0"]) == 0
    assert exits() == strict


def test_other_validation_rows_are_another_run(write_recipe, data, tmp_path):
    rows = (data / "intent.valid.jsonl").read_text().splitlines(True)
    (tmp_path / "valid.jsonl").write_text("".join(rows))
    path = write_recipe([task_toml("intent").replace("intent.valid.jsonl", f"{tmp_path}/valid.jsonl")])
    run_of(path, data, tmp_path / "run").train()
    run_of(path, data, tmp_path / "run").train()
    (tmp_path / "valid.jsonl").write_text("".join(rows[1:]))
    with pytest.raises(TrainingError, match="run of another recipe"):
        run_of(path, data, tmp_path / "run").train()


def test_the_card_says_what_was_trained_on_what(write_recipe, data, tmp_path):
    path = write_recipe([task_toml("intent", "sampling = 0.5\nskip_easy = 0.25\nexits = [1]\n"), task_toml("duplicate", "loss_weight = 2.5\n")])
    assert main(["train", str(path), "--data", str(data), "--out", str(tmp_path / "run"), "--quiet"]) == 0
    log = json.loads((tmp_path / "run/model/training_log.json").read_text())
    assert log["settings"]["lora"] == {"rank": 32, "alpha": 32.0, "dropout": 0.0, "targets": ["query", "key", "value", "dense"]}
    assert log["tasks"]["intent"]["rows"] == {"intent.train.jsonl": 96}
    assert log["tasks"]["intent"]["skip_easy"] == 0.25
    card = (tmp_path / "run/model/README.md").read_text()
    for words in ("targets query key value dense", "| intent | intent.train.jsonl | 96 | yes |", "| intent | 16 | 1.0 | 0.5 | 0.25 | 0.0 | 0.05 | True | 0.005 |",
                  "| duplicate | 16 | 2.5 | 1.0 | 0.0 | 0.0 |  |  |  |"):
        assert words in card


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
        prepare(load_recipe(path, data))


@pytest.fixture
def train_teacher(write_recipe, data, tmp_path):
    """(name, tasks, what train() takes beside...) -> the teacher's folder."""

    def train(name, tasks, *more, **recipe):
        assert main(["train", str(write_recipe(tasks, **recipe)), "--data", str(data), "--out", str(tmp_path / name), "--quiet", *more]) == 0
        return tmp_path / name / "model"

    return train


def taught_by(teachers, write_recipe, data, out, tasks=("duplicate", "intent"), unlabelled=""):
    """{task: what the teachers teach}"""
    path = write_recipe([task_toml(name) for name in tasks], more=f"[distillation]\nteachers = [{', '.join(teachers)}]\n{unlabelled}")
    run = run_of(path, data, out)
    out.mkdir(exist_ok=True)
    teach(run.recipe, run.data, out, run.fingerprint)
    return {name: data.taught for name, data in run.data.items()}


def test_teachers_count_for_the_tasks_that_they_have(write_recipe, data, tmp_path, train_teacher):
    both = f'"{train_teacher("both", [task_toml("duplicate"), task_toml("intent")])}"'
    one = f'"{train_teacher("one", [task_toml("intent")], training="seed = 5")}"'
    by_both, by_one = (taught_by([teacher], write_recipe, data, tmp_path / name) for teacher, name in ((both, "a"), (one, "b")))
    assert by_one["duplicate"] is None
    by_all = taught_by([both, one], write_recipe, data, tmp_path / "c")
    assert torch.equal(by_all["duplicate"], by_both["duplicate"])
    assert torch.allclose(by_all["intent"], (by_both["intent"] + by_one["intent"]) / 2, atol=1e-6)
    again = taught_by([both], write_recipe, data, tmp_path / "b")  # where the answers of another teacher lie
    assert torch.equal(again["duplicate"], by_both["duplicate"]) and torch.equal(again["intent"], by_both["intent"])
    with pytest.raises(TrainingError, match="for a task that no teacher has.*expected one of intent; found duplicate"):
        taught_by([one], write_recipe, data, tmp_path / "d", unlabelled='[distillation.unlabelled]\nduplicate = ["duplicate.valid.jsonl"]')


def test_a_teacher_on_a_backbone_of_its_own(write_recipe, data, tmp_path, train_teacher):
    config = BertConfig(vocab_size=len(VOCABULARY), hidden_size=48, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=64)
    for name, seed in (("large", 1), ("other", 2)):
        torch.manual_seed(seed)
        BertModel(config, add_pooling_layer=False).save_pretrained(tmp_path / name)
        write_tokenizer(tmp_path / name, VOCABULARY)
    folder = train_teacher("teacher", [task_toml("intent")], "--backbone", str(tmp_path / "large"))

    def taught(teacher):
        return taught_by([teacher], write_recipe, data, tmp_path / "student", ("intent",))

    assert taught(f'{{folder = "{folder}", backbone = "{tmp_path}/large"}}')["intent"].shape == (96, 3)
    with pytest.raises(TrainingError, match="backbone of a teacher is not known.*backbone = "):
        taught(f'"{folder}"')
    with pytest.raises(TrainingError, match="another one than it was trained on.*other/model.safetensors"):
        taught(f'{{folder = "{folder}", backbone = "{tmp_path}/other"}}')


def test_a_teacher_with_another_template_is_refused(write_recipe, data, tmp_path, train_teacher):
    folder = train_teacher("teacher", [task_toml("duplicate").replace("COL price VAL ", "price ")])
    path = write_recipe([task_toml("duplicate")], more=f'[distillation]\nteachers = ["{folder}"]')
    with pytest.raises(TrainingError, match="another template.*COL price VAL .* of the recipe.*price .* of the teacher"):
        prepare(load_recipe(path, data))


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
