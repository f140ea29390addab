"""After the training: predicts every row once in fp32, fits what validation data decides, measures, and writes the model folder."""
from .batches import target_tensor
from .evaluate import evaluate
from .exits import refit_exits
from .export import export, file_names
from .model import merged, predict
from .thresholds import fit


def finish(run, folder):
    """run: trained, with the weights to keep, which stay as they are -> metrics, {task: evaluate()}"""
    model = merged(run.model)
    layers = run.model.encoder.config.num_hidden_layers
    fitted, metrics = {}, {}
    for task in run.recipe.tasks:
        data = run.data[task.name]
        if task.exits and task.refit_exits:
            refit_exits(model, task, data.train, run.recipe.schedule.precision, run.recipe.schedule.seed)
        inside, outside = {}, {}
        for split in ("valid", "test"):
            inside[split] = {name: (predict(model, task, rows), target_tensor(task, rows))
                             for name, rows in zip(file_names(getattr(task, split)), getattr(data, split), strict=True)}
            outside[split] = [predict(model, task, rows) for rows in getattr(data, "out_of_scope_" + split)]
        fitted[task.name] = fit(task, layers, list(inside["valid"].values()), outside["valid"])
        metrics[task.name] = evaluate(task, layers, fitted[task.name], inside, outside)
    export(run.recipe, run.data, run.model.encoder, model, fitted, metrics, run.log, folder)
    return metrics
