"""From the extension's columns of answers to what callers get: objects, arrays of NumPy, or Arrow data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from tilewise.errors import row_error
from tilewise.inputs import Shape

if TYPE_CHECKING:
    import numpy
    import pyarrow

    from tilewise import _core
    from tilewise.model import Task

__all__ = ["LabelScore", "Prediction", "Predictions"]


class LabelScore(NamedTuple):
    """A label and its probability."""

    label: str
    score: float


@dataclass(frozen=True, repr=False, slots=True)
class Prediction:
    """The answer to one input; None for what the task's kind does not have.

    Floats are float32 numbers: equal to those of the command line.
    """

    score: float | None = None  # binary: the probability; multiclass: that of the label
    label: str | None = None  # binary: None under the threshold; multiclass: the best
    labels: tuple[LabelScore, ...] | None = None  # multiclass with top other than 1, multilabel; best first
    out_of_scope: bool | None = None  # multiclass: none of the labels
    value: float | None = None  # regression
    embedding: tuple[float, ...] | None = None
    logits: tuple[float, ...] | None = None  # if asked for
    depth: float | None = None  # tasks with exits: layers that the answer took; with both orders their mean
    truncated: bool = False  # the text was longer than the task takes and was cut

    def __repr__(self) -> str:
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        parts = [f"{name}={value!r}" for name, value in shown.items() if value is not None and value is not False]
        return f"Prediction({', '.join(parts)})"


@dataclass(frozen=True, slots=True)
class Predictions:
    """The answers to an array of inputs: the attributes of `Prediction` as arrays, a row an input.

    A row without an answer has NaN for numbers, and the reason in `error`.
    """

    score: numpy.ndarray | None = None  # float32
    label: numpy.ndarray | None = None  # of str or None
    labels: list[tuple[LabelScore, ...] | None] | None = None
    out_of_scope: numpy.ndarray | None = None  # bool
    value: numpy.ndarray | None = None  # float32
    embedding: numpy.ndarray | None = None  # float32, rows x length
    logits: numpy.ndarray | None = None  # float32, rows x outputs
    depth: numpy.ndarray | None = None  # float32
    truncated: numpy.ndarray | None = None  # bool
    error: numpy.ndarray | None = None  # of str or None

    def __len__(self) -> int:
        return 0 if self.truncated is None else len(self.truncated)


@dataclass(frozen=True)
class Form:
    """Which columns the answers of a call have, and of which types."""

    task: Task
    top: int = 1
    logits: bool = False

    def columns(self) -> list[str]:
        kind = self.task.kind
        names = {
            "binary": ["score", "label"],
            "multiclass": ["label", "score", "out_of_scope"] + (["labels"] if self.top != 1 else []),
            "multilabel": ["labels"],
            "regression": ["value"],
            "embedding": ["embedding"],
        }[kind]
        names += ["logits"] if self.logits and kind != "embedding" else []
        return names + (["depth"] if self.task.exits else []) + ["truncated"]

    def schema(self) -> pyarrow.Schema:
        import pyarrow as pa

        row = pa.list_(pa.float32(), self.task.outputs)
        types = {
            "score": pa.float32(),
            "label": pa.string(),
            "labels": pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())])),
            "out_of_scope": pa.bool_(),
            "value": pa.float32(),
            "embedding": row,
            "logits": row,
            "depth": pa.float32(),
            "truncated": pa.bool_(),
        }
        return pa.schema([(name, types[name]) for name in self.columns()] + [("error", pa.string())])


@dataclass(frozen=True)
class Answered:
    """The answers of one call."""

    form: Form
    shape: Shape
    parts: list[_core.Answers]
    raises: bool  # for the first row without an answer

    def __post_init__(self) -> None:
        if self.raises:
            self._raise_first()

    def _raise_first(self) -> None:
        failed = sum(len(part.failures) for part in self.parts)
        before = 0
        for part in self.parts:
            for row, message, parts in part.failures:
                raise row_error(before + row, failed, message, parts)
            before += part.rows

    def in_shape(self) -> Any:
        """As the inputs were."""
        if self.shape is Shape.ONE:
            return _to_rows(self.form, self.parts[0])[0]
        if self.shape is Shape.ROWS:
            return _to_rows(self.form, self.parts[0])
        if self.shape is Shape.ARRAYS:
            return _to_arrays(self.form, self.parts[0])
        return self.arrow()

    def scores_in_shape(self) -> Any:
        """The one number of each answer, as the inputs were."""
        name = "score" if self.form.task.kind == "binary" else "value"
        if self.shape is Shape.ARRAYS:
            return getattr(self.in_shape(), name)
        if self.shape in (Shape.BATCH, Shape.CHUNKS):
            return self.arrow().column(name)
        scores = [None if row is None else getattr(row, name) for row in _to_rows(self.form, self.parts[0])]
        return scores[0] if self.shape is Shape.ONE else scores

    def arrow(self) -> pyarrow.RecordBatch | pyarrow.Table:
        """A batch, or a table of chunks."""
        import pyarrow

        from tilewise.arrow_answers import to_batch

        batches = [to_batch(self.form, part) for part in self.parts]
        if self.shape is Shape.CHUNKS:
            return pyarrow.Table.from_batches(batches, schema=self.form.schema())
        return batches[0]


def _to_rows(form: Form, part: _core.Answers) -> list[Prediction | None]:
    columns = {name: _as_values(form.task, part, name) for name in form.columns()}
    rows: list[Prediction | None] = [
        Prediction(**dict(zip(columns, values))) for values in zip(*columns.values())
    ]
    for row, _, _ in part.failures:
        rows[row] = None
    return rows


def _as_values(task: Task, part: _core.Answers, name: str) -> list[Any]:
    """A column as Python's own values, for the attribute `name` of Prediction."""
    if name == "score":
        return part.scores.tolist()
    if name == "value":
        return part.values.tolist()
    if name == "depth":
        return part.depths.tolist()
    if name == "label":
        names = (*task.labels, None)  # -1 is the last
        return [names[label] for label in part.labels.tolist()]
    if name == "labels":
        return _ranked(task, part)
    if name == "truncated":
        return [bool(cut) for cut in part.truncated]
    if name == "out_of_scope":
        return [bool(outside) for outside in part.out_of_scope]
    floats = (part.embeddings if name == "embedding" else part.logits).tolist()
    return [tuple(floats[i : i + task.outputs]) for i in range(0, len(floats), task.outputs)]


def _ranked(task: Task, part: _core.Answers) -> list[tuple[LabelScore, ...]]:
    scores = part.ranked_scores.tolist()
    pairs = [LabelScore(task.labels[label], score) for label, score in zip(part.ranked_labels.tolist(), scores)]
    ends = part.ranked_ends.tolist()
    return [tuple(pairs[begin:end]) for begin, end in zip([0, *ends], ends)]


def _to_arrays(form: Form, part: _core.Answers) -> Predictions:
    import numpy

    columns = {name: _as_array(form.task, part, name) for name in form.columns()}
    columns["error"] = numpy.full(part.rows, None, dtype=object)
    for row, message, _ in part.failures:
        columns["error"][row] = message
        for name in ("score", "value", "embedding", "logits", "depth"):
            if name in columns:
                columns[name][row] = numpy.nan
        if "labels" in columns:
            columns["labels"][row] = None
    return Predictions(**columns)


def _as_array(task: Task, part: _core.Answers, name: str) -> Any:
    """A column as an array that may be written to, for the attribute `name` of Predictions."""
    import numpy

    if name == "labels":
        return list(_ranked(task, part))
    if name == "label":
        names = numpy.array([*task.labels, None], dtype=object)  # -1 is the last
        return names[numpy.asarray(part.labels)]
    columns = {
        "score": part.scores,
        "value": part.values,
        "embedding": part.embeddings,
        "logits": part.logits,
        "depth": part.depths,
        "truncated": part.truncated,
        "out_of_scope": part.out_of_scope,
    }
    array = numpy.array(columns[name])
    if name in ("truncated", "out_of_scope"):
        return array.astype(bool)
    return array.reshape(part.rows, task.outputs) if name in ("embedding", "logits") else array
