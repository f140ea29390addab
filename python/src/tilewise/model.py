"""A model that is open: texts, records and pairs in, answers out."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tilewise import _core, answers, inputs
from tilewise.errors import InvalidArgumentError, UnknownNameError

if TYPE_CHECKING:
    import numpy
    import pyarrow

    from tilewise.torch import Forward

    Path = str | os.PathLike[str]
    Errors = Literal["raise", "null"]

__all__ = ["Model", "Task", "open"]


@dataclass(frozen=True)
class Task:
    """One head of a model."""

    name: str
    kind: str  # "binary", "multiclass", "multilabel", "regression" or "embedding"
    input: str  # "text" or "pair"
    labels: tuple[str, ...]
    max_tokens: int  # longer input is cut, and the answer says so (`truncated`)
    outputs: int  # floats of one answer: the logits, or the length of an embedding
    exits: int = 0  # inner layers behind which an answer that is certain ends the pass


def open(
    path: Path, *, replicas: int = 0, isa: str | None = None, cores_per_replica: int = 1, pin: bool = True
) -> Model:
    """Opens an artifact, which takes milliseconds: `tilewise.open("model.tw")`. See `Model`."""
    return Model(path, replicas=replicas, isa=isa, cores_per_replica=cores_per_replica, pin=pin)


class Model:
    """An artifact with its replicas: one thread a core.

    Thread-safe: any number of threads may ask at once, and other Python threads run meanwhile. A context manager; the
    threads end with close(), or with the last reference. Pickling keeps the path and the options and opens it anew.
    After a fork, open it in the child.

    Args:
        path: the `.tw` file. It is mapped, so processes that open the same one share its memory.
        replicas: 0 for as many as the cores of the cpuset and quota are enough for.
        isa: at most this instruction set ("amx", "avx512_bf16", "avx512", "avx2"); None for the best of this machine.
        cores_per_replica: cores that share each pass. More answer a single call sooner and get less done in total.
        pin: pin each thread to its core.

    Raises:
        NotFoundError, InputOutputError, InvalidInputError (a broken file), InvalidArgumentError (an option),
        MachineError (too few cores, or the instruction set does not run here): all of them `tilewise.Error`.
    """

    def __init__(
        self,
        path: Path,
        *,
        replicas: int = 0,
        isa: str | None = None,
        cores_per_replica: int = 1,
        pin: bool = True,
    ) -> None:
        self._path = os.path.abspath(os.fsdecode(path))
        self._options = {"replicas": replicas, "isa": isa, "cores_per_replica": cores_per_replica, "pin": pin}
        self._core: _core.Model | None = _core.Model(os.fsdecode(path), isa or "", replicas, cores_per_replica, pin)
        self._tasks = {
            name: Task(name, kind, taken, tuple(labels), max_tokens, outputs, exits)
            for name, kind, taken, labels, max_tokens, outputs, exits in self._core.tasks
        }

    @property
    def path(self) -> str:
        """Where the artifact lies."""
        return self._path

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The tasks by their names, in the order of the model."""
        return types.MappingProxyType(self._tasks)

    @property
    def isa(self) -> str:
        """The instruction set that really runs. Numbers are equal bit for bit on one of them."""
        return self._opened().isa

    @property
    def replicas(self) -> int:
        """How many copies answer at once."""
        return self._opened().replicas

    def predict(
        self,
        task: str,
        texts: Any,
        right: Any = None,
        *,
        top: int = 1,
        logits: bool = False,
        both_orders: bool = False,
        threshold: float | None = None,
        full_depth: bool = False,
        errors: Errors = "raise",
    ) -> Any:
        """Everything that `task` says about each text (or pair: `texts` are then the left sides).

        An input is a text (str), or a record (dict: field -> str, number, bool or None) that the task's template turns
        into text. The answers have the shape of the inputs:

        ============================================================  ==================================================
        one text or record                                            a `Prediction`
        a list (or other iterable) of them                            a list of `Prediction`
        a NumPy array of strings, a Series of pandas                  `Predictions`: the same attributes as arrays
        Arrow: an array, a chunked array; a record batch, a table, a  a pyarrow.RecordBatch, or a Table for what comes
        DataFrame of pandas or polars (its columns are the fields)    in chunks; columns as of predict_arrow()
        ============================================================  ==================================================

        Args:
            top: labels of a multiclass answer, best first; 0 for all.
            logits: also give the raw outputs of the head.
            both_orders: pairs; the answer is of the mean of both orders.
            threshold: binary and multilabel; on the logit, instead of the task's own.
            full_depth: all layers for every input; a task's exits are not used.
            errors: "raise" a RowError for the first row without an answer, or have "null" for its answer (None in a
                list, NaN in arrays, null in Arrow).

        Raises:
            UnknownNameError: no such task.
            InvalidArgumentError, WrongTypeError: an option, or inputs that do not fit the task.
            RowError: a row cannot be answered, for example a record without any of the template's fields.
        """
        options = _Options(top, logits, both_orders, threshold, errors, full_depth)
        return self._ask(task, texts, right, options=options).in_shape()

    def score(
        self,
        task: str,
        left: Any,
        right: Any,
        *,
        both_orders: bool = False,
        full_depth: bool = False,
        errors: Errors = "raise",
    ) -> Any:
        """One number for each pair: the probability of a binary task, the value of a regression.

        `left`, `right` and the other arguments are as for predict(). A float for one pair, a list of floats for lists,
        a float32 array for NumPy arrays, and a pyarrow.FloatArray (or ChunkedArray) for Arrow data.
        """
        if self._task(task).kind not in ("binary", "regression"):
            raise InvalidArgumentError(
                f"A score is one number, and the task gives more (at {task}; expected binary or regression; found "
                f"{self._tasks[task].kind}). Call predict()."
            )
        if right is None:
            raise InvalidArgumentError(f"A score is of pairs (at {task}). Call predict() for single texts.")
        options = _Options(both_orders=both_orders, errors=errors, full_depth=full_depth)
        return self._ask(task, left, right, options=options).scores_in_shape()

    def predict_arrow(
        self,
        task: str,
        table_or_batch: Any,
        *,
        text: str | None = None,
        left: str | None = None,
        right: str | None = None,
        id: str | None = None,
        top: int = 1,
        logits: bool = False,
        both_orders: bool = False,
        threshold: float | None = None,
        full_depth: bool = False,
        errors: Errors = "null",
    ) -> pyarrow.RecordBatch | pyarrow.Table:
        """Answers the rows of a table; its strings are read where they lie.

        Args:
            table_or_batch: a pyarrow.RecordBatch or Table, or what has `__arrow_c_array__` or `__arrow_c_stream__`.
            text, left, right: where the inputs are, by default "text", or "left" and "right": a column of strings or
                structs (a struct is a record, and its nulls are missing fields), or else a prefix: of "left", "left_"
                or "left.", the columns left_title and left_brand, or left.title and left.brand, are the record's
                fields title and brand. Numbers, bools and dates become text as Arrow's cast writes them.
            id: a column to have in the result, too.
            errors: "null": a row without an answer has nulls, and the reason in `error`; or "raise" a RowError.

        Returns:
            A RecordBatch for a batch, a Table for what comes in chunks, with a row for each of the input, in its order:
            the column `id` names, if any; then the columns of answer_schema().

        Raises:
            As predict(); UnknownNameError for a column that is not there.
        """
        table = inputs.as_table(table_or_batch)
        if self._task(task).input == "text":
            sides = [inputs.column(table, text or "text")]
        else:
            sides = [inputs.column(table, left or "left"), inputs.column(table, right or "right")]
        options = _Options(top, logits, both_orders, threshold, errors, full_depth)
        answered = self._ask(task, *sides, options=options).arrow()
        return answered if id is None else inputs.with_column(table, id, answered)

    def answer_schema(self, task: str, *, top: int = 1, logits: bool = False) -> pyarrow.Schema:
        """The columns of predict_arrow()'s answers, without an id.

        By the kind of the task: binary: `score` (float32: the probability), `label` (string; null under the threshold);
        multiclass: `label`, `score`, `out_of_scope` (bool), and with another `top` than 1 `labels` (list of structs of
        `label` and `score`, best first); multilabel: `labels`; regression: `value` (float32); embedding: `embedding`
        (fixed-size list of float32). Then `logits` (fixed-size list of float32) if asked for, `depth` (float32) if the
        task has exits, `truncated` (bool), and `error` (string; null where the row has an answer).
        """
        return answers.Form(self._task(task), top=top, logits=logits).schema()

    def run(self, task: str, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None) -> numpy.ndarray:
        """Token ids instead of text: the raw outputs of a task, bit for bit those of predict() on a text with these tokens.

        One big batch is spread over all replicas. Exits are not taken.

        Args:
            input_ids: [sequences, tokens] of int64 or int32 as the model's tokenizer makes them, special tokens
                included: an array of NumPy, or what numpy.asarray() makes one of. Longer sequences than the task's
                max_tokens are taken as they are, up to the positions that the encoder has.
            attention_mask: the same shape, 1 for tokens and 0 for padding, which is on the left or on the right of a
                sequence; None: there is no padding. Positions are counted from a sequence's first token.
            token_type_ids: the same shape; None: all 0.

        Returns:
            [sequences, outputs] of float32: logits, or embeddings.

        Raises:
            UnknownNameError: no such task.
            InvalidArgumentError: arrays of other shapes or types, a mask with gaps, a token or a length that the model
                does not have.
        """
        import numpy

        outputs = self._task(task).outputs
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        arrays = [None if values is None and name != "input_ids" else _as_array(values, name) for name, values in given.items()]
        return numpy.asarray(self._run(task, *arrays)).reshape(len(arrays[0]), outputs)

    def as_torch(self, task: str | None = None) -> Forward:
        """A task as a module of PyTorch: `(input_ids, attention_mask=None, token_type_ids=None)` to `.logits`.

        Args:
            task: may be left out where the model has but one.
        """
        from tilewise.torch import Forward

        return Forward(self, self._task(self._only_task() if task is None else task))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As as_torch() of the model's only task: for code that called the PyTorch model."""
        return self.as_torch()(*args, **kwargs)

    def close(self) -> None:
        """Ends the threads, after the calls that run. Any later call raises InvalidArgumentError."""
        self._core = None

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._path, self._options)

    def __repr__(self) -> str:
        state = "closed" if self._core is None else f"{self.replicas} x {self.isa}"
        return f"<tilewise.Model {self._path!r} ({state}): {', '.join(self._tasks)}>"

    def _opened(self) -> _core.Model:
        if self._core is None:
            raise InvalidArgumentError(f"The model is closed (at {self._path}).")
        return self._core

    def _task(self, name: str) -> Task:
        if name not in self._tasks:
            raise UnknownNameError(f"The model has no such task (at {name}; expected {', '.join(self._tasks)}).")
        return self._tasks[name]

    def _only_task(self) -> str:
        if len(self._tasks) > 1:
            raise InvalidArgumentError(
                f"The model has several tasks (expected one of {', '.join(self._tasks)}). Say which: as_torch(task)."
            )
        return next(iter(self._tasks))

    def _run(self, task: str, ids: Any, mask: Any, types: Any) -> memoryview:
        """Of arrays that implement DLPack or the buffer protocol. All floats in a row."""
        return self._opened().run(task, ids, mask, types)

    def _ask(self, name: str, left: Any, right: Any = None, *, options: _Options) -> answers.Answered:
        options.check()
        task = self._task(name)
        core = self._opened()
        shape, parts = inputs.read(left, right)
        answered = [
            core.answer(
                name,
                *part,
                top=options.top,
                both_orders=options.both_orders,
                threshold=options.threshold,
                logits=options.logits,
                full_depth=options.full_depth,
            )
            for part in parts
        ]
        form = answers.Form(task, top=options.top, logits=options.logits)
        return answers.Answered(form, shape, answered, raises=options.errors == "raise")


@dataclass(frozen=True)
class _Options:
    top: int = 1
    logits: bool = False
    both_orders: bool = False
    threshold: float | None = None
    errors: Errors = "raise"
    full_depth: bool = False

    def check(self) -> None:
        if self.errors not in ("raise", "null"):
            raise InvalidArgumentError(
                f'An option has a wrong value (at errors; expected "raise" or "null"; found {self.errors!r}).'
            )


def _as_array(values: Any, name: str) -> numpy.ndarray:
    import numpy

    try:
        array = numpy.asarray(values)
    except ValueError as error:
        raise InvalidArgumentError(f"Rows of one length make an array (at {name}; found {error}). Pad them.") from error
    if array.dtype.kind not in "iubf":
        raise InvalidArgumentError(
            f"Tokens are whole numbers (at {name}; expected int64 or int32; found {array.dtype})."
        )
    # The extension reads these two; others are rare, and small enough to copy.
    is_rare = array.dtype.kind in "iub" and array.dtype not in (numpy.int64, numpy.int32)
    return array.astype(numpy.int64) if is_rare else array


def _reopen(path: str, options: dict[str, Any]) -> Model:
    return Model(path, **options)
