"""What can go wrong. Every error of tilewise is an `Error`, and also the built-in exception that fits."""

from __future__ import annotations

__all__ = [
    "Error",
    "InputOutputError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidInputError",
    "MachineError",
    "NotFoundError",
    "RowError",
    "UnknownNameError",
    "UnsupportedError",
    "WrongTypeError",
]


class Error(Exception):
    """The whole message, and its parts where they are known (empty otherwise).

    `what` went wrong, `where` (file, line, field or option), what was `expected`, what was `found` instead, and
    what the caller can do about it (`remedy`).
    """

    def __init__(
        self, message: str, *, what: str = "", where: str = "", expected: str = "", found: str = "", remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.what = what or message
        self.where = where
        self.expected = expected
        self.found = found
        self.remedy = remedy


class InvalidArgumentError(Error, ValueError):
    """The call is wrong: an option, or inputs that do not fit the task."""


class WrongTypeError(Error, TypeError):
    """An argument has a type that tilewise does not take."""


class UnknownNameError(Error, LookupError):
    """A task, or a column of a table, that does not exist."""


class InvalidInputError(Error, ValueError):
    """A file, a model or a row is bad."""


class RowError(InvalidInputError):
    """A row has no answer; `row` is its number, from 0, and `rows` says how many have none."""

    def __init__(self, message: str, *, row: int = 0, rows: int = 1, **parts: str) -> None:
        super().__init__(message, **parts)
        self.row = row
        self.rows = rows


class UnsupportedError(Error, NotImplementedError):
    """The model is well formed, but beyond what tilewise expresses."""


class NotFoundError(Error, FileNotFoundError):
    """A file or folder that does not exist."""


class InputOutputError(Error, OSError):
    """Reading or writing failed: disk full, permission, device."""


class MachineError(Error, RuntimeError):
    """This machine cannot run it: instruction set, cores, memory."""


class InternalError(Error, RuntimeError):
    """A promise of tilewise itself was broken."""


def row_error(row: int, rows: int, message: str, parts: dict[str, str]) -> RowError:
    """The exception of row `row`, the first of `rows` without an answer."""
    others = "" if rows == 1 else f' In all, {rows} have no answer; errors="null" goes on without them.'
    return RowError(f"At row {row}: {message}{others}", row=row, rows=rows, **parts)
