"""What is chosen on validation data once the weights stand: temperatures, thresholds, and how certain an exit must be."""
import dataclasses
import math

import torch

from .losses import best_threshold, label_loss

SURE = 1 - 2**-23  # the largest confidence that a model folder states; fp32 rounds what lies beyond to 1
COLDEST = 0.25  # rows that a head separates have no best temperature: under it every probability is 1
MARGIN = 0.6  # exits are chosen for so much of the changed decisions that are allowed, as other rows change a few more


@dataclasses.dataclass
class Exit:
    after_layer: int
    confidence: float  # the largest class probability, at this exit's temperature, from which on a row leaves
    temperature: float
    below: float | None = None  # with out-of-scope rejection: a row whose logsumexp lies under it goes on


@dataclasses.dataclass
class Fitted:
    """What tasks.json says of a task beyond its recipe."""

    temperature: float = 1.0
    threshold: float | None = None  # binary, on the logit
    below: float | None = None  # out of scope, logsumexp of the logits
    exits: list[Exit] = dataclasses.field(default_factory=list)


def fit(task, layers, groups, out_of_scope=()):
    """layers: of the encoder; groups: (answers, target) of each validation file, answers as model.predict() gives them;
    out_of_scope: answers of each file of rows that belong to no label -> Fitted"""
    answers = [torch.cat(parts) for parts in zip(*(a for a, _ in groups))]
    target = torch.cat([t for _, t in groups])
    fitted = Fitted()
    if task.kind == "regression":
        return fitted
    fitted.temperature = best_temperature(task, answers[-1], target)
    if task.kind == "binary":
        fitted.threshold = best_threshold([(a[-1][:, 0], t) for a, t in groups])[0]
    if out_of_scope:
        fitted.below = answers[-1].logsumexp(1).quantile(1 - task.keep_in_scope).item()
        answers = [torch.cat([inside, *outside]) for inside, *outside in zip(answers, *out_of_scope)]
    if task.exits:
        temperatures = [best_temperature(task, a[: len(target)], target) for a in answers[:-1]]
        fitted.exits = fit_exits(task, layers, fitted, answers, temperatures, MARGIN * task.max_changed)
    return fitted


def best_temperature(task, logits, target):
    """The temperature with the least loss (Guo et al. 2017), by golden-section search over its logarithm."""
    task = dataclasses.replace(task, label_smoothing=0.0)

    def loss(log_temperature):
        return label_loss(task, logits.double() / math.exp(log_temperature), target if task.kind == "multiclass" else target.double()).mean().item()

    low, high, ratio = math.log(COLDEST), math.log(20.0), (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        if loss(a) <= loss(b):
            high = b
        else:
            low = a
    return math.exp((low + high) / 2)


def decisions(task, fitted, logits, exit_=None):
    """logits [rows, outputs] of the last layer, or of an exit -> [rows]: binary 0 or 1; multiclass the label's index, -1 out of scope."""
    if task.kind == "binary":
        written = logits[:, 0] * (fitted.temperature / exit_.temperature if exit_ else 1.0)
        return (written >= fitted.threshold).long()
    chosen = logits.argmax(1)
    if fitted.below is not None and exit_ is None:
        chosen = torch.where(logits.logsumexp(1) < fitted.below, -1, chosen)
    return chosen


def confidence(task, logits, temperature):
    """The largest class probability. [rows], fp64, so that those near 1 stay apart"""
    logits = logits.double() / temperature
    return torch.sigmoid(logits[:, 0].abs()) if task.kind == "binary" else logits.softmax(1).amax(1)


@dataclasses.dataclass
class ExitRows:
    """One exit's answers to the validation rows, [rows] each, fp64."""

    layer: int
    certain: torch.Tensor  # confidence
    energy: torch.Tensor  # logsumexp of the logits
    changed: torch.Tensor  # 1 where its decision is not the full depth's


NOBODY = (math.inf, -math.inf)  # limits of confidence and energy that no row reaches


def fit_exits(task, layers, fitted, answers, temperatures, allowed):
    """Limits with the least mean depth, so that at most a share `allowed` of the decisions changes -> list of Exit; an exit that
    nobody would take is left out.

    For a price of a changed decision in layers, the limits are found by coordinate descent, one exit at a time; the price by bisection."""
    full = decisions(task, fitted, answers[-1])
    rows = []
    for layer, logits, temperature in zip(task.exits, answers, temperatures):
        changed = decisions(task, fitted, logits, Exit(layer, 1.0, temperature)) != full
        rows.append(ExitRows(layer, confidence(task, logits, temperature), logits.double().logsumexp(1), changed.double()))
    low, high, best = 1e-2, 1e5, [NOBODY] * len(rows)
    for _ in range(24):
        price = math.sqrt(low * high)
        limits = _cheapest_limits(rows, layers, price, fitted.below is not None)
        if _outcome(rows, layers, limits)[1].sum() <= allowed * len(full):
            high, best = price, limits
        else:
            low = price
    best = _stated(rows, layers, best, allowed * len(full))
    least = 1 / max(2, answers[-1].shape[1]) + 1e-6  # which every answer has
    exits = [Exit(row.layer, max(sure, least), temperature, floor if fitted.below is not None else None)
             for row, (sure, floor), temperature in zip(rows, best, temperatures)]
    return [exit_ for exit_ in exits if exit_.confidence <= SURE]


def _stated(rows, layers, limits, allowed):
    """The limits with confidences of at most SURE where no more than `allowed` decisions change by that; nobody takes the other exits."""
    found, limits = limits, [limit if limit[0] <= SURE else NOBODY for limit in limits]
    for k, (sure, floor) in enumerate(found):
        if SURE < sure < math.inf:
            trial = [*limits[:k], (SURE, floor), *limits[k + 1 :]]
            if _outcome(rows, layers, trial)[1].sum() <= allowed:
                limits = trial
    return limits


def _outcome(rows, layers, limits, start=0):
    """Of each row that comes as far as exit number `start`: the layers that it uses, and whether its decision changes."""
    depth = torch.full_like(rows[0].certain, layers)
    changed = torch.zeros_like(depth)
    for row, (sure, floor) in reversed(list(zip(rows, limits))[start:]):
        leaves = (row.certain >= sure) & (row.energy >= floor)
        depth = torch.where(leaves, float(row.layer), depth)
        changed = torch.where(leaves, row.changed, changed)
    return depth, changed


def _cheapest_limits(rows, layers, price, with_energy):
    limits = [NOBODY] * len(rows)
    for _ in range(3):
        for k in reversed(range(len(rows))):
            depth, changed = _outcome(rows, layers, limits, k + 1)
            gain = depth - rows[k].layer - price * (rows[k].changed - changed)
            for earlier, (sure, floor) in zip(rows[:k], limits):
                gain = torch.where((earlier.certain >= sure) & (earlier.energy >= floor), 0.0, gain)
            limits[k] = _best_limits(rows[k], gain, with_energy)
    return limits


def _best_limits(row, gain, with_energy, floors=48):
    """The limits with the greatest sum of gains of those that reach them: every confidence, and some values of the energy."""
    floor = row.energy.min()[None] - 1
    if with_energy:
        floor = torch.cat([floor, row.energy.quantile(torch.linspace(0, 0.95, floors, dtype=torch.float64))])
    order = row.certain.argsort(descending=True, stable=True)
    certain = row.certain[order]
    total = torch.where(row.energy[order] >= floor[:, None], gain[order], 0.0).cumsum(1)
    last_of_equals = torch.cat([certain[1:] != certain[:-1], torch.ones(1, dtype=torch.bool)])
    total = torch.where(last_of_equals, total, -math.inf)
    best = total.argmax().item()
    which, cut = divmod(best, len(order))
    if total[which, cut] <= 0:
        return NOBODY
    next_lower = certain[min(cut + 1, len(order) - 1)]
    return ((certain[cut] + next_lower) / 2).item(), floor[which].item()


def take_exits(task, layers, fitted, answers):
    """answers: of every exit of the task and of the last layer -> the decision, and the layers used, of each row."""
    chosen = decisions(task, fitted, answers[-1])
    depth = torch.full((len(chosen),), layers)
    for exit_ in reversed(fitted.exits):
        logits = answers[task.exits.index(exit_.after_layer)]
        leaves = confidence(task, logits, exit_.temperature) >= exit_.confidence
        if exit_.below is not None:
            leaves &= logits.logsumexp(1) >= exit_.below
        chosen = torch.where(leaves, decisions(task, fitted, logits, exit_), chosen)
        depth = torch.where(leaves, exit_.after_layer, depth)
    return chosen, depth
