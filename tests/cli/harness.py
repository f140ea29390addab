"""What the tests of the command line share: they drive the program as a person or a script would."""
import atexit
import functools
import json
import os
import pathlib
import shutil
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
