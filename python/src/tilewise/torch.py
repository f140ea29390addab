"""A task of a model as a module of PyTorch, with the signature of the model that it was compiled from.

    forward = tilewise.compile(model, tokenizer=tokenizer).as_torch()
    logits = forward(**tokenizer(texts, padding=True, return_tensors="pt")).logits
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from tilewise.errors import InvalidArgumentError, UnsupportedError, WrongTypeError

if TYPE_CHECKING:
    from tilewise.model import Model, Task

__all__ = ["Forward", "Output"]


class Output(dict[str, torch.Tensor]):
    """What `Forward` gives, used as the outputs of transformers are: `.logits`, `["logits"]` and `[0]` are one tensor."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]

    def __getattr__(self, name: str) -> torch.Tensor:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"The output has no {name} (expected {', '.join(self)}).") from None

    def to_tuple(self) -> tuple[torch.Tensor, ...]:
        """All tensors."""
        return tuple(self.values())


class Forward(torch.nn.Module):
    """One task. Thread-safe; a big batch is spread over the model's replicas, and other threads of Python run meanwhile.

    It has no parameters and no gradients, and is on the CPU, always in evaluation mode. A module, so that code which
    calls eval() or to("cpu"), or has it as a part of another module, goes on working.
    """

    def __init__(self, model: Model, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.eval()

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        *,
        return_dict: bool | None = None,
        **others: Any,
    ) -> Output | tuple[torch.Tensor, ...]:
        """The logits of a batch of sequences, or their embeddings.

        Args:
            input_ids: [sequences, tokens] of int64 or int32, special tokens included. Longer sequences than the task's
                max_tokens are taken as they are, up to the positions that the encoder has.
            attention_mask: the same shape, 1 for tokens and 0 for padding, which is on the left or on the right of a
                sequence and is not computed; None: there is no padding. Positions are counted from a sequence's first
                token.
            token_type_ids: the same shape; None: all 0.
            return_dict: False for a tuple.
            others: what else models of transformers take, as long as it is None or False.

        Returns:
            An `Output` with `logits` [sequences, task.outputs], or `sentence_embedding` where the task is an embedding:
            float32, as Model.run() has them.

        Raises:
            InvalidArgumentError, WrongTypeError, UnsupportedError: all of them `tilewise.Error`.
        """
        for name, value in others.items():
            if value is not None and value is not False:
                raise UnsupportedError(
                    f"An argument is not supported (at {name}; expected None; found {type(value).__name__}). Compiled "
                    "models take input_ids, attention_mask and token_type_ids, and give logits or embeddings alone."
                )
        tensors = [_on_cpu(input_ids, "input_ids")]
        for name, tensor in (("attention_mask", attention_mask), ("token_type_ids", token_type_ids)):
            tensors.append(None if tensor is None else _on_cpu(tensor, name))
        floats = self.model._run(self.task.name, *tensors)
        values = torch.frombuffer(floats, dtype=torch.float32) if len(floats) else torch.empty(0)
        name = "sentence_embedding" if self.task.kind == "embedding" else "logits"
        output = Output({name: values.view(len(input_ids), self.task.outputs)})
        return output.to_tuple() if return_dict is False else output

    def extra_repr(self) -> str:
        return f"{self.task.name}: {self.task.kind}, outputs={self.task.outputs}, {self.model!r}"


def _on_cpu(tensor: Any, name: str) -> torch.Tensor:
    if not isinstance(tensor, torch.Tensor):
        raise WrongTypeError(f"An argument is no tensor (at {name}; expected torch.Tensor; found {type(tensor).__name__}).")
    if tensor.device.type != "cpu":
        raise InvalidArgumentError(
            f"A tensor is on another device (at {name}; expected cpu; found {tensor.device}). Call .cpu() on it."
        )
    # The extension reads these; others are rare, and small enough to copy.
    read = (torch.int64, torch.int32, torch.bool)
    is_rare = tensor.dtype not in read and not tensor.is_floating_point() and not tensor.is_complex()
    return tensor.to(torch.int64) if is_rare else tensor.detach()
