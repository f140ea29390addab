"""From rows to tensors: token ids, and batches of nearly equal lengths."""
import dataclasses
import random

import torch
from tokenizers import Tokenizer

from .errors import TrainingError


@dataclasses.dataclass
class Encoded:
    ids: list[int]  # special tokens included
    types: list[int]
    label: object  # as Row.label
    where: str


class RowEncoder:
    """Token ids as tilewise makes them: the tokenizer's own special tokens, cut to the task's length, no padding."""

    def __init__(self, folder, vocabulary):
        """vocabulary: rows of the backbone's embedding table."""
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library raises plain Exception
            raise TrainingError("The tokenizer cannot be read", str(folder / "tokenizer.json"), "a tokenizer.json", str(error)) from None
        largest = max(self.tokenizer.get_vocab().values(), default=-1)
        if largest >= vocabulary:
            raise TrainingError("The tokenizer does not fit the backbone", str(folder / "tokenizer.json"),
                                f"ids under {vocabulary}, the rows of the embedding table", f"id {largest}",
                                "Take tokenizer and model from the same folder")
        self.tokenizer.no_padding()

    def encode(self, task, rows, swapped=False):
        """swapped: the sides of each pair in the other order."""
        self.tokenizer.enable_truncation(task.max_tokens, strategy=task.truncation)
        texts = [(row.texts[::-1] if swapped else row.texts) if len(row.texts) == 2 else row.texts[0] for row in rows]
        try:
            encodings = self.tokenizer.encode_batch(texts)
        except Exception:  # which does not say where
            for text, row in zip(texts, rows):
                self._encode_one(task, text, row)
            raise
        return [Encoded(e.ids, e.type_ids, row.label, row.where) for e, row in zip(encodings, rows)]

    def _encode_one(self, task, text, row):
        try:
            self.tokenizer.encode(*((text,) if isinstance(text, str) else text))
        except Exception as error:
            found = str(error)
            for side in row.texts:
                try:
                    side.encode("utf-8")
                except UnicodeEncodeError as surrogate:  # JSON can write half a pair
                    found = str(surrogate)
            if "runcat" in found:  # only_first and only_second cannot always cut enough
                raise TrainingError(f"A row of task {task.name} cannot be cut to max_tokens", row.where, f"{task.max_tokens} tokens with {task.truncation}",
                                    found, "Use longest_first") from None
            raise TrainingError(f"A row of task {task.name} cannot be tokenized", row.where, "Unicode text", found) from None


def collate(rows, most):
    """[rows] -> input_ids, token_type_ids, attention_mask, each [rows, longest] with the length rounded up, to `most` tokens (few shapes:
    each new one costs the library a compilation)."""
    longest = max(len(row.ids) for row in rows)
    longest = min(-(-longest // 8) * 8 if longest > 32 else -(-longest // 4) * 4, most)
    ids, types, mask = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(3))
    for i, row in enumerate(rows):
        n = len(row.ids)
        ids[i, :n], types[i, :n], mask[i, :n] = torch.tensor(row.ids), torch.tensor(row.types), 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


def target_tensor(task, rows):
    """binary, regression: [rows] floats; multiclass: [rows] indices; multilabel: [rows, labels] of 0 and 1."""
    if task.kind == "multilabel":
        target = torch.zeros(len(rows), len(task.labels))
        for i, row in enumerate(rows):
            target[i, list(row.label)] = 1
        return target
    return torch.tensor([row.label for row in rows], dtype=torch.long if task.kind == "multiclass" else torch.float32)


def batches(indices, lengths, size, rng, chunk=40):
    """Shuffled batches of nearly equal lengths: sorted inside chunks of `chunk` batches, so that padding stays at a few percent.

    indices: rows to use; lengths: tokens of every row, by index. The result depends on the arguments and `rng` alone."""
    order = list(indices)
    rng.shuffle(order)
    result = []
    for start in range(0, len(order), size * chunk):
        part = sorted(order[start : start + size * chunk], key=lambda i: lengths[i])
        result += [part[j : j + size] for j in range(0, len(part), size)]
    return result


def batches_by_length(lengths, size):
    """Every row once, shortest first: for evaluation."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[i : i + size] for i in range(0, len(order), size)]


def generator(seed, epoch):
    """The random numbers of an epoch depend on seed and epoch alone, so that a resumed run draws the same."""
    return random.Random(f"{seed}/{epoch}")
