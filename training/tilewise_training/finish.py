"""After the training: predicts every row once in fp32, fits what validation data decides, measures, and writes the model folder."""
from .batches import target_tensor
from .evaluate import evaluate
from .exits import refit_exits
from .export import export
from .model import merged, predict
from .thresholds import fit


def finish(run, folder):
    """run: trained, with the weights to keep, which stay as they are -> metrics, {task: evaluate()}"""
    model = merged(run.model)
    layers = run.model.encoder.config.num_hidden_layers
    fitted, metrics = {}, {}
    for task in run.recipe.tasks:
        if task.exits and task.refit_exits:
            refit_exits(model, task, run.data[task.name].train, run.recipe.schedule.precision, run.recipe.schedule.seed)
        splits = {split: predict_files(model, task, run.data[task.name], split) for split in ("valid", "test")}
        valid = splits["valid"].values()
        fitted[task.name] = fit(task, layers, [v for v in valid if v[1] is not None], [answers for answers, target in valid if target is None])
        metrics[task.name] = evaluate(task, layers, fitted[task.name], splits)
    export(run.recipe, run.model.encoder, model, fitted, metrics, run.log, folder)
    return metrics


def predict_files(model, task, data, split):
    """{file: (answers, target)} of a split; target None for rows out of scope."""
    inside, outside = getattr(data, split), getattr(data, "out_of_scope_" + split)
    files = {}
    for rows in inside:
        files[file_of(rows)] = predict(model, task, rows), target_tensor(task, rows)
    for rows in outside:
        files[file_of(rows)] = predict(model, task, rows), None
    return files


def file_of(rows):
    """The file's name, from where its first row stands."""
    return rows[0].where.rsplit(":", 1)[0].rsplit("/", 1)[-1]
