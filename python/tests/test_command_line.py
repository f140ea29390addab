"""The command line's numbers, bit for bit."""

import numpy
import pyarrow as pa
import pytest


def same(found, expected):
    """Both are float32: the one as a double, the other as the shortest text that reads back equal."""
    return numpy.array_equal(numpy.asarray(found, numpy.float32), numpy.asarray(expected, numpy.float32))


def test_texts(model, golden, command_line):
    for task in ("intent", "tags", "urgency", "vector"):
        texts = golden[task]
        flags = ["--logits"] * (task != "vector") + ["--top", "3"] * (task == "intent")
        lines = command_line(task, [{"text": text} for text in texts], *flags)
        rows = model.predict(task, texts, top=3, logits=True)
        table = model.predict(task, pa.chunked_array([texts[:3], texts[3:]]), top=3, logits=True)
        assert len(lines) == len(rows) == len(table) == len(texts) > 0
        for line, row, record in zip(lines, rows, table.to_pylist()):
            assert line.get("truncated", False) == row.truncated == record["truncated"]
            for name in ("value", "embedding", "logits"):
                if name in line:
                    assert same(getattr(row, name), line[name]) and same(record[name], line[name])
            if "labels" in line:
                labels = [entry["label"] for entry in line["labels"]]
                assert labels == [entry.label for entry in row.labels] == [entry["label"] for entry in record["labels"]]
                assert same([entry.score for entry in row.labels], [entry["score"] for entry in line["labels"]])
            if task == "intent":
                assert line.get("out_of_scope", False) == row.out_of_scope == record["out_of_scope"]


@pytest.mark.parametrize("both_orders", [False, True])
def test_pairs(model, golden, command_line, both_orders):
    pairs = golden["duplicate"]
    left, right = zip(*pairs)
    lines = command_line(
        "duplicate",
        [{"left": a, "right": b} for a, b in pairs],
        *["--logits"] + ["--both-orders"] * both_orders,
    )
    answers = [
        model.predict("duplicate", [a], [b], logits=True, both_orders=both_orders)[0] for a, b in zip(left, right)
    ]
    assert len(lines) == len(answers) == 14
    for line, row in zip(lines, answers):
        assert same(row.score, line["score"]) and same(row.logits, line["logits"])
        assert (row.label, row.truncated) == (line["label"], line.get("truncated", False))
