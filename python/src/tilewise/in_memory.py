"""Models in memory as checkpoints: their own library saves them into a folder, which the compiler reads.

Nothing of PyTorch is imported here unless the caller's objects come from it, and then it has been imported already.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tilewise import _core
from tilewise.errors import Error, InputOutputError, InvalidArgumentError, InvalidInputError, UnsupportedError, WrongTypeError

if TYPE_CHECKING:
    import torch

__all__ = ["Source", "save"]

_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Source:
    """What the caller gave; see tilewise.compile()."""

    model: Any
    tokenizer: Any = None
    labels: Sequence[str] | None = None
    heads: Mapping[str, Any] | None = None
    tasks: Sequence[Mapping[str, Any]] | None = None


def save(source: Source, folder: str) -> None:
    """Writes a checkpoint that says the same. The model and its tokenizer stay as they are.

    What can be wrong about all but the weights is found before these are written. Errors: tilewise.Error.
    """
    model = getattr(source.model, "_orig_mod", source.model)  # of torch.compile()
    encoder = _encoder_of(model)
    _check_weights(model)
    _check_tokenizer(source, model, encoder)
    _check_tasks(source)
    _check_heads(source, encoder)
    _check_labels(source, encoder)
    _check_description(source, encoder, folder)
    model = _merged(model)
    with _named(model), _config_kept(model):
        _save_model(model, folder)
        if not _has_tokenizer(model):
            _save_tokenizer(source.tokenizer, folder)
    _write_tasks(source, folder)


def name_of(model: Any) -> str:
    """How messages call it."""
    return type(model).__name__


def _is_a(value: Any, package: str, name: str) -> bool:
    """isinstance() for a class of a package that need not be there: then the value is none of it."""
    kind = getattr(sys.modules.get(package), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def _has_tokenizer(model: Any) -> bool:
    """Whether the model is saved with its tokenizer."""
    return any(_is_a(model, "sentence_transformers", name) for name in ("SentenceTransformer", "CrossEncoder"))


def _encoder_of(model: Any) -> Any:
    """The model of transformers: itself, or what another library's wraps."""
    if _has_tokenizer(model) or _is_a(model, "peft", "PeftModel") or _is_a(model, "transformers", "PreTrainedModel"):
        for module in model.modules():
            if _is_a(module, "transformers", "PreTrainedModel"):
                return module
    raise WrongTypeError(
        "A model of this type cannot be compiled (expected a folder, or a model of transformers, sentence_transformers "
        f"or peft; found {type(model).__module__}.{type(model).__name__}). Save it as a Hugging Face folder."
    )


def _check_weights(model: Any) -> None:
    for name, parameter in model.named_parameters():
        if parameter.is_meta:
            raise InvalidInputError(
                f"A weight of the model has no values (at {name_of(model)}, {name}; expected a tensor in memory; found one "
                "on the meta device). Load the model without offloading."
            )
    for module in model.modules():
        if getattr(module, "_hf_peft_config_loaded", False):
            raise UnsupportedError(
                f"An adapter is attached to the model (at {name_of(module)}; expected a model of its own, or a PeftModel). "
                "Wrap the plain model with peft.PeftModel, or merge the adapter."
            )


def _check_tokenizer(source: Source, model: Any, encoder: Any) -> None:
    name = name_of(model)
    if _has_tokenizer(model):
        if source.tokenizer is not None:
            raise InvalidArgumentError(f"The model has its own tokenizer (at {name}). Leave the argument out.")
        return
    tokenizer = source.tokenizer
    if tokenizer is None:
        raise InvalidArgumentError(
            f"There is no tokenizer (at {name}; expected tokenizer=...). Give the one that the model was trained with: "
            "transformers.AutoTokenizer.from_pretrained(...)."
        )
    if _is_a(tokenizer, "tokenizers", "Tokenizer"):
        tokens = tokenizer.get_vocab_size()
    elif hasattr(tokenizer, "save_pretrained") and hasattr(tokenizer, "__len__"):
        tokens = len(tokenizer)
    else:
        raise WrongTypeError(
            "A tokenizer of this type cannot be read (expected one of transformers or tokenizers; found "
            f"{type(tokenizer).__module__}.{type(tokenizer).__name__})."
        )
    rows = getattr(encoder.config, "vocab_size", tokens)
    if tokens > rows:
        raise InvalidInputError(
            f"The tokenizer does not fit the vocabulary of the model (at {name}; expected at most {rows} tokens; found "
            f"{tokens}). Give the tokenizer that the model was trained with, or call resize_token_embeddings()."
        )


def _check_tasks(source: Source) -> None:
    for task in source.tasks or ():
        if not isinstance(task, Mapping):
            raise WrongTypeError(
                f"Tasks are as in tasks.json (at tasks; expected a list of dicts; found {type(task).__name__})."
            )


def _check_heads(source: Source, encoder: Any) -> None:
    """Each task and each of its exits has its head, each head its task, and they fit."""
    if source.heads is None:
        return
    if source.tasks is None:
        raise InvalidArgumentError(
            "Heads need their tasks (expected tasks=[...] as in tasks.json: name, kind, input, pooling, labels...)."
        )
    tasks = {name: task for task in source.tasks for name in _heads_of(task)}
    for name, head in source.heads.items():
        weight, _ = _tensors_of(name, head)
        if name not in tasks:
            raise InvalidArgumentError(
                f"A head has no task (at heads, {name}; expected one of {', '.join(map(str, tasks))})."
            )
        expected = (_outputs_of(tasks[name]), encoder.config.hidden_size)
        if None not in expected and tuple(weight.shape) != expected:
            raise InvalidInputError(
                f"The head does not fit its labels and the encoder (at heads, {name}; expected {expected[0]} outputs x "
                f"{expected[1]} inputs; found {' x '.join(map(str, weight.shape))})."
            )
    for name, task in tasks.items():
        if _outputs_of(task) and name not in source.heads:
            raise InvalidArgumentError(f"A task has no head (at tasks, {name}; found {', '.join(source.heads)}).")


def _heads_of(task: Mapping[str, Any]) -> list[Any]:
    """The names of its head and of those behind inner layers."""
    exits = task.get("exits")
    exits = [exit for exit in exits if isinstance(exit, Mapping)] if isinstance(exits, Sequence) else []
    return [task.get("name"), *(exit.get("head") for exit in exits)]


def _outputs_of(task: Mapping[str, Any]) -> int | None:
    """None where the task's labels are not what they should be, of which the compiler says more."""
    kind, labels = task.get("kind"), task.get("labels")
    if kind in ("binary", "regression"):
        return 1
    if kind == "embedding":
        return 0
    return len(labels) if isinstance(labels, Sequence) else None


def _tensors_of(name: str, head: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Weight and bias of an nn.Linear."""
    weight, bias = getattr(head, "weight", None), getattr(head, "bias", None)
    if getattr(weight, "ndim", 0) != 2 or weight.is_meta:
        raise WrongTypeError(
            f"A head is one linear layer (at heads, {name}; expected torch.nn.Linear; found {type(head).__name__})."
        )
    return weight, bias


def _check_labels(source: Source, encoder: Any) -> None:
    if source.labels is None:
        return
    if source.tasks is not None:
        raise InvalidArgumentError("Labels are given twice (at labels). Say them in tasks alone.")
    count = encoder.config.num_labels
    if not name_of(encoder).endswith("ForSequenceClassification"):
        raise InvalidArgumentError(f"The model has no classifier to label (at labels; found {name_of(encoder)}).")
    if len(source.labels) != count:
        raise InvalidInputError(
            f"The labels do not fit the head (at labels; expected {count}; found {len(source.labels)})."
        )


def _check_description(source: Source, encoder: Any, folder: str) -> None:
    """What the compiler says of the architecture, its settings and the tasks, before there are weights to read."""
    trial = os.path.join(folder, "description")
    os.mkdir(trial)
    config = copy.deepcopy(encoder.config)
    config.architectures = [name_of(encoder)]
    with _named(encoder):
        config.save_pretrained(trial)
    _write_tasks(source, trial)
    pathlib.Path(trial, _WEIGHTS).write_bytes((2).to_bytes(8, "little") + b"{}")  # no tensors
    try:
        _core.compile(trial, os.path.join(trial, "none.tw"), "", "fp32", [])
    except Error as error:
        if _WEIGHTS not in error.where:
            raise


def _merged(model: Any) -> Any:
    """A copy in which the adapters of PEFT are part of the weights, as PEFT itself merges them."""
    if not _is_a(model, "peft", "PeftModel"):
        return model
    with _named(model):
        merge = getattr(copy.deepcopy(model).float(), "merge_and_unload", None)
        if merge is None:
            raise UnsupportedError(
                f"This kind of adapter cannot be merged (at {name_of(model)}; expected LoRA or another that PEFT's "
                "merge_and_unload() takes)."
            )
        return merge(safe_merge=True)


def _save_model(model: Any, folder: str) -> None:
    if _is_a(model, "sentence_transformers", "SentenceTransformer"):
        model.save_pretrained(folder, create_model_card=False)
    else:
        model.save_pretrained(folder)


def _save_tokenizer(tokenizer: Any, folder: str) -> None:
    if _is_a(tokenizer, "tokenizers", "Tokenizer"):
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
    else:
        tokenizer.save_pretrained(folder)


def _write_tasks(source: Source, folder: str) -> None:
    """What the model itself does not say."""
    if source.labels is not None:
        path = pathlib.Path(folder, "config.json")
        config = json.loads(path.read_text(encoding="utf-8"))
        config["id2label"] = {str(i): label for i, label in enumerate(source.labels)}
        config["label2id"] = {label: i for i, label in enumerate(source.labels)}
        path.write_text(json.dumps(config), encoding="utf-8")
    if source.tasks is not None:
        try:
            text = json.dumps({"tasks": list(map(dict, source.tasks))})
        except (TypeError, ValueError) as error:
            raise WrongTypeError(
                f"Tasks are as in tasks.json (at tasks; expected dicts of text and numbers; found {error})."
            ) from error
        pathlib.Path(folder, "tasks.json").write_text(text, encoding="utf-8")
    if source.heads is not None:
        _write_heads(source.heads, folder)


def _write_heads(heads: Mapping[str, Any], folder: str) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {}
    for name, head in heads.items():
        weight, bias = _tensors_of(name, head)
        tensors[name + ".weight"] = weight
        tensors[name + ".bias"] = torch.zeros(len(weight)) if bias is None else bias
    copies = {name: tensor.detach().to("cpu", torch.float32, copy=True).contiguous() for name, tensor in tensors.items()}
    save_file(copies, os.path.join(folder, "heads.safetensors"))


@contextlib.contextmanager
def _config_kept(model: Any) -> Iterator[None]:
    """save_pretrained() writes the architecture and the dtype into the caller's configuration."""
    configs = [module.config for module in model.modules() if _is_a(module, "transformers", "PreTrainedModel")]
    before = [dict(vars(config)) for config in configs]
    try:
        yield
    finally:
        for config, attributes in zip(configs, before):
            for added in vars(config).keys() - attributes.keys():
                delattr(config, added)
            vars(config).update(attributes)


@contextlib.contextmanager
def _named(model: Any) -> Iterator[None]:
    """What another library raises, as an error of tilewise."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        raise InputOutputError(f"The model cannot be saved (at {name_of(model)}; found {error}).") from error
    except Exception as error:
        raise InvalidInputError(f"The model cannot be saved (at {name_of(model)}; found {error}).") from error
