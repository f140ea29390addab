"""Distillation: the student learns the answers of teachers beside its labels (Hinton et al. 2015), and in their place where rows have none."""
import dataclasses
import json
import types

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from .batches import RowEncoder
from .errors import TrainingError
from .model import MultiTaskModel, load_encoder, predict
from .settings import package_folder


def teach(recipe, data, folder):
    """Sets TaskData.taught of every task that all teachers have: the mean of their logits, for a pair also over both orders of its sides.

    The answers are kept in folder/taught.safetensors, since a large teacher takes longer than its student."""
    path = folder / "taught.safetensors"
    if not path.exists():
        total = {}
        for teacher in recipe.distillation.teachers:
            for name, logits in answers_of(teacher, recipe, data).items():
                total[name] = total.get(name, 0) + logits / len(recipe.distillation.teachers)
        save_file(total, path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
    for name, logits in load_file(path).items():
        data[name].taught = logits


def answers_of(folder, recipe, data):
    """One teacher's logits of all training rows of the tasks that it shares with the recipe: {task: [rows, outputs]}."""
    entries = {entry["name"]: entry for entry in json.loads((folder / "tasks.json").read_text(encoding="utf-8"))["tasks"]}
    pupils = [task for task in recipe.tasks if task.name in entries]
    if not pupils:
        raise TrainingError("A teacher has none of the recipe's tasks", str(folder / "tasks.json"), ", ".join(t.name for t in recipe.tasks), ", ".join(entries))
    tasks = [teacher_task(task, entries[task.name], folder) for task in pupils]
    model, backbone = load_trained(folder, tasks, recipe)
    encoder = RowEncoder(backbone, model.encoder.config.vocab_size)
    answers = {}
    for task in tasks:
        orders = (False, True) if task.input == "pair" and recipe.distillation.both_orders else (False,)
        views = [predict(model, task, encoder.encode(task, data[task.name].rows, swapped), recipe.schedule.precision)[-1] for swapped in orders]
        answers[task.name] = torch.stack(views).mean(0)
    return answers


def teacher_task(task, entry, folder):
    """The recipe's task as the teacher reads it."""
    if entry["kind"] != task.kind or entry["input"] != task.input or tuple(entry.get("labels", ())) != task.labels:
        raise TrainingError("A teacher's task is not the recipe's", f"{folder / 'tasks.json'}: {task.name}",
                            f"kind {task.kind}, input {task.input}, the same {len(task.labels)} labels in the same order",
                            f"kind {entry['kind']}, input {entry['input']}, {len(entry.get('labels', ()))} labels")
    own = {key: entry[key] for key in ("pooling", "max_tokens", "truncation") if key in entry}
    return dataclasses.replace(task, exits=(), **own)


def load_trained(folder, tasks, recipe):
    """A folder that export() wrote -> (MultiTaskModel for evaluation, the folder of its backbone)."""
    backbone = folder if (folder / "config.json").exists() else backbone_of(folder, recipe)
    encoder = load_encoder(backbone)
    if (folder / "adapter_config.json").exists():
        encoder = PeftModel.from_pretrained(encoder, folder).merge_and_unload()
    model = MultiTaskModel(encoder, tasks)
    heads = load_file(folder / "heads.safetensors")
    for task in tasks:
        head = model.head(task.name)
        weight, bias = heads.get(task.name + ".weight"), heads.get(task.name + ".bias")
        if weight is None or bias is None or weight.shape != head.weight.shape or bias.shape != head.bias.shape:
            raise TrainingError("A head does not fit its labels", f"{folder / 'heads.safetensors'}: {task.name}", str(tuple(head.weight.shape)),
                                str(tuple(weight.shape)) if weight is not None else "nothing")
        head.load_state_dict({"weight": weight, "bias": bias})
    return model.eval(), backbone


def backbone_of(folder, recipe):
    """Of an adapter: the recipe's own backbone where it is the same, or else the package that its tasks.json names."""
    named = types.SimpleNamespace(**{"package": None, "folder": None, "sha256": None} | json.loads((folder / "tasks.json").read_text(encoding="utf-8")).get("backbone", {}))
    if named.sha256 == recipe.backbone.sha256:
        return recipe.backbone.folder
    if named.package is None:
        raise TrainingError("The backbone of a teacher is not known", str(folder / "tasks.json"), "backbone.package, or the recipe's own backbone", "neither")
    return package_folder(named.package, named.folder, str(folder / "tasks.json"))
