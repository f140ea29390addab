"""Adaptive depth: answers say how many layers they took, in every shape, and full depth can be asked for."""

import importlib.util

import numpy
import pyarrow
import pytest
from conftest import CHECKPOINTS, ROOT

import tilewise

LAYERS = 2


@pytest.fixture(scope="module")
def exits(tmp_path_factory):
    """`duplicate` and `intent` have an exit behind the first of two layers, of which every answer comes."""
    specification = importlib.util.spec_from_file_location("cli_harness", ROOT / "tests" / "cli" / "harness.py")
    harness = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(harness)
    folder = tmp_path_factory.mktemp("exits")
    harness.write_checkpoint_with_exits(folder / "checkpoint", harness.LEAST_CONFIDENCE)
    with tilewise.compile(folder / "checkpoint", folder / "model.tw", backbone=CHECKPOINTS / "bert") as model:
        yield model


TEXTS = ["where is my parcel", "refund", "the red shoes"]


def test_tasks_say_how_many_exits_they_have(exits, model):
    assert {name: task.exits for name, task in exits.tasks.items()} == {
        "duplicate": 1, "intent": 1, "tags": 0, "urgency": 0, "vector": 0}
    assert not any(task.exits for task in model.tasks.values())
    assert exits.tasks["intent"].outputs == 5, "the depth is none of them"


def test_lists(exits, model):
    early = exits.predict("intent", TEXTS, logits=True)
    assert [answer.depth for answer in early] == [1, 1, 1]
    assert [len(answer.logits) for answer in early] == [5, 5, 5]
    full = exits.predict("intent", TEXTS, full_depth=True)
    assert [answer.depth for answer in full] == [LAYERS] * 3
    assert [answer.score for answer in full] == [answer.score for answer in model.predict("intent", TEXTS)]
    assert [answer.depth for answer in exits.predict("tags", TEXTS)] == [None] * 3
    assert "depth=1.0" in repr(early[0])


def test_scores(exits, model):
    left, right = ["red mug"], ["mug, red"]
    assert exits.score("duplicate", left, right, full_depth=True) == model.score("duplicate", left, right)
    assert exits.score("duplicate", left, right) != model.score("duplicate", left, right)


def test_arrays_and_arrow(exits):
    assert exits.predict("intent", numpy.array(TEXTS)).depth.tolist() == [1, 1, 1]
    assert exits.predict("tags", numpy.array(TEXTS)).depth is None
    table = pyarrow.table({"text": pyarrow.array([*TEXTS, None])})
    for full_depth, depth in ((False, 1), (True, LAYERS)):
        answers = exits.predict_arrow("intent", table, full_depth=full_depth, logits=True)
        assert answers.schema == exits.answer_schema("intent", logits=True)
        assert answers["depth"].to_pylist() == [depth] * 3 + [None]
        assert answers["logits"].to_pylist()[3] is None
    assert "depth" not in exits.answer_schema("tags").names
