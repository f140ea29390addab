"""Token ids instead of text, as arrays of NumPy: against PyTorch's outputs of golden.json and against text."""

import json
import subprocess
import sys
import threading

import numpy
import pytest

import tilewise
from conftest import CHECKPOINTS

MAX_POSITIONS = 64  # of the tiny encoder


@pytest.fixture(scope="module")
def cases():
    """task -> rows of ids, types and what PyTorch computes from them."""
    cases = json.loads((CHECKPOINTS / "golden.json").read_text(encoding="utf-8"))["cases"]
    return {case["task"]: case["rows"] for case in cases if case["folder"] == "multi_task"}


def padded(rows, side="right", dtype=numpy.int64):
    """Arguments of Model.run() for rows of golden.json."""
    width = max(len(row["ids"]) for row in rows) + 3
    arrays = {name: numpy.zeros((len(rows), width), dtype) for name in ("input_ids", "attention_mask", "token_type_ids")}
    for i, row in enumerate(rows):
        count = len(row["ids"])
        place = slice(0, count) if side == "right" else slice(width - count, width)
        arrays["input_ids"][i, place] = row["ids"]
        arrays["attention_mask"][i, place] = 1
        arrays["token_type_ids"][i, place] = row["types"]
    return arrays


def test_outputs_are_those_of_pytorch(tmp_path, cases):
    path = tmp_path / "fp32.tw"
    with tilewise.compile(
        CHECKPOINTS / "multi_task", path, backbone=CHECKPOINTS / "bert", precision="fp32", replicas=1, pin=False
    ) as model:
        for task, rows in cases.items():
            outputs = model.run(task, **padded(rows))
            expected = [row.get("logits") or row["embedding"] for row in rows]
            assert outputs.dtype == numpy.float32 and outputs.shape == (len(rows), model.tasks[task].outputs)
            numpy.testing.assert_allclose(outputs, expected, rtol=0, atol=5e-5)  # as the C++ tests


def test_outputs_are_those_of_the_text_bit_for_bit(model, cases):
    for task in ("intent", "tags"):
        answers = model.predict(task, [row["input"]["text"] for row in cases[task]], logits=True)
        assert model.run(task, **padded(cases[task])).tolist() == [list(answer.logits) for answer in answers]
    vectors = model.predict("vector", [row["input"]["text"] for row in cases["vector"]])
    assert model.run("vector", **padded(cases["vector"])).tolist() == [list(answer.embedding) for answer in vectors]


def test_padding_does_not_count(model, cases):
    rows = cases["duplicate"]
    right = model.run("duplicate", **padded(rows))
    for arrays in (padded(rows, "left"), padded(rows, dtype=numpy.int32), padded(rows, "left", numpy.uint8)):
        assert (model.run("duplicate", **arrays) == right).all()
    garbage = padded(rows)
    garbage["input_ids"][garbage["attention_mask"] == 0] = 10**12
    garbage["token_type_ids"][garbage["attention_mask"] == 0] = -1
    assert (model.run("duplicate", **garbage) == right).all()
    for i, row in enumerate(rows):
        assert (model.run("duplicate", [row["ids"]], token_type_ids=[row["types"]]) == right[i]).all()


def test_any_layout_of_memory(model, cases):
    arrays = padded(cases["intent"])
    expected = model.run("intent", **arrays)
    assert (model.run("intent", **{name: numpy.asfortranarray(array) for name, array in arrays.items()}) == expected).all()
    assert (model.run("intent", **{name: numpy.repeat(array, 2, 1)[:, ::2] for name, array in arrays.items()}) == expected).all()
    backwards = {name: array[::-1] for name, array in arrays.items()}
    assert (model.run("intent", **backwards)[::-1] == expected).all()
    for array in arrays.values():
        array.flags.writeable = False
    assert (model.run("intent", **{**arrays, "attention_mask": arrays["attention_mask"] == 1}) == expected).all()


def test_a_big_batch_is_as_small_ones_and_threads_may_ask_at_once(model, cases):
    arrays = padded(cases["intent"])
    small = model.run("intent", **arrays)
    big = {name: numpy.tile(array, (100, 1)) for name, array in arrays.items()}
    found = []
    threads = [threading.Thread(target=lambda: found.append(model.run("intent", **big))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all((outputs == numpy.tile(small, (100, 1))).all() for outputs in found)


def test_no_sequences_no_outputs(model):
    assert model.run("intent", numpy.zeros((0, 7), numpy.int64)).shape == (0, 5)
    outputs = model.run("intent", [[2, 3]])
    outputs[:] = 0  # they are the caller's


IDS = numpy.full((3, 4), 7)
MASK = numpy.ones((3, 4), int)


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (("intents", IDS), LookupError, "intents; expected duplicate"),
        (("intent", IDS[0]), ValueError, "input_ids; expected sequences x tokens; found 4"),
        (("intent", 7), ValueError, "found one number"),
        (("intent", [[7, 8], [7]]), ValueError, "input_ids.*Pad"),
        (("intent", IDS * 1.0), ValueError, "input_ids; expected int64 or int32.*found float64"),
        (("intent", [["a"]]), ValueError, "input_ids"),
        (("intent", IDS, MASK[:2]), ValueError, "attention_mask; expected 3 x 4; found 2 x 4"),
        (("intent", IDS, MASK, IDS.T), ValueError, "token_type_ids; expected 3 x 4; found 4 x 3"),
        (("intent", IDS, MASK * 2), ValueError, "attention_mask, row 0; expected 0 or 1; found 2"),
        (("intent", IDS, [[1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 1, 1]]), ValueError, "attention_mask, row 2.*between"),
        (("intent", IDS, [[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 1]]), ValueError, "sequence 1 has a wrong length"),
        (("intent", [[7, 2**40]]), ValueError, "input_ids, row 0; found 1099511627776"),
        (("intent", [[7, 7], [7, 9999]]), ValueError, "sequence 1, token 1; expected 0 to .*found 9999"),
        (("intent", IDS, None, IDS), ValueError, "token type.*expected 0 to 1; found 7"),
        (("intent", numpy.full((1, MAX_POSITIONS + 1), 7)), ValueError, "expected 1 to 64 tokens; found 65"),
    ],
)
def test_wrong_calls_say_what_is_wrong(model, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        model.run(*arguments)
    assert isinstance(caught.value, tilewise.Error)


def test_longer_than_the_task_takes_runs_as_it_is(model):
    assert model.tasks["intent"].max_tokens < MAX_POSITIONS
    assert model.run("intent", numpy.full((1, MAX_POSITIONS), 7)).shape == (1, 5)


def test_a_temporary_artifact_and_no_pytorch_for_a_folder():
    """In a process of its own: these tests import more than tilewise does."""
    program = f"""
import os, sys, tilewise
with tilewise.compile({str(CHECKPOINTS / "bert")!r}, replicas=1, pin=False) as model:
    path = model.path
    assert os.path.isfile(path) and model.predict("embedding", "refund").embedding
del model
assert not os.path.exists(os.path.dirname(path))
print(sorted({{"torch", "transformers", "safetensors", "numpy"}} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout == "[]\n"


def test_a_closed_model_says_so(model_path):
    with tilewise.open(model_path, replicas=1, pin=False) as opened:
        pass
    with pytest.raises(tilewise.InvalidArgumentError, match="closed"):
        opened.run("intent", IDS)
