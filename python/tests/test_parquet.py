"""Parquet files in, one Parquet file out: the answers of Model.predict_arrow(), whatever the files and batches are."""

import os

import pytest

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

from tilewise import parquet as tilewise_parquet  # noqa: E402
from tilewise.errors import InvalidArgumentError, InvalidInputError, UnknownNameError  # noqa: E402


@pytest.fixture
def pairs(golden):
    """150 pairs, some of them without a left side."""
    sides = [(None if row % 11 == 4 else left, right) for row, (left, right) in enumerate(golden["duplicate"] * 150)][:150]
    texts = [[side if isinstance(side, str) else side and side.get("title", "") for side in pair] for pair in sides]
    return pyarrow.table({"id": range(150), "left": [left for left, _ in texts], "right": [right for _, right in texts], "more": ["x"] * 150})


def write(table, path, rows_of_a_group=17):
    parquet.write_table(table, path, row_group_size=rows_of_a_group)
    return path


def test_same_as_of_the_whole_table(tmp_path, model, model_path, pairs):
    expected = model.predict_arrow("duplicate", pairs, id="id")
    assert 0 < expected["error"].null_count < 150
    for batch_size in (1, 40, 1000):
        sources = [write(pairs.slice(0, 60), tmp_path / "1.parquet"), write(pairs.slice(60), tmp_path / "2.parquet")]
        output = tmp_path / "answers.parquet"
        assert tilewise_parquet.score(model_path, "duplicate", sources, output, id="id", batch_size=batch_size) == 150
        assert parquet.read_table(output).equals(expected)


def test_columns_of_records(tmp_path, model, model_path):
    flat = pyarrow.table({"left.title": ["red shoe", None], "left.brand": ["Acme", None], "right_title": ["shoe", "black case"]})
    output = tmp_path / "answers.parquet"
    tilewise_parquet.score(model_path, "duplicate", write(flat, tmp_path / "flat.parquet"), output, left="left")
    assert parquet.read_table(output).equals(model.predict_arrow("duplicate", flat, left="left."))


def test_files_whose_ids_differ_in_type(tmp_path, model, model_path, pairs):
    required = pairs.schema.set(0, pyarrow.field("id", pyarrow.int32(), nullable=False))
    sources = [write(pairs.slice(0, 60).cast(required), tmp_path / "1.parquet"), write(pairs.slice(60), tmp_path / "2.parquet")]
    output = tmp_path / "answers.parquet"
    assert tilewise_parquet.score(model_path, "duplicate", sources, output, id="id") == 150
    assert parquet.read_table(output).equals(model.predict_arrow("duplicate", pairs, id="id"))

    sources.append(write(pairs.set_column(0, "id", pairs["id"].cast("string")), tmp_path / "3.parquet"))
    with pytest.raises(InvalidInputError, match="do not agree on the columns to keep"):
        tilewise_parquet.score(model_path, "duplicate", sources, output, id="id")


def test_command_line(tmp_path, model, model_path, golden, capsys):
    texts = pyarrow.table({"key": [f"k{row}" for row, _ in enumerate(golden["intent"])], "query": golden["intent"]})
    output = tmp_path / "answers.parquet"
    arguments = [model_path, "--task", "intent", "--text", "query", "--id", "key", "--top", "3", "--logits", "--replicas", "1"]
    where = ["--input", write(texts, tmp_path / "texts.parquet"), "--output", output]
    assert tilewise_parquet.main(list(map(str, arguments + where))) == 0
    assert f"{len(texts)} rows" in capsys.readouterr().err
    assert parquet.read_table(output).equals(model.predict_arrow("intent", texts, text="query", id="key", top=3, logits=True))


def test_no_rows(tmp_path, model, model_path, pairs):
    output = tmp_path / "answers.parquet"
    assert tilewise_parquet.score(model_path, "duplicate", write(pairs.slice(0, 0), tmp_path / "0.parquet"), output, id="id") == 0
    assert parquet.read_schema(output).equals(model.predict_arrow("duplicate", pairs, id="id").schema)


def test_what_fails_leaves_the_old_file(tmp_path, model_path, pairs):
    good, other, bad, output = (tmp_path / name for name in ("good.parquet", "other.parquet", "bad.parquet", "answers.parquet"))
    write(pairs, good)
    write(pairs.drop_columns("right"), other)
    bad.write_bytes(good.read_bytes()[:-100])
    output.write_text("of yesterday", encoding="utf-8")
    for error, arguments in (
        (pyarrow.ArrowInvalid, ([good, bad],)),
        (UnknownNameError, ([good, other],)),
        (FileNotFoundError, (tmp_path / "nowhere.parquet",)),
        (InvalidArgumentError, ([],)),
    ):
        with pytest.raises(error):
            tilewise_parquet.score(model_path, "duplicate", *arguments, output, id="id")
    assert output.read_text(encoding="utf-8") == "of yesterday"
    assert sorted(os.listdir(tmp_path)) == ["answers.parquet", "bad.parquet", "good.parquet", "other.parquet"]
    where = ["--input", good, "--output", output]
    assert tilewise_parquet.main(list(map(str, [model_path, "--task", "nothing", *where]))) == 1
