"""What is chosen on validation data, against slow searches and known answers."""
import dataclasses
import math

import pytest
import torch

from tilewise_training.evaluate import calibration_error, evaluate, roc_auc
from tilewise_training.losses import best_threshold, f1_at
from tilewise_training.thresholds import Fitted, best_temperature, decisions, fit, fit_exits, take_exits


@dataclasses.dataclass(frozen=True)
class FakeTask:
    name: str = "t"
    kind: str = "multiclass"
    labels: tuple = ("a", "b", "c")
    label_smoothing: float = 0.0
    exits: tuple = (1, 2)
    keep_in_scope: float = 0.95
    max_changed: float = 0.02


BINARY = FakeTask(kind="binary", labels=("a",))


def test_best_threshold_is_that_of_a_search_over_all():
    torch.manual_seed(3)
    groups = [(torch.randn(40) + shift, (torch.rand(40) < 0.3).float()) for shift in (0.0, 1.0)]
    threshold, mean = best_threshold(groups)
    candidates = torch.cat([logits for logits, _ in groups]).tolist()
    slow = max(sum(f1_at(logits, target, t) for logits, target in groups) / 2 for t in candidates)
    assert mean == pytest.approx(slow, abs=1e-12)
    assert sum(f1_at(logits, target, threshold) for logits, target in groups) / 2 == pytest.approx(slow, abs=1e-12)


@pytest.mark.parametrize("task, true", [(BINARY, 2.5), (FakeTask(), 0.5)])
def test_temperature_finds_the_scale_of_the_logits(task, true):
    torch.manual_seed(0)
    honest = 2 * torch.randn(20000, 1 if task.kind == "binary" else 3)
    if task.kind == "binary":
        target = (torch.rand(len(honest)) < torch.sigmoid(honest[:, 0])).float()
    else:
        target = torch.multinomial(honest.softmax(1), 1)[:, 0]
    assert best_temperature(task, true * honest, target) == pytest.approx(true, rel=0.05)  # 20,000 rows: about 2 % of noise


def exits_of(task, rows, noise):
    """Answers of two exits and the last layer: the last one's logits with noise that shrinks."""
    torch.manual_seed(1)
    final = 4 * torch.randn(rows, 1 if task.kind == "binary" else 3)
    return [final + noise * torch.randn_like(final), final + noise / 2 * torch.randn_like(final), final]


@pytest.mark.parametrize("task, fitted", [(BINARY, Fitted(threshold=0.7)), (FakeTask(), Fitted()), (FakeTask(), Fitted(below=1.0))])
def test_exits_save_layers_and_change_no_more_than_allowed(task, fitted):
    answers = exits_of(task, 4000, 1.0)
    fitted.exits = fit_exits(task, 4, fitted, answers, [1.0, 1.0], 0.01)
    chosen, depth = take_exits(task, 4, fitted, answers)
    assert (chosen != decisions(task, fitted, answers[-1])).float().mean() <= 0.01
    assert depth.float().mean() < 3.0
    assert all((exit_.below is None) == (fitted.below is None) for exit_ in fitted.exits)


def test_an_exit_that_knows_nothing_is_left_out():
    task = FakeTask(exits=(1,))
    final = 4 * torch.randn(500, 3, generator=torch.Generator().manual_seed(2))
    assert fit_exits(task, 4, Fitted(), [-final, final], [1.0], 0.0) == []


def test_exits_of_rows_that_a_head_separates_are_kept():
    """Any temperature down to 0 lowers the loss there; confidences stay apart from 1 and each other."""
    torch.manual_seed(1)
    task, target = FakeTask(exits=(1,)), torch.arange(3).repeat(100)
    for scale in (2.0, 4.0, 40.0):
        logits = scale * torch.nn.functional.one_hot(target, 3) + torch.rand(300, 3)
        fitted = fit(task, 3, [([logits, logits], target)])
        assert fitted.temperature == pytest.approx(0.25, rel=1e-3)
        [exit_] = fitted.exits
        assert exit_.confidence <= 1 - 2**-23
        assert take_exits(task, 3, fitted, [logits, logits])[1].tolist() == [1] * 300


def test_a_confidence_is_lowered_only_where_decisions_stay():
    """Rows of 1 - 1e-9 agree with the full depth, those under them do not: fp32 states 1 - 1.2e-7, which tells them from 1 - 1.5e-7 alone."""
    task = FakeTask(kind="binary", labels=("a",), exits=(1,))
    final = torch.tensor([1.0] * 50 + [-1.0] * 10)[:, None]

    def exits(doubt):
        at_exit = torch.tensor([math.log(1e9)] * 50 + [math.log(1 / doubt)] * 10)[:, None]
        return fit_exits(task, 4, Fitted(threshold=0.0), [at_exit, final], [1.0], 0.0)

    assert [exit_.confidence for exit_ in exits(1.5e-7)] == [1 - 2**-23]
    assert exits(1e-7) == []


def test_an_exit_that_is_the_last_layer_takes_all():
    task = FakeTask(exits=(1,))
    final = 4 * torch.randn(500, 3, generator=torch.Generator().manual_seed(2))
    fitted = Fitted(exits=fit_exits(task, 4, Fitted(), [final, final], [1.0], 0.0))
    assert take_exits(task, 4, fitted, [final, final])[1].tolist() == [1] * 500


def test_out_of_scope_keeps_the_stated_share():
    torch.manual_seed(5)
    inside, outside = 5 + 2 * torch.randn(2000, 3), torch.randn(200, 3)
    target = inside.argmax(1)
    fitted = fit(dataclasses.replace(FakeTask(), exits=()), 4, [([inside], target)], [[outside]])
    assert (inside.logsumexp(1) >= fitted.below).float().mean().item() == pytest.approx(0.95, abs=1e-3)
    assert (decisions(FakeTask(), fitted, outside) == -1).float().mean() > 0.5


def test_rows_out_of_scope_are_measured_without_others():
    """Energies of three labels at 0: log 3 = 1.0986."""
    fitted = Fitted(below=2.0)
    outside = [[torch.zeros(4, 3)], [torch.full((4, 3), 1.0)]]
    result = evaluate(FakeTask(exits=()), 3, fitted, {"test": {}}, {"test": outside})
    assert result == {"test": {}, "out_of_scope": {"test": {"recall": 0.5}}}


def test_measures_of_evaluation():
    assert roc_auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0])) == pytest.approx(0.875)
    logits = torch.full((10, 1), math.log(0.7 / 0.3))
    target = torch.tensor([1.0] * 6 + [0.0] * 4)
    assert calibration_error(BINARY, logits, target) == pytest.approx(0.1, abs=1e-6)
