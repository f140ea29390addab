"""Answers of a model for the rows of a Spark DataFrame: `tilewise.spark.score(df, "model.tw", "intent", id="id")`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow
from pyspark import SparkFiles, TaskContext
from pyspark.sql import functions, types

from tilewise._scoring import Scoring, as_names, plan

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["score"]

_SCALARS = {
    pyarrow.float32(): types.FloatType(),
    pyarrow.bool_(): types.BooleanType(),
    pyarrow.string(): types.StringType(),
}


def score(
    df: DataFrame,
    model: str | os.PathLike[str],
    task: str,
    *,
    text: str | None = None,
    left: str | None = None,
    right: str | None = None,
    id: str | Sequence[str] | None = None,
    top: int = 1,
    logits: bool = False,
    both_orders: bool = False,
    threshold: float | None = None,
    full_depth: bool = False,
    replicas: int | None = None,
    isa: str | None = None,
) -> DataFrame:
    """Answers each row; lazily, as every transformation of Spark.

    Each Python worker opens the model once and keeps it for its later tasks; the workers of a machine share its memory
    through the page cache. A row's answer does not depend on how the rows are partitioned, or on what happens to other
    rows or workers. It does depend, in its last bits, on the instruction set: see `isa`.

    Args:
        df: only the columns named below are sent to the workers.
        model: a path at which every node has the file, or the name of one distributed with SparkContext.addFile(). A
            worker whose file is not the one that the driver sees refuses.
        task: a task of the model.
        text, left, right: the inputs: columns of strings or structs (of a record's fields), or a prefix: of "left",
            the columns left_title and left_brand are the fields title and brand. By default of these very names.
        id: columns that the result has too, to join it by.
        top, logits, both_orders, threshold, full_depth: as of Model.predict().
        replicas: of each Python worker; by default the cores of a task, spark.task.cpus.
        isa: at most this instruction set. Of nodes that are not alike, give what all of them have, so that their
            answers are equal bit for bit.

    Returns:
        The columns of `id` and those of Model.answer_schema(). A bad row has nulls and the reason in `error`.

    Raises:
        tilewise.Error, before anything runs: no such model, task or column, or an option is wrong. What goes wrong in
        a worker (no or another file there, or too old a processor) fails the Spark job.
    """
    model = os.fspath(model)
    scoring = plan(
        model,
        task,
        _places(model),
        keep=as_names(id),
        text=text,
        left=left,
        right=right,
        isa=isa,
        top=top,
        logits=logits,
        both_orders=both_orders,
        threshold=threshold,
        full_depth=full_depth,
    )

    needed = scoring.columns_of(df.columns)

    def answer(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        return _answer(scoring, replicas, (batch.rename_columns(needed) for batch in batches))

    # mapInArrow takes no names with dots, so the columns travel under numbers.
    numbered = df.select(*(functions.col(_quoted(name)).alias(str(number)) for number, name in enumerate(needed)))
    kept = [df.schema[name] for name in scoring.keep]
    answers = [types.StructField(field.name, _spark_type(field.type)) for field in scoring.schema]
    return numbered.mapInArrow(answer, types.StructType(kept + answers))


def _answer(
    scoring: Scoring, replicas: int | None, batches: Iterable[pyarrow.RecordBatch]
) -> Iterator[pyarrow.RecordBatch]:
    """What a task does with its partition, which may be empty."""
    for batch in batches:
        model = scoring.open(_places(scoring.model), replicas=replicas or TaskContext.get().cpus())
        yield _without_fixed_sizes(scoring.answer(model, batch))


def _places(model: str) -> Iterator[str]:
    """Where a node may have the file."""
    yield os.path.abspath(model)
    yield SparkFiles.get(os.path.basename(model))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _spark_type(kind: pyarrow.DataType) -> types.DataType:
    """Of a column of answers."""
    if pyarrow.types.is_list(kind) or pyarrow.types.is_fixed_size_list(kind):
        return types.ArrayType(_spark_type(kind.value_type))
    if pyarrow.types.is_struct(kind):
        return types.StructType([types.StructField(field.name, _spark_type(field.type)) for field in kind])
    return _SCALARS[kind]


def _without_fixed_sizes(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """Spark knows no lists of a fixed size."""
    columns = [
        column.cast(pyarrow.list_(column.type.value_type)) if pyarrow.types.is_fixed_size_list(column.type) else column
        for column in batch.columns
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)
