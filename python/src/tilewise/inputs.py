"""From what callers pass to the columns that the extension takes."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tilewise._core import Column
from tilewise.errors import InvalidArgumentError, InvalidInputError, UnknownNameError, WrongTypeError

if TYPE_CHECKING:
    import pyarrow


class Shape(enum.Enum):
    """What the caller passed, and so what comes back."""

    ONE = enum.auto()  # a text, a record, or one pair of them
    ROWS = enum.auto()  # a list
    ARRAYS = enum.auto()  # of NumPy
    BATCH = enum.auto()  # Arrow data in one piece
    CHUNKS = enum.auto()  # Arrow data in several


Part = tuple[Column, "Column | None"]


def read(left: Any, right: Any = None) -> tuple[Shape, list[Part]]:
    """The inputs in one part, or for chunks in several; `right`: None for single texts."""
    if _is_arrow(left) or _is_arrow(right):
        return _read_arrow(left, right)
    shape, items = _read_items(left)
    if right is None:
        return shape, [(Column.of_list(items), None)]
    other_shape, other_items = _read_items(right)
    if shape is not other_shape:
        shape = Shape.ARRAYS if Shape.ARRAYS in (shape, other_shape) else Shape.ROWS
    return shape, [(Column.of_list(items), Column.of_list(other_items))]


def _read_items(values: Any) -> tuple[Shape, list[Any]]:
    if isinstance(values, (str, dict)):
        return Shape.ONE, [values]
    if hasattr(values, "__array__"):
        import numpy

        array = numpy.asarray(values)
        if array.ndim != 1:
            raise InvalidArgumentError(f"An array of inputs has one dimension (found the shape {array.shape}).")
        return Shape.ARRAYS, array.tolist()
    if isinstance(values, Iterable):
        return Shape.ROWS, list(values)
    raise _wrong_type(values, "a text, a record, a list, an array of NumPy or Arrow data")


def _wrong_type(value: Any, expected: str) -> WrongTypeError:
    return WrongTypeError(f"Inputs of this type cannot be read (expected {expected}; found {type(value).__name__}).")


def _is_arrow(values: Any) -> bool:
    if "pandas" in sys.modules and isinstance(values, sys.modules["pandas"].Series):
        return False  # an array, whichever version of pandas it is
    return hasattr(values, "__arrow_c_array__") or hasattr(values, "__arrow_c_stream__")


def _read_arrow(left: Any, right: Any) -> tuple[Shape, list[Part]]:
    import pyarrow

    sides = [_as_array(side) for side in (left, right) if side is not None]
    if len({len(side) for side in sides}) > 1:
        raise InvalidArgumentError(
            "The two sides of the pairs have not the same number of rows "
            f"(expected {len(sides[0])}; found {len(sides[1])})."
        )
    if all(isinstance(side, pyarrow.Array) for side in sides):
        return Shape.BATCH, [_part(sides)]
    # A table cuts its columns at the ends of all chunks.
    table = pyarrow.Table.from_arrays(sides, names=["left", "right"][: len(sides)])
    return Shape.CHUNKS, [_part(batch.columns) for batch in table.to_batches()]


def _part(sides: list[pyarrow.Array]) -> Part:
    columns = [Column.of_arrow(*_textual(side, nested=True).__arrow_c_array__()) for side in sides]
    return columns[0], columns[1] if len(columns) > 1 else None


def _as_array(values: Any) -> pyarrow.Array | pyarrow.ChunkedArray:
    """Arrow data of whatever library, without a copy. A table is a column of records."""
    import pyarrow

    if isinstance(values, (pyarrow.Array, pyarrow.ChunkedArray)):
        return values
    if isinstance(values, (pyarrow.RecordBatch, pyarrow.Table)):
        return values.to_struct_array()
    if hasattr(values, "__arrow_c_array__"):
        return pyarrow.array(values)
    if hasattr(values, "__arrow_c_stream__"):
        return pyarrow.chunked_array(values)
    raise _wrong_type(values, "Arrow data, as the other side is")


def _textual(array: pyarrow.Array, nested: bool = False) -> pyarrow.Array:
    """The same as strings, or (where `nested`) as a struct of strings without nulls of its own."""
    from pyarrow import types

    kind = array.type
    if types.is_string(kind) or types.is_large_string(kind) or _is_string_view(kind):
        _check_lengths(array)
        return array
    if types.is_dictionary(kind):
        return _textual(array.dictionary_decode(), nested)
    if types.is_struct(kind) and nested:
        return _textual_struct(array)
    if types.is_nested(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        expected = "strings, or structs of them" if nested else "strings"
        raise WrongTypeError(f"A column of Arrow data cannot be read as text (expected {expected}; found {kind}).")
    return _spelled(array)


def _spelled(array: pyarrow.Array) -> pyarrow.Array:
    """Numbers, bools and dates as text. NaN is a missing value, as in lists."""
    import pyarrow
    from pyarrow import compute, types

    try:
        if types.is_floating(array.type):
            array = compute.if_else(compute.is_nan(array), pyarrow.scalar(None, array.type), array)
        return array.cast("string")
    except pyarrow.ArrowException as error:
        raise WrongTypeError(
            f"A column of Arrow data cannot be read as text (expected strings or numbers; found {array.type})."
        ) from error


def _check_lengths(array: pyarrow.Array) -> None:
    """The buffers are as long as their offsets say; that these ascend is what the extension checks."""
    import pyarrow

    try:
        array.validate()
    except pyarrow.ArrowInvalid as error:
        raise InvalidInputError(f"A column of Arrow data is broken: {error}.") from error


def _textual_struct(array: pyarrow.Array) -> pyarrow.Array:
    import pyarrow

    # Where the struct is null, its flattened fields are. Lists and structs (images, categories) count as missing, as in
    # the catalogues of `tilewise batch`.
    fields = {
        field.name: _textual(values)
        for field, values in zip(array.type, array.flatten())
        if not pyarrow.types.is_nested(field.type)
    }
    if not fields:
        raise WrongTypeError(f"A column of records has no fields that are text (found {array.type}).")
    return pyarrow.StructArray.from_arrays(list(fields.values()), names=list(fields))


def _is_string_view(kind: pyarrow.DataType) -> bool:
    return str(kind) == "string_view"


def as_table(table: Any) -> pyarrow.RecordBatch | pyarrow.Table:
    """A batch or table of whatever library, without a copy."""
    import pyarrow

    if isinstance(table, (pyarrow.RecordBatch, pyarrow.Table)):
        return table
    if hasattr(table, "__arrow_c_array__"):
        return pyarrow.record_batch(table)
    if hasattr(table, "__arrow_c_stream__"):
        return pyarrow.table(table)
    raise _wrong_type(table, "a record batch or a table of Arrow")


def column(table: pyarrow.RecordBatch | pyarrow.Table, name: str) -> pyarrow.Array | pyarrow.ChunkedArray:
    """The column `name`; or else the columns with that prefix as records, whose fields lack it."""
    if table.schema.names.count(name) > 1:
        raise InvalidArgumentError(f"The table has several columns of this name (at {name}). Rename the others.")
    if name in table.schema.names:
        return table.column(name)
    for prefix in [name] if name.endswith(("_", ".")) else [name + "_", name + "."]:
        found = [other for other in table.schema.names if other.startswith(prefix) and other != prefix]
        if found:
            fields = [column(table, other) for other in dict.fromkeys(found)]
            names = [other.removeprefix(prefix) for other in dict.fromkeys(found)]
            return type(table).from_arrays(fields, names=names).to_struct_array()
    raise UnknownNameError(
        f"The table has neither such a column nor columns with such a prefix (at {name}; found "
        f"{', '.join(table.schema.names) or 'no columns'})."
    )


def with_column(
    table: pyarrow.RecordBatch | pyarrow.Table, name: str, answers: pyarrow.RecordBatch | pyarrow.Table
) -> pyarrow.RecordBatch | pyarrow.Table:
    """The column `name` of the table, and then the answers'."""
    import pyarrow

    if name not in table.schema.names:
        raise UnknownNameError(f"The table has no such column (at {name}; found {', '.join(table.schema.names)}).")
    if name in answers.schema.names:
        raise InvalidArgumentError(f"The answers have a column of that name, too (at {name}). Rename the table's.")
    schema = pyarrow.schema([table.schema.field(name), *answers.schema])
    return type(answers).from_arrays([table.column(name), *answers.columns], schema=schema)
