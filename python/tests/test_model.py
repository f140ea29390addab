"""Opening, asking lists and single inputs, and what goes wrong."""

import multiprocessing
import pickle

import numpy
import pytest

import tilewise


def test_tells_its_tasks(model):
    assert list(model.tasks) == ["duplicate", "intent", "tags", "urgency", "vector"]
    intent = model.tasks["intent"]
    assert (intent.kind, intent.input, intent.max_tokens) == ("multiclass", "text", 40)
    assert intent.labels == ("order_status", "refund", "product_search", "small_talk", "other")
    assert (intent.outputs, model.tasks["vector"].outputs) == (5, 32)
    assert model.replicas == 2 and model.isa
    assert "duplicate" in repr(model)
    with pytest.raises(TypeError):
        model.tasks["more"] = intent


def test_one_input_gives_one_answer(model):
    one = model.predict("intent", "where is my parcel")
    assert isinstance(one, tilewise.Prediction)
    assert [one] == model.predict("intent", ["where is my parcel"])
    assert one.label in model.tasks["intent"].labels and 0 < one.score < 1
    assert one.value is None and one.embedding is None and one.logits is None
    assert "label=" in repr(one) and "value" not in repr(one)
    score = model.score("duplicate", "red shoe", "red shoes")
    assert [score] == model.score("duplicate", ["red shoe"], ["red shoes"])


def test_every_kind_has_its_attributes(model):
    texts = ["where is my parcel", "Refund?"]
    best = model.predict("intent", texts)[0]
    full = model.predict("intent", texts, top=0, logits=True)[0]
    assert len(full.labels) == 5 and full.labels[0] == (best.label, best.score)
    assert [entry.score for entry in full.labels] == sorted((entry.score for entry in full.labels), reverse=True)
    assert len(full.logits) == 5 and isinstance(full.out_of_scope, bool)
    assert len(model.predict("intent", texts, top=2)[1].labels) == 2
    tags = model.predict("tags", texts)
    assert all(entry.label in model.tasks["tags"].labels for answer in tags for entry in answer.labels)
    assert isinstance(model.predict("urgency", texts)[0].value, float)
    assert len(model.predict("vector", texts)[0].embedding) == 32


def test_pairs_and_records(model):
    mug = {"title": "steel mug", "brand": "Acme", "price": 12.5}
    cup = {"title": "mug, steel", "brand": None, "colour": "grey"}
    plain = model.predict("duplicate", [mug], [cup], logits=True)[0]
    assert plain.label in (None, "duplicate")
    # A missing field and one that the template does not read count for nothing; a number is its text.
    assert plain == model.predict(
        "duplicate", [{**mug, "price": "12.5"}], [{"title": "mug, steel", "brand": float("nan")}], logits=True
    )[0]
    swapped = model.predict("duplicate", [cup], [mug], logits=True)[0]
    both = model.predict("duplicate", [mug], [cup], logits=True, both_orders=True)[0]
    mean = (numpy.float32(plain.logits[0]) + numpy.float32(swapped.logits[0])) / numpy.float32(2)
    assert both.logits == (float(mean),)
    assert model.predict("duplicate", [mug], [cup], threshold=100)[0].label is None
    assert model.score("duplicate", [mug], [cup]) == [plain.score]


def test_long_text_is_cut_and_says_so(model):
    short, long = model.predict("intent", ["refund", "refund " * 100])
    assert not short.truncated and long.truncated and "truncated=True" in repr(long)


def test_no_inputs_no_answers(model):
    assert model.predict("intent", []) == []
    assert model.score("duplicate", [], []) == []


def test_any_text_is_answered(model):
    texts = ["", "\0", "caf\u00e9 \U0001f600", "lone \ud800 half", "\ufffd", "x" * 100_000]
    assert len(model.predict("vector", texts)) == len(texts)
    halves = model.predict("vector", ["lone \udfff half", "lone \ufffd half"])
    assert halves[0] == halves[1]
    assert model.predict("vector", ["\ud83d\ude00"]) == model.predict("vector", ["\U0001f600"])


def test_bad_rows_raise_or_are_none(model):
    records = [{"title": "mug"}, {"colour": "red"}, {"title": "cup"}, None]
    others = ["mug"] * 4
    message = r"row 1\b.*none of the fields.*title, brand, price.*2 have no answer"
    with pytest.raises(tilewise.RowError, match=message) as error:
        model.score("duplicate", records, others)
    assert (error.value.row, error.value.rows) == (1, 2)
    assert error.value.found == "colour"
    assert isinstance(error.value, (ValueError, tilewise.InvalidInputError))
    scores = model.score("duplicate", records, others, errors="null")
    assert scores[1] is None and scores[3] is None
    assert [scores[0], scores[2]] == model.score("duplicate", [records[0], records[2]], others[:2])
    assert model.predict("intent", ["refund", None], errors="null")[1] is None
    with pytest.raises(tilewise.RowError, match="no template"):
        model.predict("intent", {"title": "mug"})


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m: m.predict("intents", "x"), LookupError, "intents; expected duplicate, intent"),
        (lambda m: m.predict("duplicate", "x"), ValueError, "takes pairs"),
        (lambda m: m.predict("intent", "x", "y"), ValueError, "takes single texts"),
        (lambda m: m.predict("intent", "x", top=-1), ValueError, "top"),
        (lambda m: m.predict("intent", "x", both_orders=True), ValueError, "other order"),
        (lambda m: m.predict("intent", "x", errors="ignore"), ValueError, "ignore"),
        (lambda m: m.predict("intent", 7), TypeError, "int"),
        (lambda m: m.predict("intent", [7]), TypeError, "int"),
        (lambda m: m.predict("intent", ["x", b"y"]), TypeError, "row 1; expected str.*bytes"),
        (lambda m: m.predict("intent", ["x", {"title": "y"}]), TypeError, "row 1.*dict"),
        (lambda m: m.score("duplicate", [{"title": ["a"]}], ["x"]), TypeError, 'row 0, field "title".*list'),
        (lambda m: m.score("duplicate", ["x", "y"], ["z"]), ValueError, "expected 2; found 1"),
        (lambda m: m.score("intent", "x", "y"), ValueError, "multiclass"),
        (lambda m: m.score("duplicate", "x", None), ValueError, "pairs"),
    ],
)
def test_wrong_calls_say_what_is_wrong(model, call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(model)
    assert isinstance(caught.value, tilewise.Error)


def test_open_refuses_what_it_cannot_open(tmp_path, model_path):
    foreign = tmp_path / "foreign.tw"
    foreign.write_bytes(b"not a model")
    with pytest.raises(FileNotFoundError, match="nothing.tw") as missing:
        tilewise.open(tmp_path / "nothing.tw")
    assert isinstance(missing.value, tilewise.NotFoundError) and "nothing.tw" in missing.value.where
    with pytest.raises(tilewise.InvalidInputError, match="foreign.tw"):
        tilewise.open(foreign)
    with pytest.raises(tilewise.InvalidArgumentError, match="sse9"):
        tilewise.open(model_path, isa="sse9")
    with pytest.raises(tilewise.InvalidArgumentError, match="replicas"):
        tilewise.open(model_path, replicas=-1)
    with pytest.raises(tilewise.MachineError, match="4096"):
        tilewise.open(model_path, cores_per_replica=4096)


def test_closes(model_path):
    with tilewise.open(model_path, replicas=1, pin=False) as opened:
        opened.predict("intent", "x")
    with pytest.raises(tilewise.InvalidArgumentError, match="closed"):
        opened.predict("intent", "x")
    assert "closed" in repr(opened)


def test_pickles_as_its_path(model_path, model):
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.path, copy.replicas) == (str(model_path), 2)
    assert copy.predict("intent", "refund") == model.predict("intent", "refund")


def test_errors_pickle():
    error = tilewise.RowError("row 3", row=3, rows=9, where="here")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.row, copy.rows, copy.where) == ("row 3", 3, 9, "here")
    assert str(pickle.loads(pickle.dumps(tilewise.NotFoundError("no file")))) == "no file"


def _ask_in_child(model, queue):
    try:
        queue.put(model.predict("intent", "refund"))
    except tilewise.Error as error:
        queue.put(str(error))


def test_a_fork_is_told_to_open_it_anew(model):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_ask_in_child, args=(model, queue))
    child.start()
    assert "fork" in queue.get(timeout=60)
    child.join(60)
    assert child.exitcode == 0


def test_compiles_the_same_bytes(tmp_path, model_path):
    from conftest import CHECKPOINTS

    path = tmp_path / "again.tw"
    tilewise.compile(str(CHECKPOINTS / "multi_task"), str(path), backbone=str(CHECKPOINTS / "bert"))
    assert path.read_bytes() == model_path.read_bytes()
    with pytest.raises(FileNotFoundError, match="nonexistent"):
        tilewise.compile("/nonexistent", tmp_path / "x.tw")
    with pytest.raises(tilewise.InvalidArgumentError, match="int4"):
        tilewise.compile(CHECKPOINTS / "bert", tmp_path / "x.tw", precision="int4")
    with pytest.raises(OSError, match="nonexistent"):
        tilewise.compile(CHECKPOINTS / "bert", "/nonexistent/x.tw")
    assert not (tmp_path / "x.tw").exists()
