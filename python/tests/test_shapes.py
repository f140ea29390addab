"""NumPy and Arrow in and out; the answers are always those of a list."""

import datetime
import decimal

import numpy
import pyarrow as pa
import pytest

import tilewise

TEXTS = ["where is my parcel", "", "Black Caf\u00e9 shoes", "refund " * 100, "\u4e2d\u6587 \U0001f600 hello"] * 30


def test_numpy_arrays(model):
    for array in (numpy.array(TEXTS), numpy.array(TEXTS, dtype=object)):
        answers = model.predict("intent", array, top=2, logits=True)
        expected = model.predict("intent", TEXTS, top=2, logits=True)
        assert len(answers) == len(TEXTS) and answers.score.dtype == numpy.float32
        for i, row in enumerate(expected):
            assert (answers.label[i], float(answers.score[i]), answers.labels[i]) == (row.label, row.score, row.labels)
            assert (bool(answers.truncated[i]), bool(answers.out_of_scope[i])) == (row.truncated, row.out_of_scope)
            assert tuple(answers.logits[i].tolist()) == row.logits
    vectors = model.predict("vector", numpy.array(TEXTS)).embedding
    assert vectors.shape == (len(TEXTS), 32) and vectors.dtype == numpy.float32
    assert tuple(vectors[2].tolist()) == model.predict("vector", TEXTS[2]).embedding
    scores = model.score("duplicate", numpy.array(TEXTS), numpy.array(TEXTS[::-1]))
    assert scores.dtype == numpy.float32 and scores.tolist() == model.score("duplicate", TEXTS, TEXTS[::-1])
    with pytest.raises(tilewise.InvalidArgumentError, match=r"\(2, 2\)"):
        model.predict("intent", numpy.array([["a", "b"], ["c", "d"]]))


def test_numpy_rows_without_an_answer(model):
    array = numpy.array(["refund", None, numpy.nan], dtype=object)
    with pytest.raises(tilewise.RowError, match="row 1"):
        model.predict("urgency", array)
    answers = model.predict("urgency", array, errors="null")
    assert answers.value[0] == numpy.float32(model.predict("urgency", "refund").value)
    assert numpy.isnan(answers.value[1:]).all() and answers.error[0] is None and "no text" in answers.error[2]
    tags = model.predict("tags", array, errors="null")
    assert tags.labels[1] is None and tags.labels[0] == model.predict("tags", "refund").labels


def layouts(texts):
    yield pa.array(texts, pa.string())
    yield pa.array(texts, pa.large_string())
    if hasattr(pa, "string_view"):
        yield pa.array(texts, pa.string_view())
    yield pa.array(texts).dictionary_encode()
    yield pa.array(["before", None, *texts, "behind"])[2:-1]  # a slice


@pytest.mark.parametrize("layout", range(5))
def test_arrow_arrays_in_every_layout(model, layout):
    array = list(layouts(TEXTS))[layout]
    assert array.to_pylist() == TEXTS
    batch = model.predict("intent", array, top=3, logits=True)
    assert isinstance(batch, pa.RecordBatch) and batch.validate(full=True) is None
    assert batch.schema == model.answer_schema("intent", top=3, logits=True)
    assert batch.column("error").null_count == len(TEXTS)
    for got, row in zip(batch.to_pylist(), model.predict("intent", TEXTS, top=3, logits=True)):
        assert (got["label"], got["score"], tuple(got["logits"])) == (row.label, row.score, row.logits)
        assert [tuple(entry.values()) for entry in got["labels"]] == list(row.labels)
        assert (got["truncated"], got["out_of_scope"]) == (row.truncated, row.out_of_scope)


def test_arrow_answers_of_every_kind(model):
    texts = ["refund", None, "hello", None]
    expected = {task: model.predict(task, ["refund", "hello"]) for task in ("tags", "urgency", "vector")}
    for array in (pa.array(texts), pa.chunked_array([texts[:1], texts[1:3], [], texts[3:]])):
        tables = {task: model.predict(task, array, errors="null") for task in expected}
        shape = pa.RecordBatch if isinstance(array, pa.Array) else pa.Table
        assert {type(table) for table in tables.values()} == {shape}
        for task, table in tables.items():
            table.validate(full=True)
            assert table.schema == model.answer_schema(task)
            assert [entry is None for entry in table["error"].to_pylist()] == [True, False, True, False]
            assert all(table.column(name)[1].as_py() is None for name in table.schema.names if name != "error")
        rows = [0, 2]
        assert [tables["urgency"]["value"][i].as_py() for i in rows] == [row.value for row in expected["urgency"]]
        vectors = [tuple(tables["vector"]["embedding"][i].as_py()) for i in rows]
        assert vectors == [row.embedding for row in expected["vector"]]
        labels = [tuple(tuple(e.values()) for e in tables["tags"]["labels"][i].as_py()) for i in rows]
        assert labels == [row.labels for row in expected["tags"]]
    with pytest.raises(tilewise.RowError, match="row 1") as error:
        model.predict("tags", pa.chunked_array([["a"], [None]]))
    assert error.value.row == 1


def test_no_rows(model):
    for empty in (pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        answers = model.predict("intent", empty, top=0)
        assert answers.num_rows == 0 and answers.schema == model.answer_schema("intent", top=0)
    assert len(model.predict("intent", numpy.array([], dtype=object))) == 0
    nothing = pa.array([], "string")
    assert model.predict_arrow("duplicate", pa.table({"left": nothing, "right": nothing})).num_rows == 0


PAIRS = pa.table(
    {
        "id": [10, 11, 12],
        "left_title": ["steel mug", None, "red shoe"],
        "left_brand": ["Acme", None, None],
        "left_price": [12.5, None, 3.0],
        "right.title": ["mug, steel", "cup", "red shoes"],
        "right.price": ["12.50", None, ""],
    }
)
LEFT = [{"title": "steel mug", "brand": "Acme", "price": "12.5"}, {}, {"title": "red shoe", "price": "3"}]
RIGHT = [{"title": "mug, steel", "price": "12.50"}, {"title": "cup"}, {"title": "red shoes", "price": ""}]


def check_pairs(model, answers):
    scores = model.score("duplicate", LEFT, RIGHT, errors="null")
    assert scores[1] is None and None not in (scores[0], scores[2])
    assert answers["score"].to_pylist() == scores
    assert "none of the fields" in answers["error"][1].as_py()


def test_pairs_by_prefix(model):
    for table in (PAIRS, PAIRS.to_batches()[0]):
        for names in ({}, {"left": "left_", "right": "right."}, {"left": "left", "right": "right"}):
            answers = model.predict_arrow("duplicate", table, id="id", **names)
            assert type(answers) is type(table)
            assert answers.schema.names == ["id", "score", "label", "truncated", "error"]
            assert answers["id"].to_pylist() == [10, 11, 12]
            check_pairs(model, answers)
    sliced = model.predict_arrow("duplicate", PAIRS.slice(2), id="id")
    assert sliced["score"].to_pylist() == [model.score("duplicate", LEFT[2], RIGHT[2])]
    chunks = pa.concat_tables([PAIRS.slice(0, 1), PAIRS.slice(1)])
    check_pairs(model, model.predict_arrow("duplicate", chunks))


def test_pairs_of_structs(model):
    left = pa.array([LEFT[0], None, LEFT[2]], pa.struct([(name, pa.string()) for name in ("title", "brand", "price")]))
    right = pa.array(RIGHT, pa.struct([("title", pa.large_string()), ("price", pa.string())]))
    check_pairs(model, model.predict_arrow("duplicate", pa.table({"left": left, "right": right})))
    check_pairs(model, model.predict("duplicate", left, right, errors="null"))
    check_pairs(model, model.predict("duplicate", pa.chunked_array([left[:2], left[2:]]), right, errors="null"))
    assert model.score("duplicate", left[2:], right[2:]).to_pylist() == [model.score("duplicate", LEFT[2], RIGHT[2])]
    table = pa.table({"title": ["red shoe"], "price": [3.0]})  # a table's rows are records
    assert model.score("duplicate", table, pa.array(["mug"])).to_pylist() == [model.score("duplicate", LEFT[2], "mug")]
    garbage = pa.StructArray.from_arrays([pa.array(["a", "b"])], ["title"], mask=pa.array([False, True]))
    answers = model.predict("duplicate", garbage, pa.array(["x", "y"]), errors="null")
    assert answers["score"][1].as_py() is None  # what lies under a null is not read


def test_other_types_become_text(model):
    columns = {
        "whole": (pa.array([42]), "42"),
        "real": (pa.array([12.5]), "12.5"),
        "decimal": (pa.array([decimal.Decimal("12.50")]), "12.50"),
        "truth": (pa.array([True]), "true"),
        "day": (pa.array([datetime.date(2024, 2, 29)]), "2024-02-29"),
        "category": (pa.array(["mug"]).dictionary_encode(), "mug"),
    }
    for column, text in columns.values():
        record = pa.StructArray.from_arrays([column], ["title"])
        assert model.score("duplicate", record, pa.array(["mug"])).to_pylist() == [
            model.score("duplicate", {"title": text}, "mug")
        ]


def test_nan_is_missing_whoever_sends_it(model):
    other = [{"title": "mug, steel"}]
    expected = model.score("duplicate", [{"title": "steel mug", "price": None}], other)
    assert expected != model.score("duplicate", [{"title": "steel mug", "price": "nan"}], other)
    for nan in (float("nan"), numpy.float32("nan"), decimal.Decimal("nan")):
        assert model.score("duplicate", [{"title": "steel mug", "price": nan}], other) == expected
    for kind in (pa.float64(), pa.float32()):
        records = pa.StructArray.from_arrays([pa.array(["steel mug"]), pa.array([float("nan")], kind)], names=["title", "price"])
        assert model.score("duplicate", records, pa.array(other)).to_pylist() == expected


def test_lists_in_columns_of_records_are_missing(model):
    record = {"title": "steel mug", "images": ["a.png"], "size": {"cm": 9}}
    expected = model.score("duplicate", [{"title": "steel mug"}], [{"title": "mug"}])
    assert model.score("duplicate", pa.array([record]), pa.array([{"title": "mug"}])).to_pylist() == expected
    with pytest.raises(tilewise.WrongTypeError, match="no fields that are text"):
        model.score("duplicate", pa.array([{"images": ["a.png"]}]), pa.array([{"title": "mug"}]))


def test_a_name_that_stands_twice(model):
    table = pa.table([["steel mug"], ["mug"], ["cup"]], names=["left", "right", "right"])
    with pytest.raises(tilewise.InvalidArgumentError, match="several columns of this name"):
        model.predict_arrow("duplicate", table)


def test_bad_utf8_is_read_as_everywhere(model):
    raw = b"caf\xe9 shoes"
    offsets = pa.py_buffer(numpy.array([0, len(raw)], dtype=numpy.int32).tobytes())
    array = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(raw)])
    answer = model.predict("vector", array).to_pylist()[0]["embedding"]
    assert tuple(answer) == model.predict("vector", raw.decode(errors="replace")).embedding


@pytest.mark.parametrize("offsets", [[3, 900], [900, 5], [-4, 5], [5, 3]])
def test_broken_offsets_are_refused(model, offsets):
    memory = numpy.array([0, 3, 5], dtype=numpy.int32)
    array = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(memory), pa.py_buffer(b"01234")])
    memory[1:] = offsets  # as of a broken file, which pyarrow does not look at
    with pytest.raises(tilewise.InvalidInputError):
        model.predict("intent", array)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda m: m.predict_arrow("duplicate", PAIRS, left="lefts"), LookupError, "lefts; found id, left_title"),
        (lambda m: m.predict_arrow("duplicate", PAIRS, id="key"), LookupError, "key"),
        (lambda m: m.predict_arrow("intent", PAIRS), LookupError, "text"),
        (lambda m: m.predict_arrow("intent", ["a"]), TypeError, "list"),
        (lambda m: m.predict_arrow("intent", pa.table({"text": [["a"]]})), TypeError, "list<"),
        (lambda m: m.predict_arrow("intent", pa.table({"text": [b"a"]})), TypeError, "binary"),
        (lambda m: m.predict_arrow("intent", pa.table({"text": ["a"], "score": [1]}), id="score"), ValueError, "score"),
        (lambda m: m.predict("duplicate", pa.array(["a", "b"]), pa.array(["c"])), ValueError, "expected 2; found 1"),
        (lambda m: m.predict("duplicate", pa.array(["a"]), ["c"]), TypeError, "Arrow"),
        (lambda m: m.predict_arrow("intent", pa.table({"text": ["a", None]}), errors="raise"), ValueError, "row 1"),
    ],
)
def test_wrong_tables_say_what_is_wrong(model, call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(model)
    assert isinstance(caught.value, tilewise.Error)


def test_whatever_speaks_arrow(model):
    class Array:
        """As another library's: the protocol and nothing else."""

        def __init__(self, values):
            self._values = values

        def __arrow_c_array__(self, requested_schema=None):
            return self._values.__arrow_c_array__(requested_schema)

    class Stream:
        def __init__(self, values):
            self._values = values

        def __arrow_c_stream__(self, requested_schema=None):
            return self._values.__arrow_c_stream__(requested_schema)

    expected = model.predict("intent", pa.array(TEXTS))
    assert model.predict("intent", Array(pa.array(TEXTS))) == expected
    stream = model.predict("intent", Stream(pa.chunked_array([TEXTS[:7], TEXTS[7:]])))
    assert stream.combine_chunks().to_batches() == [expected]
    check_pairs(model, model.predict_arrow("duplicate", Array(PAIRS.to_batches()[0])))
    check_pairs(model, model.predict_arrow("duplicate", Stream(PAIRS)))


def test_pandas(model):
    pandas = pytest.importorskip("pandas")
    answers = model.predict("intent", pandas.Series(["refund", "hello"]))
    assert answers.label.tolist() == [row.label for row in model.predict("intent", ["refund", "hello"])]
    frame = pandas.DataFrame({"left_title": ["steel mug", None], "right_title": ["mug", "cup"]})
    got = model.predict_arrow("duplicate", frame)
    assert got["score"].to_pylist() == [model.score("duplicate", {"title": "steel mug"}, {"title": "mug"}), None]
