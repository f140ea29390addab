"""Drives the tilewise program from tests. Python's standard library only."""
import json
import os
import pathlib
import platform
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "product-search"
LEVELS = ("portable", "avx2", "avx512", "avx512_bf16", "amx") if platform.machine() == "x86_64" else ("neon",)
INT8_LEVELS = ("portable", "avx2", "avx_vnni", "avx512_vnni", "amx") if platform.machine() == "x86_64" else ("neon",)
# What runs where a precision has no kernels of a level's own.
RUNS_ON = {("fp32", "avx512_bf16"): "avx512", ("fp32", "amx"): "avx512"}
CANNOT_RUN_HERE = 4  # exit code
SKIPPED = 77         # exit code that ctest takes for "skipped"


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def backbone():
    """The folder of the MiniLM backbone, or the test ends as skipped."""
    folder = os.environ.get("TILEWISE_BACKBONE")
    if not folder:
        skip("TILEWISE_BACKBONE is not set (tools/fetch_backbone.sh DIR gets the backbone)")
    if not pathlib.Path(folder, "model.safetensors").exists():
        skip(f"TILEWISE_BACKBONE={folder} holds no model.safetensors")
    return folder


def read_rows(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def full_depth(task):
    """Flags with which a task of tasks.json answers from its last layer, as PyTorch does, whatever its exits say."""
    return ("--full-depth",) if task.get("exits") else ()


def to_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


class Tilewise:
    def __init__(self, binary):
        self.binary = str(binary)

    def run(self, *arguments, isa=None, stdin=None):
        """Runs to the end and returns the finished process, whatever its exit code."""
        environment = {**os.environ, "TILEWISE_ISA": isa} if isa else None
        return subprocess.run([self.binary, *map(str, arguments)], input=stdin, capture_output=True, encoding="utf-8", env=environment)

    def call(self, *arguments, isa=None, stdin=None):
        """Runs and returns standard output; fails loudly on any exit code but 0."""
        done = self.run(*arguments, isa=isa, stdin=stdin)
        if done.returncode != 0:
            raise AssertionError(f"tilewise {' '.join(map(str, arguments))} (TILEWISE_ISA={isa}) ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def compile(self, folder, output, precision, backbone=None, more=()):
        backbone = ["--backbone", backbone] if backbone else []
        self.call("compile", folder, *backbone, "--precision", precision, *more, "-o", output)
        return output

    def predict_lines(self, model, task, rows, isa=None, more=()):
        return self.call("predict", model, "--task", task, *more, isa=isa, stdin=to_lines(rows)).splitlines()

    def predict(self, model, task, rows, isa=None, more=("--logits",)):
        """One answer a row, in order."""
        answers = [json.loads(line) for line in self.predict_lines(model, task, rows, isa, more)]
        if len(answers) != len(rows):
            raise AssertionError(f"{len(rows)} rows in, {len(answers)} answers out")
        return answers

    def batch(self, model, task, path, output, isa=None, more=()):
        """The answers of a batch job over the file `path`; its parts lie in `output`."""
        self.call("batch", model, "--task", task, "--input", path, "--output", output, *more, isa=isa)
        return [answer for part in sorted(pathlib.Path(output).glob("part-*.jsonl")) for answer in read_rows(part)]

    def levels(self, model, precision):
        """The levels with kernels of their own for `precision` that this machine runs, each seen to run; the others are named."""
        here = []
        for level in INT8_LEVELS if precision == "int8" else LEVELS:
            done = self.run("bench", model, "--tokens", "8", "--seconds", "0.01", "--warmup", "0", "--json", *self.first_task(model), isa=level)
            if done.returncode == CANNOT_RUN_HERE:
                print(f"skipped: {level} does not run on this machine")
                continue
            if done.returncode != 0:
                raise AssertionError(f"TILEWISE_ISA={level} ended with {done.returncode}:\n{done.stderr}")
            ran, due = json.loads(done.stdout)["isa"], RUNS_ON.get((precision, level), level)
            ran = ran.split("+")[-1]  # an int8 model names the kernels of its bf16 operations first, where they differ
            if ran != due:
                raise AssertionError(f"TILEWISE_ISA={level} ran {ran} in {precision}, not {due}")
            if due == level:
                here.append(level)  # else the same kernels again
        if not here:
            raise AssertionError("no instruction-set level runs on this machine")
        return here

    def first_task(self, model):
        tasks = json.loads(self.call("inspect", model, "--json"))["tasks"]
        return ["--task", tasks[0]["name"]]
