"""Distillation: the student learns the answers of teachers beside its labels (Hinton et al. 2015), and in their place where rows have none."""
import dataclasses
import hashlib
import json
import types

import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from .batches import RowEncoder
from .errors import TrainingError
from .model import MultiTaskModel, load_encoder, predict
from .settings import package_folder


def check_teachers(recipe):
    """Loads each teacher once; raises a TrainingError where one does not fit the recipe."""
    taught = set()
    for teacher in recipe.distillation.teachers:
        tasks = tasks_of(teacher, recipe)
        load_trained(teacher.folder, tasks, recipe, teacher.backbone)
        taught |= {task.name for task in tasks}
    for name in recipe.distillation.unlabelled:
        if name not in taught:
            raise TrainingError("Unlabelled rows are for a task that no teacher has", f"distillation.unlabelled.{name}",
                                "one of " + ", ".join(sorted(taught)), name)


def digest_of(teacher):
    """Of all that a teacher's answers depend on; an adapter's tasks.json has the digest of its backbone."""
    digest = hashlib.sha256()
    for name in ("tasks.json", "heads.safetensors", "config.json", "model.safetensors", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"):
        path = teacher.folder / name
        if path.is_file():
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def teach(recipe, data, folder, fingerprint):
    """Sets TaskData.taught of every task that a teacher has: the mean of its teachers' logits, for a pair also over both orders of its sides.

    The answers are kept in folder/taught.safetensors with the run's fingerprint, since a large teacher takes longer than its student."""
    path = folder / "taught.safetensors"
    if not (path.exists() and fingerprint_in(path) == fingerprint):
        answers = [answers_of(teacher, recipe, data) for teacher in recipe.distillation.teachers]
        save_file(mean_of(answers), path.with_suffix(".part"), {"fingerprint": fingerprint})
        path.with_suffix(".part").rename(path)
    for name, logits in load_file(path).items():
        data[name].taught = logits


def fingerprint_in(path):
    with safe_open(path, "pt") as file:
        return (file.metadata() or {}).get("fingerprint")


def mean_of(answers):
    """answers: {task: logits} of each teacher -> {task: the mean over those that have it}."""
    names = {name: None for one in answers for name in one}
    return {name: torch.stack([one[name] for one in answers if name in one]).mean(0) for name in names}


def answers_of(teacher, recipe, data):
    """One teacher's logits of all training rows of the tasks that it shares with the recipe: {task: [rows, outputs]}."""
    tasks = tasks_of(teacher, recipe)
    model, backbone = load_trained(teacher.folder, tasks, recipe, teacher.backbone)
    model.to(recipe.schedule.device)
    encoder = RowEncoder(backbone, model.encoder.config.vocab_size)
    answers = {}
    for task in tasks:
        orders = (False, True) if task.input == "pair" and recipe.distillation.both_orders else (False,)
        views = [predict(model, task, encoder.encode(task, data[task.name].rows, swapped), recipe.schedule.precision)[-1] for swapped in orders]
        answers[task.name] = torch.stack(views).mean(0)
    return answers


def read_tasks(folder):
    try:
        return json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise TrainingError("A teacher's tasks cannot be read", str(folder / "tasks.json"), "JSON that this package wrote", str(error)) from None


def tasks_of(teacher, recipe):
    """The recipe's tasks that the teacher has, as it reads them."""
    entries = {entry["name"]: entry for entry in read_tasks(teacher.folder)["tasks"]}
    tasks = [teacher_task(task, entries[task.name], teacher.folder) for task in recipe.tasks if task.name in entries]
    if not tasks:
        raise TrainingError("A teacher has none of the recipe's tasks", str(teacher.folder / "tasks.json"), ", ".join(t.name for t in recipe.tasks), ", ".join(entries))
    return tasks


def teacher_task(task, entry, folder):
    """The recipe's task as the teacher reads it."""
    where = f"{folder / 'tasks.json'}: {task.name}"
    if entry["kind"] != task.kind or entry["input"] != task.input or tuple(entry.get("labels", ())) != task.labels:
        raise TrainingError("A teacher's task is not the recipe's", where,
                            f"kind {task.kind}, input {task.input}, the same {len(task.labels)} labels in the same order",
                            f"kind {entry['kind']}, input {entry['input']}, {len(entry.get('labels', ()))} labels")
    template = task.template and {"fields": [list(field) for field in task.template.fields], "separator": task.template.separator}
    if entry.get("template") != template:
        raise TrainingError("A teacher reads records through another template", where, json.dumps(template, ensure_ascii=False) + " of the recipe",
                            json.dumps(entry.get("template"), ensure_ascii=False) + " of the teacher", "Use one template for both")
    own = {key: entry[key] for key in ("pooling", "max_tokens", "truncation") if key in entry}
    return dataclasses.replace(task, exits=(), **own)


def load_trained(folder, tasks, recipe, backbone=None):
    """A folder that export() wrote, and of an adapter perhaps its backbone's -> (MultiTaskModel for evaluation, the folder of its backbone)."""
    backbone = folder if (folder / "config.json").exists() else backbone_of(folder, recipe, backbone)
    encoder = load_encoder(backbone)
    if (folder / "adapter_config.json").exists():
        try:
            encoder = PeftModel.from_pretrained(encoder, folder).merge_and_unload()
        except (RuntimeError, ValueError, OSError) as error:
            raise TrainingError("An adapter cannot be loaded", str(folder), f"one for {backbone}", str(error).splitlines()[0]) from None
    model = MultiTaskModel(encoder, tasks)
    heads = load_file(folder / "heads.safetensors")
    for task in tasks:
        if task.max_tokens > model.positions:
            raise TrainingError("The task is longer than the backbone", f"{folder / 'tasks.json'}: {task.name}.max_tokens", f"at most {model.positions}",
                                str(task.max_tokens))
        head = model.head(task.name)
        weight, bias = heads.get(task.name + ".weight"), heads.get(task.name + ".bias")
        if weight is None or bias is None or weight.shape != head.weight.shape or bias.shape != head.bias.shape:
            raise TrainingError("A head does not fit its labels", f"{folder / 'heads.safetensors'}: {task.name}", str(tuple(head.weight.shape)),
                                str(tuple(weight.shape)) if weight is not None else "nothing")
        head.load_state_dict({"weight": weight, "bias": bias})
    return model.eval(), backbone


def backbone_of(folder, recipe, given):
    """Of an adapter: the folder `given` for it, the recipe's own backbone where it is the same, or the package that its tasks.json names."""
    named = types.SimpleNamespace(**{"package": None, "folder": None, "sha256": None} | read_tasks(folder).get("backbone", {}))
    if given is None and named.sha256 == recipe.backbone.sha256:
        return recipe.backbone.folder
    if given is None and named.package is None:
        raise TrainingError("The backbone of a teacher is not known", str(folder / "tasks.json"), "backbone.package, or the recipe's own backbone", "neither",
                            'Name it in the recipe: teachers = [{folder = "...", backbone = "..."}]')
    found = given or package_folder(named.package, named.folder, str(folder / "tasks.json"))
    weights = found / "model.safetensors"
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "no file"
    if named.sha256 not in (None, sha256):
        raise TrainingError("The backbone of a teacher is another one than it was trained on", str(weights), named.sha256, sha256)
    return found
