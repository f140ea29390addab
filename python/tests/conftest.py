"""The tiny multi-task checkpoint of the C++ tests, compiled once a run."""

import json
import os
import pathlib
import subprocess

import pytest

import tilewise

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "tests" / "data" / "checkpoint"


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.tw"
    tilewise.compile(CHECKPOINTS / "multi_task", path, backbone=CHECKPOINTS / "bert")
    return path


@pytest.fixture(scope="session")
def model(model_path):
    with tilewise.open(model_path, replicas=2, pin=False) as opened:
        yield opened


@pytest.fixture(scope="session")
def golden():
    """What the tests of the C++ code ask the checkpoint, by task: texts, or (left, right)."""
    cases = json.loads((CHECKPOINTS / "golden.json").read_text(encoding="utf-8"))["cases"]
    inputs = {}
    for case in cases:
        if case["folder"] == "multi_task":
            rows = [row["input"] for row in case["rows"]]
            inputs[case["task"]] = [row["text"] if "text" in row else (row["left"], row["right"]) for row in rows]
    return inputs


@pytest.fixture(scope="session")
def command_line(model_path):
    """`tilewise predict` on JSON lines; TILEWISE names the program."""
    program = os.environ.get("TILEWISE")
    if not program:
        pytest.skip("TILEWISE does not name the command line's program")

    def run(task, rows, *flags):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        command = [program, "predict", str(model_path), "--task", task, *flags]
        done = subprocess.run(command, input=lines.encode(), stdout=subprocess.PIPE, check=True, timeout=300)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run
