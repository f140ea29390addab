"""Answers of a model for the rows of Parquet files, on one machine and in bounded memory.

    python -m tilewise.parquet model.tw --task duplicate --id id --input pairs.parquet --output answers.parquet
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import pyarrow
from pyarrow import parquet

from tilewise._scoring import Scoring, as_names, plan
from tilewise.errors import Error, InvalidArgumentError, InvalidInputError
from tilewise.model import Model

if TYPE_CHECKING:
    Path = str | os.PathLike[str]

__all__ = ["score"]


def score(
    model: Path,
    task: str,
    source: Path | Sequence[Path],
    destination: Path,
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
    replicas: int = 0,
    isa: str | None = None,
    batch_size: int = 16384,
    compression: str = "zstd",
) -> int:
    """Writes one Parquet file with the answers to all rows of one or several, in their order; returns their number.

    Rows are read, answered and written in batches, so memory does not grow with the files. The result appears whole or
    not at all.

    Args:
        text, left, right: the inputs: columns of strings or structs (of a record's fields), or a prefix: of "left",
            the columns left_title and left_brand are the fields title and brand. By default of these very names.
        id: columns that the result has too, before those of Model.answer_schema(). A bad row has nulls and the reason
            in `error`.
        top, logits, both_orders, threshold, full_depth, replicas, isa: as of Model.
        batch_size: rows of a batch, and of a row group of the result.
        compression: of the result, as pyarrow names them.

    Raises:
        tilewise.Error: no such model, task or column, or an option is wrong. What pyarrow and the file system raise for
        files that cannot be read or written.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    if not sources:
        raise InvalidArgumentError("There is nothing to read (at source; expected one file or more).")
    scoring = plan(
        os.fspath(model),
        task,
        [os.fspath(model)],
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
    schema = _result_schema(scoring, sources)
    rows = 0
    with Model(model, replicas=replicas, isa=isa) as opened, _whole_file(destination) as sink:
        with parquet.ParquetWriter(sink, schema, compression=compression) as writer:
            for batch in _batches(scoring, sources, batch_size):
                writer.write_batch(scoring.answer(opened, batch).cast(schema))
                rows += batch.num_rows
    return rows


def _result_schema(scoring: Scoring, sources: Sequence[Path]) -> pyarrow.Schema:
    """Of all files, before any row is scored: what each has of the columns to keep, in types that hold them all."""
    kept = []
    for source in sources:
        rows = parquet.read_schema(os.fspath(source))
        scoring.columns_of(rows.names)
        kept.append(pyarrow.schema([rows.field(name).with_nullable(True).remove_metadata() for name in scoring.keep]))
    try:
        together = pyarrow.unify_schemas(kept, promote_options="permissive")
    except pyarrow.ArrowException as error:
        raise InvalidInputError(
            f"The files do not agree on the columns to keep (at id, {', '.join(scoring.keep)}; found {error}). "
            "Write them with the same types."
        ) from error
    return pyarrow.schema([*together, *scoring.schema])


def _batches(scoring: Scoring, sources: Iterable[Path], rows: int) -> Iterator[pyarrow.RecordBatch]:
    for source in sources:
        with parquet.ParquetFile(os.fspath(source)) as file:
            yield from file.iter_batches(rows, columns=scoring.columns_of(file.schema_arrow.names))


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name once everything is on the disk, and does not stay otherwise."""
    temporary = f"{os.fspath(path)}.tmp-{secrets.token_hex(3)}"
    with open(temporary, "xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line above; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tilewise.parquet", description=score.__doc__.splitlines()[0])
    parser.add_argument("model", metavar="MODEL.tw")
    parser.add_argument("--task", required=True)
    parser.add_argument("--input", required=True, nargs="+", metavar="PATH", help="Parquet files")
    parser.add_argument("--output", required=True, metavar="PATH", help="one Parquet file")
    parser.add_argument("--id", nargs="+", metavar="COLUMN", help="columns that the result has too")
    parser.add_argument("--text", metavar="COLUMN", help='strings or structs, or a prefix (default "text")')
    parser.add_argument("--left", metavar="COLUMN", help='the same for pairs (default "left")')
    parser.add_argument("--right", metavar="COLUMN", help='(default "right")')
    parser.add_argument("--top", type=int, default=1, metavar="K", help="labels of a multiclass answer; 0: all")
    parser.add_argument("--logits", action="store_true", help="also the raw outputs of the head")
    parser.add_argument("--both-orders", action="store_true", help="pairs: the mean of both orders")
    parser.add_argument("--threshold", type=float, metavar="X", help="on the logit, instead of the task's own")
    parser.add_argument("--full-depth", action="store_true", help="all layers: the task's exits are not used")
    parser.add_argument("--replicas", type=int, default=0, metavar="N", help="default: one a core")
    parser.add_argument("--isa", help="at most this instruction set")
    options = vars(parser.parse_args(arguments))
    model, task, source, destination = (options.pop(name) for name in ("model", "task", "input", "output"))
    try:
        rows = score(model, task, source, destination, **options)
    except (Error, OSError, pyarrow.ArrowException) as error:
        print(f"tilewise: error: {error}", file=sys.stderr)
        return 1
    print(f"{rows:,} rows answered in {destination}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
