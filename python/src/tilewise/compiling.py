"""From a checkpoint to an artifact."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tilewise import _core

if TYPE_CHECKING:
    Path = str | os.PathLike[str]

__all__ = ["compile"]


def compile(folder: Path, output: Path, *, precision: str = "bf16", backbone: Path | None = None) -> None:
    """Compiles a checkpoint into the artifact `output`, which appears whole or not at all.

    Equal input gives equal bytes, on every machine.

    Args:
        folder: a Hugging Face folder, or one with tasks.json.
        precision: "bf16", "int8" or "fp32".
        backbone: the folder of the backbone, where it lies elsewhere.

    Raises:
        NotFoundError, InputOutputError, InvalidInputError (naming file and tensor or field), UnsupportedError (naming
        what), InvalidArgumentError (an option): all of them `tilewise.Error`.
    """
    _core.compile(os.fsdecode(folder), os.fsdecode(output), os.fsdecode(backbone or ""), precision)
