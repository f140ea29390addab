"""From a checkpoint, or a model in memory, to an artifact that is open."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tilewise import _core, in_memory, inputs
from tilewise.errors import Error, InvalidArgumentError
from tilewise.model import Model

if TYPE_CHECKING:
    Path = str | os.PathLike[str]

__all__ = ["compile"]


def compile(
    model_or_folder: Any,
    output: Path | None = None,
    *,
    tokenizer: Any = None,
    precision: str = "bf16",
    backbone: Path | None = None,
    labels: Sequence[str] | None = None,
    heads: Mapping[str, Any] | None = None,
    tasks: Sequence[Mapping[str, Any]] | None = None,
    calibration: Mapping[str, Any] | None = None,
    replicas: int = 0,
    isa: str | None = None,
    cores_per_replica: int = 1,
    pin: bool = True,
) -> Model:
    """Compiles a trained model into the artifact `output`, and opens it.

    The artifact appears whole or not at all. Equal input gives equal bytes, on every machine. A model in memory stays as
    it is: its own save_pretrained() writes a temporary folder, which is compiled as any other.

    Args:
        model_or_folder: a Hugging Face folder, or one with tasks.json; or in memory a model of transformers
            (a bare encoder, or one with a head of sequence classification), a SentenceTransformer, a CrossEncoder, or
            one of these in a PeftModel, whose adapters are merged in a copy.
        output: where the artifact shall lie; None: in a temporary place, for as long as the result is there.
        tokenizer: of transformers or tokenizers, for a model of transformers.
        precision: "bf16", "int8" or "fp32".
        backbone: the folder of the backbone, where it lies elsewhere than its tasks.
        labels: of a classifier in memory, in the order of its logits, instead of those of its configuration.
        heads: of a model in memory: task -> torch.nn.Linear on the pooled output of the encoder. Needs `tasks`.
        tasks: of a model in memory, each as in tasks.json (docs/CHECKPOINTS.md). Without `heads` they describe the
            model's own classifier: {"name": "duplicate", "kind": "binary", "input": "pair", "labels": ["duplicate"]}.
        calibration: of "int8": task -> rows, a few hundred, as Model.predict() takes them; (left, right) for pairs.
        replicas, isa, cores_per_replica, pin: as of tilewise.open().

    Raises:
        NotFoundError, InputOutputError, InvalidInputError (naming file and tensor or field), UnsupportedError (naming
        what), InvalidArgumentError, WrongTypeError (an argument), MachineError (it does not run here): all of them
        `tilewise.Error`.
    """
    opening = {"replicas": replicas, "isa": isa, "cores_per_replica": cores_per_replica, "pin": pin}
    source = in_memory.Source(model_or_folder, tokenizer, labels, heads, tasks)
    rows = _calibration_of(calibration or {})
    if output is not None:
        _compile(source, backbone, os.fsdecode(output), precision, rows)
        return Model(output, **opening)
    folder = tempfile.mkdtemp(prefix="tilewise-")
    try:
        artifact = os.path.join(folder, "model.tw")
        _compile(source, backbone, artifact, precision, rows)
        model = Model(artifact, **opening)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    weakref.finalize(model, _remove, folder, os.getpid())
    return model


Rows = list[tuple[str, _core.Column, "_core.Column | None"]]


def _compile(source: in_memory.Source, backbone: Path | None, output: str, precision: str, rows: Rows) -> None:
    if isinstance(source.model, (str, os.PathLike)):
        for name in ("tokenizer", "labels", "heads", "tasks"):
            if getattr(source, name) is not None:
                raise InvalidArgumentError(
                    f"A folder says this itself (at {name}; expected a model in memory). Write it into the folder."
                )
        return _core.compile(os.fsdecode(source.model), output, os.fsdecode(backbone or ""), precision, rows)
    if backbone is not None:
        raise InvalidArgumentError("A model in memory is whole (at backbone; expected None).")
    with tempfile.TemporaryDirectory(prefix="tilewise-") as folder:
        try:
            in_memory.save(source, folder)
            _core.compile(folder, output, "", precision, rows)
        except Error as error:
            raise _of_model(error, folder, in_memory.name_of(source.model)) from error.__cause__


def _calibration_of(calibration: Mapping[str, Any]) -> Rows:
    rows: Rows = []
    for task, taken in calibration.items():
        left, right = taken if isinstance(taken, tuple) else (taken, None)
        _, parts = inputs.read(left, right)
        if len(parts) > 1:
            raise InvalidArgumentError(f"Rows to calibrate with come in one piece (at calibration, {task}; found chunks).")
        rows += [(task, *part) for part in parts]
    return rows


def _of_model(error: Error, folder: str, name: str) -> Error:
    """The same error with the model's name for the temporary folder's, which is gone when it is read."""
    texts = {part: getattr(error, part) for part in ("what", "where", "expected", "found", "remedy")}
    for trial in (os.path.join(folder, "description"), folder):
        texts = {part: text.replace(trial, name) for part, text in texts.items()}
        error.args = tuple(text.replace(trial, name) for text in error.args)
    return type(error)(*error.args, **texts)


def _remove(folder: str, process: int) -> None:
    """Not in a fork, which has but a copy of the model."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
