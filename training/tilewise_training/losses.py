"""Losses, one value a row, and the score that says whether an epoch was better."""
import torch
import torch.nn.functional as F


def label_loss(task, logits, target):
    """logits [rows, outputs], target as batches.target_tensor() makes it -> [rows]."""
    smoothing = task.label_smoothing
    if task.kind == "multiclass":
        return F.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
    if task.kind == "regression":
        return F.mse_loss(logits[:, 0], target, reduction="none")
    if task.kind == "binary":
        target = target[:, None]
    return F.binary_cross_entropy_with_logits(logits, target * (1 - smoothing) + smoothing / 2, reduction="none").mean(1)


def teacher_loss(task, logits, taught, temperature=1.0):
    """Cross-entropy against another model's logits `taught` [rows, outputs], at a temperature (Hinton et al. 2015) -> [rows]."""
    if task.kind == "regression":
        return F.mse_loss(logits, taught, reduction="none")[:, 0]
    logits, taught = logits / temperature, taught / temperature
    if task.kind == "multiclass":
        return temperature**2 * F.cross_entropy(logits, taught.softmax(1), reduction="none")
    return temperature**2 * F.binary_cross_entropy_with_logits(logits, taught.sigmoid(), reduction="none").mean(1)


def f1_at(logits, target, threshold):
    chosen, positive = logits >= threshold, target > 0
    hits = (chosen & positive).sum().item()
    return 2 * hits / max(1, chosen.sum().item() + positive.sum().item())


def best_threshold(groups):
    """groups: (logits [n], target [n]) of each validation file -> the threshold with the best mean of the files' F1, and that mean."""
    candidates = torch.cat([logits for logits, _ in groups]).unique()
    middles = torch.cat([candidates[:1] - 1, (candidates[1:] + candidates[:-1]) / 2])
    total = torch.zeros(len(middles), dtype=torch.float64)
    for logits, target in groups:
        order = logits.argsort()
        below = torch.searchsorted(logits[order], middles)  # rows under each threshold
        positives = (target[order] > 0).double()
        lost = torch.cat([torch.zeros(1, dtype=torch.float64), positives.cumsum(0)])[below]
        hits = positives.sum() - lost
        total += 2 * hits / (len(logits) - below + positives.sum()).clamp(min=1)
    best = total.argmax().item()
    return middles[best].item(), total[best].item() / len(groups)


def score(task, groups):
    """Higher is better; groups: (logits [n, outputs], target) of each validation file. binary: mean of the files' best F1 with one
    threshold; multiclass: accuracy; multilabel: micro F1 at 0; regression: the negative root mean square error."""
    if task.kind == "binary":
        return best_threshold([(logits[:, 0], target) for logits, target in groups])[1]
    logits, target = (torch.cat(parts) for parts in zip(*groups))
    if task.kind == "multiclass":
        return (logits.argmax(1) == target).float().mean().item()
    if task.kind == "multilabel":
        return f1_at(logits, target, 0.0)
    return -((logits[:, 0] - target) ** 2).mean().sqrt().item()
