"""A mistake in a recipe names file, key, what is expected and what is found, before torch does any work."""
import pytest
from conftest import FAMILIES, recipe_toml, task_toml

from tilewise_training.errors import TrainingError
from tilewise_training.settings import load_recipe


def load(tmp_path, data, text):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return load_recipe(path, data)


def test_a_recipe_with_all_kinds_is_read(tmp_path, backbone, data):
    recipe = load(tmp_path, data, recipe_toml(backbone, [task_toml(name) for name in FAMILIES]))
    assert [task.kind for task in recipe.tasks] == [kind for kind, _, _ in FAMILIES.values()]
    assert recipe.schedule.lora.rank == 32
    assert recipe.tasks[0].random_order and not recipe.tasks[3].random_order


@pytest.mark.parametrize(
    "change, words",
    [
        (("epochs = 2", "epochs = 0"), ["recipe.toml: training.epochs", "at least 1", "found 0"]),
        (("epochs = 2", "epochz = 2"), ["unknown key", "recipe.toml: training.epochz", "Did you mean epochs"]),
        (("learning_rate = 5e-3", 'learning_rate = "fast"'), ["training.learning_rate", "a number", '"fast"']),
        (('kind = "multiclass"', 'kind = "multi_class"'), ["tasks.intent.kind", "Did you mean multiclass"]),
        (('input = "text"', ""), ["lacks a value", "tasks.intent.input"]),
        (("max_tokens = 32", "max_tokens = true"), ["tasks.intent.max_tokens", "found true"]),
        (('train = ["intent.train.jsonl"]', 'train = ["nowhere.jsonl"]'), ["A data file is missing", "tasks.intent.train", "nowhere.jsonl"]),
        (('train = ["intent.train.jsonl"]', 'train = ["intent.valid.jsonl"]'), ["no file that is also in valid"]),
        (("batch_size = 16", "batch_size = 16\nexits = [2, 1]"), ["tasks.intent.exits", "upwards"]),
        (("batch_size = 16", "batch_size = 16\nrandom_order = true"), ["random_order", "single texts"]),
        (("batch_size = 16", "batch_size = 16\n[tasks.template]\nfields = []"), ["tasks.intent.template.fields"]),
        (("batch_size = 16", 'batch_size = 16\nlabels = ["a", "a"]'), ["tasks.intent.labels", "distinct"]),
        (("batch_size = 16", 'batch_size = 16\nout_of_scope_valid = ["intent.valid.jsonl"]'), ["tasks.intent.valid", "each file once"]),
        (("epochs = 2", 'epochs = 2\ndevice = "gpu"'), ["training.device", "cpu, cuda or cuda:N"]),
        (("[training]", "[training"), ["is not TOML", "recipe.toml"]),
    ],
)
def test_mistakes_are_named(tmp_path, backbone, data, change, words):
    text = recipe_toml(backbone, [task_toml("intent")])
    assert change[0] in text
    with pytest.raises(TrainingError) as error:
        load(tmp_path, data, text.replace(*change))
    for word in words:
        assert word in str(error.value)


def test_a_backbone_that_is_not_there(tmp_path, data):
    with pytest.raises(TrainingError, match="lacks a file.*config.json"):
        load(tmp_path, data, recipe_toml(tmp_path / "nowhere", [task_toml("intent")]))
    text = recipe_toml("x", [task_toml("intent")]).replace('folder = "x"', 'package = "no-such-package"')
    with pytest.raises(TrainingError, match="not installed.*pip install"):
        load(tmp_path, data, text)


def test_another_backbone_than_the_recipe_s(tmp_path, backbone, data):
    text = recipe_toml(backbone, [task_toml("intent")]).replace("[backbone]", f'[backbone]\nsha256 = "{"0" * 64}"')
    with pytest.raises(TrainingError, match="another one"):
        load(tmp_path, data, text)


def test_two_tasks_of_one_name(tmp_path, backbone, data):
    with pytest.raises(TrainingError, match="Two tasks have one name"):
        load(tmp_path, data, recipe_toml(backbone, [task_toml("intent")] * 2))
