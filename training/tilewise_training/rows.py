"""Labelled rows: JSON lines as `tilewise predict` takes them, with a label more."""
import dataclasses
import gzip
import json
import math
import zlib

from .errors import TrainingError


LARGEST = (2 - 2**-23) * 2.0**127  # of fp32


class Number(str):
    """A number of a JSON row, as it is written: a template shows it so, as tilewise does."""


@dataclasses.dataclass
class Row:
    where: str  # file and line, for messages
    texts: tuple[str, ...]  # one, or the two sides of a pair, through the template
    label: object  # binary: 0.0 or 1.0; multiclass: an index; multilabel: a tuple of indices; regression: a float; None: unlabelled


def read_lines(path):
    """Yields (line number, text) of a file, also gzip."""
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TrainingError("A row is not UTF-8", f"{path}:{number}", "UTF-8", str(error)) from None
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError("A data file cannot be read", f"{path}:{number + 1}", "a gzip file" if opener is gzip.open else "a file", str(error)) from None


def read_json_lines(path):
    """Yields (line number, object) of a file, also gzip."""
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_int=Number, parse_float=Number)
        except ValueError as error:
            raise TrainingError("A row is not JSON", f"{path}:{number}", "one JSON object a line", str(error)) from None
        if type(value) is not dict:
            raise TrainingError("A row is not an object", f"{path}:{number}", "one JSON object a line", line.strip()[:60])
        yield number, value


def scalar_text(value, where):
    """A JSON scalar as text: numbers as they are written, null as empty."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    raise TrainingError("A field of a record is not a scalar", where, "a string, a number, true, false or null", type(value).__name__)


def render(template, content, where):
    """Text as it is, a record through the template, exactly as tilewise does it (its InputTemplate)."""
    if isinstance(content, str) and not isinstance(content, Number):
        return content
    if type(content) is not dict:
        raise TrainingError("An input is neither text nor a record", where, "a string or an object", type(content).__name__)
    if template is None:
        raise TrainingError("The task has no template for records", where, "plain text", "a record", "Add a template to the task")
    if not any(name in content for name, _ in template.fields):
        raise TrainingError("The record has none of the fields that the task reads", where,
                            "at least one of " + ", ".join(name for name, _ in template.fields), ", ".join(content) or "no fields")
    texts = ((prefix, scalar_text(content[name], where)) for name, prefix in template.fields if name in content)
    return template.separator.join(prefix + text for prefix, text in texts if text)


def parse_label(task, value, where):
    """A row's label as Row.label has it. task.labels must be complete."""

    def wrong(expected):
        return TrainingError(f"A label does not fit task {task.name}", where, expected, json.dumps(value, ensure_ascii=False)[:80])

    def index(label):
        if not isinstance(label, str) or label not in task.labels:
            raise wrong("one of the task's labels: " + ", ".join(task.labels[:8]) + (", ..." if len(task.labels) > 8 else ""))
        return task.labels.index(label)

    if task.kind == "binary":
        if value is None or value is False or value == "0":
            return 0.0
        if value is True or value == "1" or value == task.labels[0]:
            return 1.0
        raise wrong(f"0, 1, true, false, null or {task.labels[0]}")
    if task.kind == "multiclass":
        return index(value)
    if task.kind == "multilabel":
        if type(value) is not list:
            raise wrong("a list of labels")
        return tuple(sorted(map(index, value)))
    try:
        number = float(value) if isinstance(value, Number) else math.nan
    except ValueError:
        number = math.nan
    if not abs(number) <= LARGEST:
        raise wrong("a finite number of fp32")
    return number


def read_rows(task, paths, labelled=True, limit=None):
    """The rows of the files; limit: at most so many a file. labelled=False leaves every label None."""
    rows = []
    for path in paths:
        taken = 0
        for number, value in read_json_lines(path):
            if limit is not None and taken == limit:
                break
            rows.append(_row(task, value, f"{path}:{number}", labelled))
            taken += 1
        if taken == 0:
            raise TrainingError("A data file has no rows", str(path), "at least one JSON object", "none")
    return rows


def _row(task, value, where, labelled):
    keys = ("left", "right") if task.input == "pair" else ("text",)
    for key in keys + ((task.label_field,) if labelled else ()):
        if key not in value:
            raise TrainingError(f"A row of task {task.name} lacks a field", where, key, ", ".join(value) or "an empty object")
    texts = tuple(render(task.template, value[key], where) for key in keys)
    return Row(where, texts, parse_label(task, value[task.label_field], where) if labelled else None)


def labels_of(task):
    """The labels of the training files, sorted: for a task whose recipe does not list them."""
    found = set()
    for path in task.train:
        for number, value in read_json_lines(path):
            label = value.get(task.label_field)
            for name in label if type(label) is list else [label]:
                if not isinstance(name, str) or not name:
                    raise TrainingError(f"A label does not fit task {task.name}", f"{path}:{number}",
                                        "a list of labels" if task.kind == "multilabel" else "a label", json.dumps(label)[:80])
                found.add(str(name))
    return tuple(sorted(found))


def with_labels(task):
    """The task with all its labels, from its training rows where the recipe has none."""
    if task.kind not in ("multiclass", "multilabel") or task.labels:
        return task
    task = dataclasses.replace(task, labels=labels_of(task))
    if len(task.labels) < (2 if task.kind == "multiclass" else 1):
        raise TrainingError(f"Task {task.name} has too few labels", str(task.train[0]), "at least two" if task.kind == "multiclass" else "one", ", ".join(task.labels))
    return task


def check_every_label_occurs(task, rows):
    """A head cannot learn a label that no training row has."""
    if task.kind == "binary":
        missing = [name for value, name in ((0.0, "not " + task.labels[0]), (1.0, task.labels[0])) if all(row.label != value for row in rows)]
    elif task.kind == "regression":
        missing = []
    else:
        seen = set()
        for row in rows:
            seen.update(row.label if task.kind == "multilabel" else [row.label])
        missing = [label for i, label in enumerate(task.labels) if i not in seen]
    if missing:
        raise TrainingError(f"Labels of task {task.name} are missing from its training data", str(task.train[0]), "a row for each label",
                            f"none for {', '.join(missing[:8])}", "Add rows, or take the labels out of the recipe")
