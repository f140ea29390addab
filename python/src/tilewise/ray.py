"""Answers of a model for the rows of a Ray dataset: `tilewise.ray.score(dataset, "model.tw", "duplicate", id="id")`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import ray
from ray.data import ActorPoolStrategy

from tilewise._scoring import Scoring, as_names, plan

if TYPE_CHECKING:
    import pyarrow
    from ray.data import Dataset

__all__ = ["score"]


def score(
    dataset: Dataset,
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
    replicas: int = 1,
    actors: int | None = None,
    batch_size: int = 4096,
    isa: str | None = None,
) -> Dataset:
    """Answers each row; lazily, as every transformation of Ray Data, by a pool of actors.

    Each actor opens the model once; those of a machine share its memory through the page cache. A row's answer does not
    depend on how the rows are cut into blocks, or on what happens to other rows or actors: a dead actor is replaced and
    its batch done again. It does depend, in its last bits, on the instruction set: see `isa`.

    Args:
        dataset: what is not needed is best left out before, with select_columns().
        model: a path at which every node has the file, or one below the `working_dir` of Ray's runtime environment. An
            actor whose file is not the one that the caller sees refuses.
        task: a task of the model.
        text, left, right: the inputs: columns of strings or structs (of a record's fields), or a prefix: of "left",
            the columns left_title and left_brand are the fields title and brand. By default of these very names.
        id: columns that the result has too, to join it by; Ray does not keep the order of rows.
        top, logits, both_orders, threshold, full_depth: as of Model.predict().
        replicas: of each actor, which reserves as many CPUs.
        actors: at most so many; by default what the CPUs of the cluster are enough for. Ray starts with one, and
            leaves CPUs to the steps before and after as long as they need them.
        batch_size: rows of one call.
        isa: at most this instruction set. Of nodes that are not alike, give what all of them have, so that their
            answers are equal bit for bit.

    Returns:
        The columns of `id` and those of Model.answer_schema(). A bad row has nulls and the reason in `error`.

    Raises:
        tilewise.Error, before anything runs: no such model or task, or an option is wrong. What goes wrong in an actor
        (a column or file that is not there, or too old a processor) fails Ray's job.
    """
    model = os.fspath(model)
    scoring = plan(
        model,
        task,
        [model],
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
    if actors is None:
        actors = max(1, int(_cpus() // replicas))
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(scoring, os.path.abspath(model), replicas),
        batch_format="pyarrow",
        batch_size=batch_size,
        num_cpus=replicas,
        compute=ActorPoolStrategy(min_size=1, max_size=actors),
    )


class _Actor:
    def __init__(self, scoring: Scoring, path: str, replicas: int) -> None:
        self._scoring = scoring
        # The same path as the caller's, or below this actor's own working directory.
        self._model = scoring.open([path, scoring.model], replicas=replicas)

    def __call__(self, rows: pyarrow.Table) -> pyarrow.Table:
        return self._scoring.answer(self._model, rows)


def _cpus() -> float:
    """Of the whole cluster."""
    if not ray.is_initialized():
        ray.init()
    return ray.cluster_resources().get("CPU", 1)
