"""The multi-task model in PyTorch, fp32: the independent side of the parity tests and of bench/peers.

Needs torch, transformers, tokenizers and safetensors. The merge is written out by hand (W + alpha / r * B A), so that it says
what another implementation must do.
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertModel


class Reference:
    """folder: tasks.json, heads.safetensors, adapter; backbone: a Hugging Face folder of a BERT. Not thread-safe."""

    def __init__(self, folder, backbone):
        folder, backbone = pathlib.Path(folder), pathlib.Path(backbone)
        self.tasks = {task["name"]: task for task in json.loads((folder / "tasks.json").read_text())["tasks"]}
        self.heads = load_file(folder / "heads.safetensors")
        self.encoder = merged_encoder(folder, backbone).eval()
        self.tokenizer = Tokenizer.from_file(str(backbone / "tokenizer.json"))
        self.tokenizer.no_padding()

    def encode(self, task_name, row):
        """A row of the data sets ({"text"} or {"left", "right"}) -> (ids, token types), specials included."""
        task = self.tasks[task_name]
        self.tokenizer.enable_truncation(task["max_tokens"], strategy=task.get("truncation", "longest_first"))
        sides = [row["text"]] if task["input"] == "text" else [render(task, row["left"]), render(task, row["right"])]
        encoding = self.tokenizer.encode(*sides)
        return encoding.ids, encoding.type_ids

    @torch.inference_mode()
    def logits(self, task_name, encoded):
        """A list of (ids, types) -> one row of logits each, [n, outputs]; one sequence at a time, so nothing is padded."""
        rows = [self.encoder(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types])).last_hidden_state[0].mean(0)
                for ids, types in encoded]
        return torch.stack(rows) @ self.heads[task_name + ".weight"].T + self.heads[task_name + ".bias"]


def render(task, record):
    """A record through the task's template; a plain string passes as it is."""
    if isinstance(record, str):
        return record
    template = task["template"]
    return template["separator"].join(prefix + str(record[field]) for field, prefix in template["fields"] if record.get(field))


def merged_encoder(folder, backbone):
    encoder = BertModel.from_pretrained(str(backbone), add_pooling_layer=False, attn_implementation="eager")
    config = json.loads((folder / "adapter_config.json").read_text())
    adapter = load_file(folder / "adapter_model.safetensors")
    weights = encoder.state_dict()
    for key in [key for key in adapter if key.endswith(".lora_A.weight")]:
        name = key.removeprefix("base_model.model.").removesuffix(".lora_A.weight") + ".weight"
        weights[name] += config["lora_alpha"] / config["r"] * (adapter[key.replace("lora_A", "lora_B")] @ adapter[key])
    encoder.load_state_dict(weights)
    return encoder
