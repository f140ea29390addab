"""python -m tilewise_training: train, evaluate or check a recipe."""
import argparse
import dataclasses
import pathlib
import sys

from .errors import TrainingError
from .settings import load_recipe


def share(text):
    """0.005 or 0.5%"""
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tilewise_training", description="Trains one encoder with several heads for `tilewise compile`.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, words in (("train", "trains, or goes on where a killed run of the same recipe stopped; the model is in OUT/model then"),
                        ("evaluate", "chooses thresholds and exits anew, measures, and writes OUT/model, from the best epoch of a run"),
                        ("check", "reads recipe, backbone and data, and reports what is wrong")):
        command = commands.add_parser(name, help=words, description=words)
        command.add_argument("recipe", help="a TOML file")
        command.add_argument("--data", metavar="DIR", help="the folder that the recipe's paths start from (default: the recipe's)")
        command.add_argument("--backbone", metavar="DIR", help="a Hugging Face folder, in place of the recipe's")
        command.add_argument("--rows", type=int, metavar="N", help="at most so many rows of each file, to try a recipe")
        if name != "check":
            command.add_argument("--out", required=True, type=pathlib.Path, metavar="OUT")
            command.add_argument("--max-changed", type=share, metavar="SHARE",
                                 help="of the decisions that exits may change, as 0.005 or 0.5%%, in place of every task's max_changed")
            command.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser.parse_args(arguments)


def run(options):
    recipe = load_recipe(options.recipe, options.data, options.backbone)
    if getattr(options, "max_changed", None) is not None:
        recipe = dataclasses.replace(recipe, tasks=tuple(dataclasses.replace(task, max_changed=options.max_changed) for task in recipe.tasks))
    from .finish import finish  # torch takes seconds to load: a mistake in the recipe is told before
    from .train import Run, prepare

    recipe, data = prepare(recipe, options.rows)
    if options.command == "check":
        for task in recipe.tasks:
            rows = data[task.name]
            print(f"{task.name}: {task.kind}, {len(task.labels) or 1} labels, {len(rows.train)} rows to train, {sum(map(len, rows.valid))} to validate")
        return
    work = Run(recipe, data, options.out, not options.quiet)
    if options.command == "train":
        work.train()
    else:
        work.load_best()
    metrics = finish(work, options.out / "model")
    for task in recipe.tasks:
        for split in ("valid", "test"):
            for file, values in metrics[task.name][split].items():
                print(f"{task.name} {split} {file}: " + ", ".join(f"{key} {value}" for key, value in values.items()))
    print(f"tilewise compile {options.out / 'model'}" + (f" --backbone {recipe.backbone.folder}" if recipe.schedule.lora else ""))


def main(arguments=None):
    try:
        run(parse(arguments))
    except TrainingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("interrupted: the same command goes on after the last whole epoch", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
