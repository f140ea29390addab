"""Columns of answers as Arrow data, on the extension's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from tilewise import _core
    from tilewise.answers import Form


def to_batch(form: Form, part: _core.Answers) -> pa.RecordBatch:
    """The columns of `form.schema()`; nulls where a row has no answer."""
    schema = form.schema()
    columns = _Columns(form, part)
    return pa.RecordBatch.from_arrays([columns.column(field) for field in schema], schema=schema)


class _Columns:
    def __init__(self, form: Form, part: _core.Answers) -> None:
        self._part = part
        self._rows = part.rows
        self._labels = pa.array(form.task.labels, pa.string())
        self._failures = part.failures
        self._valid = self._validity()

    def column(self, field: pa.Field) -> pa.Array:
        part = self._part
        if field.name == "score":
            return self._floats(part.scores)
        if field.name == "value":
            return self._floats(part.values)
        if field.name == "depth":
            return self._floats(part.depths)
        if field.name == "label":
            return self._best_labels()
        if field.name == "labels":
            return self._ranked_labels(field.type)
        if field.name in ("embedding", "logits"):
            values = part.embeddings if field.name == "embedding" else part.logits
            return pa.Array.from_buffers(field.type, self._rows, [self._valid], children=[_array(values, pa.float32())])
        if field.name == "error":
            return self._errors()
        flags = part.truncated if field.name == "truncated" else part.out_of_scope
        return pa.Array.from_buffers(pa.bool_(), self._rows, [self._valid, _bits(flags)])

    def _validity(self) -> pa.Buffer | None:
        if not self._failures:
            return None
        valid = bytearray(b"\x01") * self._rows
        for row, _, _ in self._failures:
            valid[row] = 0
        return _bits(memoryview(valid))

    def _floats(self, values: memoryview) -> pa.Array:
        return pa.Array.from_buffers(pa.float32(), self._rows, [self._valid, pa.py_buffer(values)])

    def _best_labels(self) -> pa.Array:
        labels = _array(self._part.labels, pa.int32())
        return self._labels.take(pc.if_else(pc.less(labels, 0), None, labels))

    def _ranked_labels(self, kind: pa.DataType) -> pa.Array:
        part = self._part
        ends = _array(part.ranked_ends, pa.int64())
        offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends]).cast(pa.int32())
        labels = self._labels.take(_array(part.ranked_labels, pa.int32()))
        scores = _array(part.ranked_scores, pa.float32())
        pairs = pa.StructArray.from_arrays([labels, scores], fields=list(kind.value_type))
        return pa.Array.from_buffers(kind, self._rows, [self._valid, offsets.buffers()[1]], children=[pairs])

    def _errors(self) -> pa.Array:
        if not self._failures:
            return pa.nulls(self._rows, pa.string())
        messages = dict((row, message) for row, message, _ in self._failures)
        return pa.array([messages.get(row) for row in range(self._rows)], pa.string())


def _array(values: memoryview, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _bits(flags: memoryview) -> pa.Buffer:
    """One bit for each byte, which is 0 or 1."""
    if len(flags) == 0:
        return pa.py_buffer(b"")
    return _array(flags, pa.uint8()).cast(pa.bool_()).buffers()[1]
