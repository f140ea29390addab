"""What the worker processes of a cluster share: the model is opened once a process, batches come in, answers go out."""

from __future__ import annotations

import functools
import hashlib
import mmap
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tilewise.errors import InvalidArgumentError, InvalidInputError, NotFoundError, UnknownNameError
from tilewise.model import Model

if TYPE_CHECKING:
    import pyarrow

    Rows = TypeVar("Rows", pyarrow.RecordBatch, pyarrow.Table)

__all__ = ["Scoring", "as_names", "plan"]


@dataclass(frozen=True)
class Scoring:
    """Which model answers which columns, and how. Plain data, which travels to the workers."""

    model: str  # as the caller named it
    sha256: str
    isa: str | None
    task: str
    keep: tuple[str, ...]  # columns of the input that the result has, too
    sides: dict[str, str]  # text, or left and right: as of Model.predict_arrow()
    options: dict[str, Any]  # more of its arguments
    schema: pyarrow.Schema  # of the answers

    def open(self, places: Iterable[str], *, replicas: int) -> Model:
        """The model in the first of these places that has a file, opened once a process.

        Not pinned: the processes of a machine would all choose the same cores.
        """
        path = _find(self.model, places)
        opened = _open_once(path, _state_of(path), replicas, self.isa)
        if opened.sha256 != self.sha256:
            raise InvalidInputError(
                f"A worker has another model than the caller (at {path}; expected SHA-256 {self.sha256}; found "
                f"{opened.sha256}). Bring the same file to every node."
            )
        return opened.model

    def columns_of(self, names: Sequence[str]) -> list[str]:
        """Those of a table's columns that are needed. Errors: UnknownNameError."""
        needed = list(self.keep)
        for side in self.sides.values():
            prefixes = (side,) if side.endswith(("_", ".")) else (side + "_", side + ".")
            fields = [name for name in names if name.startswith(prefixes)]
            needed += [side] if side in names else fields or [side]
        for name in needed:
            if name not in names:
                raise UnknownNameError(f"The table has no such column (at {name}; found {', '.join(names)}).")
        return list(dict.fromkeys(needed))

    def answer(self, model: Model, rows: Rows) -> Rows:
        """The columns to keep, then the answers: a row for each, in order. A bad one has nulls and its `error`."""
        answers = model.predict_arrow(self.task, rows, errors="null", **self.sides, **self.options)
        columns = [*map(rows.column, self.keep), *answers.columns]
        return type(rows).from_arrays(columns, names=[*self.keep, *answers.schema.names])


def plan(
    model: str,
    task: str,
    places: Iterable[str],
    *,
    keep: tuple[str, ...],
    text: str | None,
    left: str | None,
    right: str | None,
    isa: str | None,
    top: int,
    logits: bool,
    **options: Any,
) -> Scoring:
    """What the caller's arguments come to; the model is looked for in `places`. Errors: tilewise.Error."""
    path = _find(model, places)
    with Model(path, replicas=1, isa=isa, pin=False) as opened:
        schema = opened.answer_schema(task, top=top, logits=logits)
        kind = opened.tasks[task].input
    given = {"text": text} if kind == "text" else {"left": left, "right": right}
    others = {"text": text, "left": left, "right": right}.items() - given.items()
    if any(value is not None for _, value in others):
        raise InvalidArgumentError(f"The task takes other inputs (at {task}; expected {' and '.join(given)}).")
    if twice := sorted({name for name in keep if keep.count(name) > 1 or name in schema.names}):
        raise InvalidArgumentError(f"The result would have two columns of a name (at id, {', '.join(twice)}). Rename.")
    sides = {name: value or name for name, value in given.items()}
    options = {"top": top, "logits": logits, **options}
    return Scoring(model, _sha256_of(path), isa, task, keep, sides, options, schema)


def as_names(id: str | Sequence[str] | None) -> tuple[str, ...]:
    """One name, several, or none."""
    if id is None:
        return ()
    return (id,) if isinstance(id, str) else tuple(id)


def _find(model: str, places: Iterable[str]) -> str:
    path = next(filter(os.path.isfile, places), None)
    if path is None:
        raise NotFoundError(f"There is no such model (at {model}). Give a path that every node has, or distribute it.")
    return os.path.abspath(path)


@dataclass(frozen=True)
class _Opened:
    model: Model
    sha256: str


def _state_of(path: str) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


# The file's state is part of the key: a process may live for weeks, and a new model come to the same place.
@functools.lru_cache(maxsize=2)
def _open_once(path: str, state: tuple[int, ...], replicas: int, isa: str | None) -> _Opened:
    return _Opened(Model(path, replicas=replicas, isa=isa, pin=False), _sha256_of(path))


def _sha256_of(path: str) -> str:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return hashlib.sha256(content).hexdigest()
