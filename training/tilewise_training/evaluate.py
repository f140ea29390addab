"""Measures of a trained model, file by file."""
import torch

from .losses import f1_at
from .thresholds import decisions, take_exits


def evaluate(task, layers, fitted, inside, outside):
    """inside: {split: {file: (answers, target)}}, answers as model.predict() gives them; outside: {split: [answers of a file of rows out of scope]}
    -> {split: {file: measures}, "out_of_scope": {split: ...}, "exits": {split: ...}}"""
    result = {}
    for split, files in inside.items():
        result[split] = {name: measures(task, layers, fitted, answers, target) for name, (answers, target) in files.items()}
        known = [answers for answers, _ in files.values()]
        if outside[split] and fitted.below is not None:
            result.setdefault("out_of_scope", {})[split] = out_of_scope(fitted, known, outside[split])
        if fitted.exits and known + outside[split]:
            answers = [torch.cat(parts) for parts in zip(*known, *outside[split])]
            result.setdefault("exits", {})[split] = depth(task, layers, fitted, answers)
    return result


def measures(task, layers, fitted, answers, target):
    logits = answers[-1]
    result = {"rows": len(target)}
    if task.kind == "binary":
        result |= {"f1": f1_at(logits[:, 0], target, fitted.threshold)}
    elif task.kind == "multiclass":
        result |= {"accuracy": (logits.argmax(1) == target).float().mean().item()}
    elif task.kind == "multilabel":
        result |= {"micro_f1": f1_at(logits, target, 0.0)}
    else:
        result |= {"root_mean_square_error": ((logits[:, 0] - target) ** 2).mean().sqrt().item(), "pearson": pearson(logits[:, 0], target)}
    if task.kind in ("binary", "multiclass"):
        result |= {"calibration_error": calibration_error(task, logits / fitted.temperature, target),
                   "calibration_error_without_temperature": calibration_error(task, logits, target)}
    if fitted.exits:
        chosen, _ = take_exits(task, layers, fitted, answers)
        exits = depth(task, layers, fitted, answers)
        if task.kind == "binary":
            exits["f1"] = rounded(f1_at(chosen.float(), target, 0.5))
        else:  # as above, the label itself counts: a right one that is out of scope by its threshold stays right
            label = torch.where(chosen < 0, logits.argmax(1), chosen)
            exits["accuracy"] = rounded((label == target).float().mean().item())
        result["exits"] = exits
    return {key: rounded(value) if isinstance(value, float) else value for key, value in result.items()}


def depth(task, layers, fitted, answers):
    """The mean of the layers used, and the share of decisions that are not the full depth's."""
    chosen, used = take_exits(task, layers, fitted, answers)
    changed = (chosen != decisions(task, fitted, answers[-1])).double().mean().item()
    return {"mean_layers": rounded(used.double().mean().item()), "changed": rounded(changed)}


def out_of_scope(fitted, inside, outside):
    """Without files of the task's own labels only what is found of the others."""
    result = {}
    outside = torch.cat([answers[-1].logsumexp(1) for answers in outside])
    result["recall"] = rounded((outside < fitted.below).float().mean().item())
    if inside:
        inside = torch.cat([answers[-1].logsumexp(1) for answers in inside])
        result |= {"kept": rounded((inside >= fitted.below).float().mean().item()), "roc_auc": rounded(roc_auc(inside, outside))}
    return result


def roc_auc(high, low):
    """The chance that one of `high` is over one of `low`; half of it where they are equal."""
    low = low.double().sort().values
    high = high.double()
    under = torch.searchsorted(low, high) + torch.searchsorted(low, high, right=True)
    return (under.double().mean() / 2 / len(low)).item()


def calibration_error(task, logits, target, bins=15):
    """Expected calibration error over bins of equal width: of the best label, or of a binary task's probability."""
    if task.kind == "binary":
        probability, right = torch.sigmoid(logits[:, 0]), (target > 0).float()
    else:
        probability, chosen = logits.softmax(1).max(1)
        right = (chosen == target).float()
    which = (probability * bins).long().clamp(max=bins - 1)
    gaps = torch.zeros(bins).index_add(0, which, probability - right)
    return (gaps.abs().sum() / len(target)).item()


def pearson(a, b):
    a, b = a - a.mean(), b - b.mean()
    return ((a * b).sum() / (a.norm() * b.norm()).clamp(min=1e-12)).item()


def rounded(value):
    return round(value, 4)
