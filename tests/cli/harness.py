"""What the tests of the command line share: they drive the program as a person or a script would."""
import atexit
import functools
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "tests" / "data" / "checkpoint"
SKIPPED = 77  # exit code that ctest takes for "skipped"

# Exit codes of the program.
DONE, FAILED, WRONG_COMMAND_LINE, BAD_INPUT, WRONG_MACHINE, INTERRUPTED = range(6)

TILEWISE = sys.argv[1] if len(sys.argv) > 1 else "build/release/tilewise"


def environment(isa=None):
    """The caller's, without what would change results."""
    variables = {name: value for name, value in os.environ.items() if name != "TILEWISE_ISA"}
    return {**variables, "TILEWISE_ISA": isa} if isa else variables


def run(*arguments, stdin=b"", isa=None, **more):
    """Runs to the end; standard input and output are bytes, as real ones are."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300, **more}
    return subprocess.run([TILEWISE, *map(str, arguments)], input=stdin, env=environment(isa), **more)


def to_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def from_lines(lines):
    return [json.loads(line) for line in lines.splitlines()]


@functools.cache
def golden():
    """PyTorch's outputs on the tiny checkpoints."""
    return json.loads((CHECKPOINTS / "golden.json").read_text(encoding="utf-8"))["cases"]


def golden_case(folder, task):
    return next(case for case in golden() if case["folder"] == folder and case["task"] == task)


@functools.cache
def workplace():
    """A folder for the whole run."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tilewise_cli_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def model(precision="fp32", folder="multi_task", backbone="bert"):
    """Path of a compiled tiny checkpoint: five tasks, one of each kind."""
    path = workplace() / f"{folder}-{precision}.tw"
    more = ["--backbone", CHECKPOINTS / backbone] if backbone else []
    done = run("compile", CHECKPOINTS / folder, *more, "--precision", precision, "-o", path)
    assert done.returncode == DONE, done.stderr.decode()
    return path


# Tasks with exits: those of multi_task, with random heads behind the first of its two layers.

LAYERS, HIDDEN = 2, 32
LEAST_CONFIDENCE = {"duplicate": 0.5001, "intent": 0.2001}  # everything leaves there
EXIT_TEMPERATURE = 1.25


def exit_head(outputs, seed):
    generator = random.Random(seed)
    return [generator.gauss(0, 0.6) for _ in range(outputs * HIDDEN)], [generator.gauss(0, 0.3) for _ in range(outputs)]


def add_tensors(path, tensors):
    """Adds name -> (shape, values) to a safetensors file."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8:8 + size]), content[8 + size:]
    for name, (shape, values) in tensors.items():
        added = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(added)]}
        data += added
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_checkpoint_with_exits(folder, confidences):
    """One whose tasks have an exit with this confidence: task -> confidence."""
    shutil.copytree(CHECKPOINTS / "multi_task", folder)
    description = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    heads = {}
    for seed, task in enumerate(description["tasks"]):
        if task["name"] not in confidences:
            continue
        outputs = len(task["labels"])
        weight, bias = exit_head(outputs, seed)
        head = task["name"] + ".exit1"
        heads[head + ".weight"], heads[head + ".bias"] = ([outputs, HIDDEN], weight), ([outputs], bias)
        task["exits"] = [{"after_layer": 1, "head": head, "confidence": confidences[task["name"]], "temperature": EXIT_TEMPERATURE}]
        if "out_of_scope" in task:
            task["exits"][0]["below"] = -1000
    (folder / "tasks.json").write_text(json.dumps(description), encoding="utf-8")
    add_tensors(folder / "heads.safetensors", heads)


def compile_with_exits(name, confidences, precision="fp32"):
    folder = workplace() / f"{name}-{precision}"
    write_checkpoint_with_exits(folder, confidences)
    path = folder.with_suffix(".tw")
    done = run("compile", folder, "--backbone", CHECKPOINTS / "bert", "--precision", precision, "-o", path)
    assert done.returncode == DONE, done.stderr.decode()
    return path


def random_texts(count, seed=1):
    generator = random.Random(seed)
    words = "where is my parcel refund the red shoes xyzzy ! order black café 42".split()
    return [" ".join(generator.choices(words, k=generator.randint(1, 30))) for _ in range(count)]


def exit_rows(task, count=60):
    """Rows of which model_with_exits() answers about half at the exit."""
    words = random_texts(2 * count)
    if task == "intent":
        return [{"text": text} for text in words[:count]]
    return [{"left": {"title": left}, "right": {"title": right}} for left, right in zip(words, words[count:])]


def certainty(answer):
    return answer["labels"][0]["score"] if "labels" in answer else max(answer["score"], 1 - answer["score"])


@functools.cache
def model_that_exits():
    """Every answer of `duplicate` and `intent` comes from the exit."""
    return compile_with_exits("always", LEAST_CONFIDENCE)


@functools.cache
def model_with_exits(precision="fp32"):
    """`duplicate` and `intent` have an exit that is certain of about half of exit_rows()."""
    confidences = {}
    for task in LEAST_CONFIDENCE:
        done = run("predict", model_that_exits(), "--task", task, stdin=to_lines(exit_rows(task)))
        assert done.returncode == DONE, done.stderr.decode()
        sure = sorted(map(certainty, from_lines(done.stdout)))
        middle = len(sure) // 2
        place = max(range(middle - 5, middle + 5), key=lambda i: sure[i + 1] - sure[i])  # where nothing is close
        confidences[task] = (sure[place] + sure[place + 1]) / 2
    return compile_with_exits("some", confidences, precision)


class TestCase(unittest.TestCase):
    """Each test has a folder of its own, self.folder."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=workplace()))

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def done(self, *arguments, code=DONE, **more):
        """Runs and expects this exit code; returns standard output."""
        finished = run(*arguments, **more)
        self.assertEqual(finished.returncode, code, finished.stderr.decode(errors="replace"))
        return finished.stdout

    def answers(self, *arguments, rows=(), **more):
        return from_lines(self.done(*arguments, stdin=rows if isinstance(rows, bytes) else to_lines(rows), **more))

    def error(self, code, *arguments, says=(), **more):
        """Runs and expects to fail: with this exit code, nothing on standard output and one error line that holds `says`."""
        finished = run(*arguments, **more)
        text = finished.stderr.decode(errors="replace")
        self.assertEqual(finished.returncode, code, text)
        if finished.stdout is not None:
            self.assertEqual(finished.stdout, b"")
        errors = [line for line in text.splitlines() if line.startswith("tilewise: error: ")]
        self.assertEqual(len(errors), 1, text)
        for part in says:
            self.assertIn(part, errors[0])
        return errors[0]


def main():
    """Runs the tests of the calling file; ends with SKIPPED when none of them ran."""
    program = unittest.main(argv=[sys.argv[0], "-v", *sys.argv[2:]], exit=False)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(SKIPPED if result.testsRun == len(result.skipped) else 0)
