"""The folder that `tilewise compile` takes: weights, heads, tasks.json, and a card that says what it is."""
import json
import shutil
from collections import Counter

from safetensors.torch import save_file

from .distill import digest_of
from .model import LINEAR_LAYERS, head_names

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def export(recipe, data, encoder, model, fitted, metrics, log, folder):
    """recipe: with all labels; data: of prepare(); encoder: with its LoRA, if it has one; model: with the heads to keep; fitted: {task: Fitted}; metrics: of evaluate(); log: of the training."""
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.schedule.lora:
        encoder.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's card names this machine's path
    else:
        encoder.save_pretrained(folder)
        for name in TOKENIZER_FILES:
            if (recipe.backbone.folder / name).exists():
                shutil.copyfile(recipe.backbone.folder / name, folder / name)
    save_file(head_tensors(recipe, model, fitted), folder / "heads.safetensors")
    write_json(tasks_file(recipe, fitted), folder / "tasks.json")
    write_json(metrics, folder / "metrics.json")
    made = {"settings": settings_of(recipe, encoder.config.model_type), "tasks": {task.name: training_of(recipe, task, data[task.name]) for task in recipe.tasks}}
    if recipe.distillation:
        made["distillation"] = distillation_of(recipe.distillation)
    write_json(made | {"epochs": log}, folder / "training_log.json")
    (folder / "README.md").write_text(card(recipe, fitted, metrics, made, log), encoding="utf-8")


def write_json(value, path):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def head_tensors(recipe, model, fitted):
    """NAME.weight [outputs, hidden] and NAME.bias [outputs] of each task and of the exits that are used."""
    tensors = {}
    for task in recipe.tasks:
        used = {f"{task.name}.exit{exit_.after_layer}" for exit_ in fitted[task.name].exits} | {task.name}
        for name in head_names(task):
            if name in used:
                for part, tensor in model.head(name).named_parameters():
                    tensors[f"{name}.{part}"] = tensor.detach().cpu().clone().contiguous()
    return tensors


def tasks_file(recipe, fitted):
    backbone = {}
    if recipe.schedule.lora:  # a full fine-tune is its own backbone
        if recipe.backbone.package:
            backbone = {"package": recipe.backbone.package, "folder": recipe.backbone.package_folder or "."}
        backbone["sha256"] = recipe.backbone.sha256
    tasks = [task_entry(task, fitted[task.name]) for task in recipe.tasks]
    return {"backbone": backbone, "tasks": tasks} if backbone else {"tasks": tasks}


def task_entry(task, fitted):
    entry = {"name": task.name, "kind": task.kind, "input": task.input, "pooling": task.pooling}
    if task.labels:
        entry["labels"] = list(task.labels)
    entry |= {"max_tokens": task.max_tokens, "truncation": task.truncation}
    if task.template:
        entry["template"] = {"fields": [list(field) for field in task.template.fields], "separator": task.template.separator}
    if task.kind != "regression":
        entry["temperature"] = rounded(fitted.temperature)
    if fitted.threshold is not None:
        entry["threshold"] = rounded(fitted.threshold)
    if fitted.below is not None:
        entry["out_of_scope"] = {"score": "logsumexp", "below": rounded(fitted.below)}
    if fitted.exits:
        entry["exits"] = [exit_entry(task, exit_) for exit_ in fitted.exits]
    return entry


def exit_entry(task, exit_):
    entry = {"after_layer": exit_.after_layer, "head": f"{task.name}.exit{exit_.after_layer}",
             "confidence": exit_.confidence, "temperature": rounded(exit_.temperature)}
    return entry | ({"below": rounded(exit_.below)} if exit_.below is not None else {})


def rounded(value):
    return float(f"{value:.6g}")


def file_names(paths):
    """The files' names, with as many of their folders as set those of one name apart."""
    names = [path.name for path in paths]
    for depth in range(2, max((len(path.parts) for path in paths), default=0) + 1):
        names = [name if names.count(name) == 1 else "/".join(path.parts[-depth:]) for name, path in zip(names, paths)]
    return names


def settings_of(recipe, family):
    schedule = {key: value for key, value in vars(recipe.schedule).items() if key != "lora"}
    lora = recipe.schedule.lora
    return schedule | ({"lora": vars(lora) | {"targets": list(lora.targets or LINEAR_LAYERS[family])}} if lora else {})


OF_A_TASK = ("batch_size", "loss_weight", "sampling", "skip_easy", "label_smoothing", "exit_weight", "refit_exits", "max_changed")


def training_of(recipe, task, data):
    """What a task learnt from, and how."""

    def counts(paths, rows):
        found = Counter(row.where.rsplit(":", 1)[0] for row in rows)
        return {name: found[str(path)] for name, path in zip(file_names(paths), paths)}

    unlabelled = recipe.distillation.unlabelled.get(task.name, ()) if recipe.distillation else ()
    return ({key: getattr(task, key) for key in OF_A_TASK if task.exits or key not in ("exit_weight", "refit_exits", "max_changed")}
            | {"rows": counts(task.train, data.rows[: data.labelled])}
            | ({"unlabelled_rows": counts(unlabelled, data.rows[data.labelled :])} if unlabelled else {}))


def distillation_of(distillation):
    """Teachers by the last parts of their paths."""
    folders = [teacher.folder for teacher in distillation.teachers]
    return {"teachers": [{"folder": "/".join(folder.parts[-2:]), "digest": digest_of(teacher)} for folder, teacher in zip(folders, distillation.teachers)],
            "weight": distillation.weight, "temperature": distillation.temperature, "both_orders": distillation.both_orders}


def percent(value):
    return f"{100 * value:.1f}"


def table(head, rows):
    lines = [head, ["---"] * len(head)] + rows
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


MEASURES = {"binary": ("f1", "F1 %, with the one threshold"), "multiclass": ("accuracy", "accuracy %"),
            "multilabel": ("micro_f1", "micro F1 %"), "regression": ("root_mean_square_error", "root mean square error")}


def card(recipe, fitted, metrics, made, log):
    parts = [f"# {recipe.title}", recipe.description, what(recipe, fitted), quality(recipe, metrics), training(made, log), licences(recipe)]
    return "\n\n".join(part for part in parts if part) + "\n"


def what(recipe, fitted):
    source = recipe.backbone.package or recipe.backbone.folder.name
    weights = "A LoRA adapter and heads" if recipe.schedule.lora else "An encoder and heads"
    rows = [[f"`{t.name}`", t.kind, t.input, len(t.labels) or 1, t.max_tokens, t.pooling, ", ".join(str(e.after_layer) for e in fitted[t.name].exits) or "none"]
            for t in recipe.tasks]
    return (f"{weights} for the backbone `{source}` (sha256 of its `model.safetensors`: {recipe.backbone.sha256}), made by `tilewise_training` from "
            f"the recipe `{recipe.path.name}`. `tasks.json` says what each task reads and answers.\n\n"
            + table(["task", "kind", "input", "labels", "tokens at most", "pooling", "exits after layers"], rows))


def quality(recipe, metrics):
    sections = ["## Quality", "In PyTorch, fp32. Thresholds, temperatures and exits were chosen on the validation rows, so only the test rows say what to expect."]
    for task in recipe.tasks:
        measure, words = MEASURES[task.kind]
        rows = []
        for split in ("valid", "test"):
            for name, value in metrics[task.name].get(split, {}).items():
                shown = f"{value[measure]:.4f}" if task.kind == "regression" else percent(value[measure])
                exits = value.get("exits")
                rows.append([split, name, value["rows"], shown, f"{exits['mean_layers']:.2f}" if exits else "", f"{100 * exits['changed']:.2f}" if exits else ""])
        sections.append(f"### {task.name}\n" + table(["split", "file", "rows", words, "layers with exits", "decisions changed %"], rows))
        outside = metrics[task.name].get("out_of_scope")
        if outside:
            sections.append("Out of scope, with the threshold that keeps " + percent(task.keep_in_scope) + " % of the validation rows: "
                            + "; ".join(f"{split}: {percent(v['recall'])} % found" + (f", {percent(v['kept'])} % of the others kept" if "kept" in v else "")
                                        for split, v in outside.items()) + ".")
    return "\n\n".join(sections)


def listed(settings):
    return ", ".join(f"{key} {' '.join(value) if type(value) is list else value}" for key, value in settings.items())


def training(made, log):
    """made: as training_log.json has it."""
    minutes = sum(entry["cpu_seconds"] for entry in log) / 60
    settings = {key: value for key, value in made["settings"].items() if key != "lora"}
    lora = f" LoRA: {listed(made['settings']['lora'])}." if "lora" in made["settings"] else ""
    parts = [f"## Training\n{len(log)} epochs, {minutes:.0f} processor-minutes without validation. Settings: {listed(settings)}.{lora}"]
    tasks = made["tasks"]
    parts.append(table(["task", *OF_A_TASK], [[name, *(task.get(key, "") for key in OF_A_TASK)] for name, task in tasks.items()]))
    rows = [[name, file, count, labels] for name, task in tasks.items() for labels, key in (("yes", "rows"), ("no", "unlabelled_rows"))
            for file, count in task.get(key, {}).items()]
    parts.append(table(["task", "training file", "rows", "labels"], rows))
    if "distillation" in made:
        rest = {key: value for key, value in made["distillation"].items() if key != "teachers"}
        parts.append(f"Distillation: {listed(rest)}.\n\n" + table(["teacher", "digest"], [[t["folder"], t["digest"]] for t in made["distillation"]["teachers"]]))
    return "\n\n".join(parts)


def licences(recipe):
    if not recipe.licences:
        return ""
    return "## Data and licences\n" + table(["data", "source", "licence as the source states it"], [[x.data, x.source, x.licence] for x in recipe.licences])
