"""Rows, templates and labels, against the rules of tilewise's InputTemplate (src/model/task.h), written out by hand."""
import dataclasses
import gzip
import json
from types import SimpleNamespace

import pytest

from tilewise_training.batches import RowEncoder
from tilewise_training.errors import TrainingError
from tilewise_training.rows import Row, check_every_label_occurs, parse_label, read_json_lines, read_rows, render
from tilewise_training.settings import Template

TITLE_PRICE = Template((("title", "T "), ("price", "P ")), " | ")


@dataclasses.dataclass
class FakeTask:
    name: str = "t"
    kind: str = "multiclass"
    input: str = "text"
    labels: tuple = ("a", "b")
    label_field: str = "label"
    template: Template | None = None
    train: tuple = ("train.jsonl",)


@pytest.mark.parametrize(
    "record, text",
    [
        ('{"title": "mouse", "price": "5"}', "T mouse | P 5"),
        ('{"price": 5.50, "title": "mouse"}', "T mouse | P 5.50"),  # a number as it is written, in the template's order
        ('{"title": "", "price": 0}', "P 0"),  # empty text is left out, a zero is not
        ('{"title": null, "price": true}', "P true"),
        ('{"title": null}', ""),
        ('{"title": "mouse", "colour": "red"}', "T mouse"),
        ('"COL title"', "COL title"),  # text passes as it is
    ],
)
def test_template(tmp_path, record, text):
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"text": {record}}}\n')
    [(_, row)] = read_json_lines(path)
    assert render(TITLE_PRICE, row["text"], "here") == text


@pytest.mark.parametrize("content", [{}, {"colour": "red"}, {"title": ["a"]}, 5, None])
def test_content_that_is_refused(content):
    with pytest.raises(TrainingError, match="here"):
        render(TITLE_PRICE, content, "here")


@pytest.mark.parametrize(
    "kind, value, label",
    [
        ("binary", "1", 1.0),
        ("binary", False, 0.0),
        ("binary", None, 0.0),
        ("binary", "a", 1.0),
        ("multiclass", "b", 1),
        ("multilabel", ["b", "a"], (0, 1)),
        ("multilabel", [], ()),
    ],
)
def test_labels(kind, value, label):
    labels = ("a",) if kind == "binary" else ("a", "b")
    assert parse_label(FakeTask(kind=kind, labels=labels), value, "here") == label


@pytest.mark.parametrize("kind, value", [("binary", "2"), ("multiclass", "c"), ("multiclass", None), ("multilabel", "a"), ("regression", "1.5"), ("regression", None)])
def test_labels_that_are_refused(kind, value):
    with pytest.raises(TrainingError, match="does not fit task t.*rows.jsonl:3"):
        parse_label(FakeTask(kind=kind), value, "rows.jsonl:3")


def test_a_number_is_a_regression_s_label(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "x", "label": -1.5e1}\n')
    assert read_rows(FakeTask(kind="regression", labels=()), [path])[0].label == -15.0
    for label in ("NaN", "1e39"):  # the largest number of fp32 is 3.4e38
        path.write_text(f'{{"text": "x", "label": {label}}}\n')
        with pytest.raises(TrainingError, match="finite number"):
            read_rows(FakeTask(kind="regression", labels=()), [path])


def test_bad_lines_name_their_line(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps({"text": "x", "label": "a"}) + "\n\n{broken\n")
    with pytest.raises(TrainingError, match="rows.jsonl.gz:3"):
        read_rows(FakeTask(), [path])
    path = tmp_path / "rows.jsonl"
    path.write_text('{"txt": "x", "label": "a"}\n')
    with pytest.raises(TrainingError, match="lacks a field.*rows.jsonl:1.*expected text.*found txt, label"):
        read_rows(FakeTask(), [path])
    path.write_text("")
    with pytest.raises(TrainingError, match="has no rows"):
        read_rows(FakeTask(), [path])


def test_bytes_that_are_no_rows_name_their_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"text": "x", "label": "a"}\n{"text": "caf\xe9", "label": "a"}\n')
    with pytest.raises(TrainingError, match="not UTF-8.*rows.jsonl:2"):
        read_rows(FakeTask(), [path])
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(TrainingError, match="cannot be read.*rows.jsonl.gz:1.*a gzip file"):
        read_rows(FakeTask(), [path])
    path.write_bytes(gzip.compress(b'{"text": "x", "label": "a"}\n' * 3)[:-9])
    with pytest.raises(TrainingError, match="cannot be read.*rows.jsonl.gz:"):
        read_rows(FakeTask(), [path])


def test_a_row_that_cannot_be_tokenized_is_named(backbone):
    task = SimpleNamespace(name="t", max_tokens=8, truncation="only_first")
    encoder = RowEncoder(backbone, 1000)
    with pytest.raises(TrainingError, match="cannot be tokenized.*at rows:2;.*surrogates not allowed"):
        encoder.encode(task, [Row("rows:1", ("red",), 0), Row("rows:2", ("\ud800",), 0)])
    with pytest.raises(TrainingError, match="cannot be cut to max_tokens.*at rows:2;.*Use longest_first"):
        encoder.encode(task, [Row("rows:1", ("red", "blue"), 0), Row("rows:2", ("red", "blue " * 20), 0)])


def test_a_label_without_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "x", "label": "a"}\n')
    with pytest.raises(TrainingError, match="missing from its training data.*none for b"):
        check_every_label_occurs(FakeTask(), read_rows(FakeTask(), [path]))
