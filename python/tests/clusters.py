"""What the tests of Spark and Ray share: rows for a tiny model, and what the command line says about them."""
import importlib.util
import os
import pathlib
import random
import struct

HARNESS = pathlib.Path(__file__).resolve().parents[2] / "tests" / "cli" / "harness.py"
specification = importlib.util.spec_from_file_location("cli_harness", HARNESS)
cli = importlib.util.module_from_spec(specification)
specification.loader.exec_module(cli)

SKIPPED, TestCase, main, model, workplace = cli.SKIPPED, cli.TestCase, cli.main, cli.model, cli.workplace

WORDS = "where is my parcel refund the red black shoes shoe case charger cable usb c size 42 café 中文 please urgent !".split()
TEXT_TASKS = {"intent": "multiclass", "tags": "multilabel", "urgency": "regression", "vector": "embedding"}


def words(generator, most):
    return " ".join(generator.choices(WORDS, k=generator.randint(1, most)))


def record(generator):
    """Some fields are missing, some titles are too long for the task."""
    fields = {"title": words(generator, 40), "brand": words(generator, 2), "price": f"{generator.randint(1, 99)}.5"}
    return {name: text for name, text in fields.items() if name == "title" or generator.random() < 0.8}


def pairs(count):
    generator = random.Random(6)
    return [{"id": f"p{i}", "left": record(generator), "right": record(generator)} for i in range(count)]


def texts(count):
    generator = random.Random(7)
    return [{"id": f"t{i}", "text": words(generator, 60)} for i in range(count)]


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def exact(value):
    """The same with each number as the float32 that its shortest text stands for."""
    if isinstance(value, float):
        return float32(value)
    if isinstance(value, list):
        return [exact(each) for each in value]
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    return value


def columns(answer, kind, top=1):
    """An answer of the command line as the columns that the package has for it."""
    row = {"id": answer["id"], "truncated": answer.get("truncated", False), "error": None}
    if kind == "multiclass":
        row |= {"label": answer["labels"][0]["label"], "score": answer["labels"][0]["score"]}
        row["out_of_scope"] = answer.get("out_of_scope", False)
    if kind == "multilabel" or (kind == "multiclass" and top != 1):
        row["labels"] = answer["labels"]
    more = {name: answer[name] for name in ("score", "label", "value", "embedding", "logits") if name in answer}
    return exact(row | more)


def command_line(task, rows, kind, *flags, top=1):
    """{id: columns} of the rows that have an answer; rejected ones are missing."""
    flags = [*flags, "--top", top] if kind == "multiclass" else flags
    done = cli.run("predict", model(), "--task", task, *flags, stdin=cli.to_lines(rows))
    assert done.returncode == cli.DONE, done.stderr.decode()
    return {answer["id"]: columns(answer, kind, top) for answer in cli.from_lines(done.stdout)}


def by_id(case, rows):
    """{id: row}, and no id twice."""
    found = {row["id"]: row for row in rows}
    case.assertEqual(len(found), len(rows), "an id comes twice")
    return found


def first(marker):
    """True for the first process that asks, also when all ask at once."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False
