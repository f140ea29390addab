"""The heads of exits once more, on the trained encoder as it stands: full depth loses nothing, and agreement with it is all that they learn."""
import torch

from .batches import generator
from .losses import teacher_loss
from .model import features, head_names

ITERATIONS = 60
ROWS = 10_000  # more tell little more


def refit_exits(model, task, rows, precision, seed):
    """Fits each exit's head to the full depth's answers on a sample of `rows` (labels are not asked), from where the training left it."""
    sample = generator(seed, "exits").sample(rows, min(len(rows), ROWS))
    fit_heads(model, task, features(model, task, sample, precision))


def fit_heads(model, task, vectors):
    """vectors: as features() gives them."""
    with torch.no_grad():
        taught = model.head(task.name)(vectors[-1])
    for name, inputs in zip(head_names(task)[:-1], vectors):
        head = model.head(name)
        optimiser = torch.optim.LBFGS(head.parameters(), max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe")

        def loss(head=head, inputs=inputs, optimiser=optimiser):
            optimiser.zero_grad()
            value = teacher_loss(task, head(inputs), taught).mean()
            value.backward()
            return value

        optimiser.step(loss)
