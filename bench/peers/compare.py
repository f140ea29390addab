"""tilewise beside OpenVINO, ONNX Runtime, CTranslate2 and PyTorch: the same texts, the same cores, in turn, in one run; prints one table.

  bench/peers/run.sh [--data DIR] [--peers openvino,onnxruntime,...] [--precisions int8,bf16,fp32] [--rounds 5] [--json FILE]

Peers get every advantage that a user could give them: token ids instead of text, batches padded beforehand, sorted by length too,
the best of five batch sizes, every shape compiled before the clock starts. tilewise gets text in arrival order and gives results.
Results of every side are checked against PyTorch's fp32 before anything is timed.
"""
import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import rounds
import workloads
from report import report
from sides import PEERS, Failed, Tilewise, priority_setter

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE, MINILM = ROOT / "examples/product-search/model", ROOT / "build/models/all-minilm-l6-v2"
EXPORTS = ROOT / "build/peers-models"
ROWS = {"minilm": {"queries": 2000, "pairs": 1000}, "base": {"queries": 400, "pairs": 200}}


def run_export(spec, arguments):
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(spec, file)
        file.flush()
        done = subprocess.run([sys.executable, HERE / "export_models.py", file.name], capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=priority_setter(arguments.fifo))
    if done.returncode:
        sys.exit(f"exporting the models failed:\n{done.stderr[-3000:]}")


def checkpoint(arguments):
    """The folders (checkpoint, backbone) of the model that is asked for."""
    if arguments.model == "minilm":
        return EXAMPLE, MINILM
    folder = EXPORTS / "base-checkpoint"
    if not (folder / "tasks.json").exists():
        run_export({"base_model": [str(folder), str(EXAMPLE), str(MINILM)]}, arguments)
    return folder, folder / "backbone"


def export(workload, folders, arguments):
    """The peers' models of this workload's task; made once for each version of what goes into them."""
    content = hashlib.sha256((HERE / "export_models.py").read_bytes() + (HERE / "requirements.txt").read_bytes())
    content.update(json.dumps(workload.calibration).encode())
    for path in sorted(folders[0].glob("*.safetensors")) + [folders[0] / "tasks.json", folders[1] / "model.safetensors"]:
        content.update(path.read_bytes())
    folder = EXPORTS / f"{arguments.model}-{workload.task}-{content.hexdigest()[:12]}"
    rounds.say(f"{workload.name}: exporting the peers' models to {folder.relative_to(ROOT)} (half a minute, once)" if not folder.exists()
               else f"{workload.name}: models from {folder.relative_to(ROOT)}")
    run_export({"checkpoint": str(folders[0]), "backbone": str(folders[1]), "task": workload.task, "rows": workload.rows, "peers": arguments.peers,
                "calibration": workload.calibration, "checked": rounds.checked_rows(workload), "folder": str(folder)}, arguments)
    return folder


def compile_tilewise(precision, folders, loads, folder, arguments):
    model = folder / f"{precision}.tw"
    command = [arguments.tilewise, "compile", folders[0], "--backbone", folders[1], "--precision", precision, "-o", model]
    if precision == "int8":  # the same rows as the peers' calibration
        for workload in loads:
            rows = workloads.write_rows(workload.calibration, folder / f"{workload.task}.jsonl")
            command += ["--calibrate", f"{workload.task}={rows}"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=priority_setter(arguments.fifo))
    if done.returncode:
        sys.exit(f"tilewise compile --precision {precision} failed: {done.stderr}")
    return model


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda allowed: lambda text: _words(text, allowed)  # noqa: E731
    parser.add_argument("--data", type=pathlib.Path, help="folder with intents/ and pairs/ (default: the sample data in examples/)")
    parser.add_argument("--model", choices=sorted(ROWS), default="minilm", help="the example on MiniLM-L6, or random weights in the shape of BERT-base")
    parser.add_argument("--peers", type=words(PEERS), default=list(PEERS), help="of " + ",".join(PEERS))
    parser.add_argument("--precisions", type=words(rounds.TOLERANCE), default=["int8", "bf16", "fp32"])
    parser.add_argument("--workloads", type=words(workloads.FILES), default=list(workloads.FILES))
    parser.add_argument("--cores", dest="core_settings", type=words(("one", "all")), default=["one", "all"], help="one, all or one,all")
    parser.add_argument("--core", type=int, help="the core of the measurements on one (default: the last)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of every pass")
    parser.add_argument("--rows", type=int, help="rows of each workload (default 2000 queries and 1000 pairs; base: 400 and 200)")
    parser.add_argument("--fifo", type=int, default=0, metavar="PRIORITY",
                        help="real-time priority of both sides (root), on a machine that others use; 0: ordinary")
    parser.add_argument("--self-test", action="store_true", help="a few rows, two short rounds: are the scripts whole?")
    parser.add_argument("--tilewise", type=pathlib.Path, default=ROOT / "build/release/tilewise")
    parser.add_argument("--json", type=pathlib.Path, help="write everything that was measured to this file")
    arguments = parser.parse_args()
    if not arguments.tilewise.exists():
        parser.error(f"{arguments.tilewise} does not exist: run ./dev build first, or name it with --tilewise")
    if arguments.self_test:
        arguments.rounds, arguments.seconds, arguments.rows = 2, 0.1, 64
    cores = sorted(os.sched_getaffinity(0))
    first = cores[-1] if arguments.core is None else arguments.core
    arguments.cores = [first] + ([core for core in cores if core != first] if "all" in arguments.core_settings else [])
    return arguments


def _words(text, allowed):
    found = text.split(",")
    for word in found:
        if word not in allowed:
            raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join(allowed)}")
    return found


def main():
    arguments = parse_arguments()
    folders = checkpoint(arguments)
    tasks = json.loads((folders[0] / "tasks.json").read_text())["tasks"]
    arguments.thresholds = {task["name"]: task.get("threshold", 0.0) for task in tasks}
    arguments.model_name = {"minilm": "examples/product-search on all-MiniLM-L6-v2", "base": "BERT-base in shape, random weights"}[arguments.model]
    loads = [workloads.load(name, arguments.data, arguments.rows or ROWS[arguments.model][name]) for name in arguments.workloads]
    exported = {workload.name: export(workload, folders, arguments) for workload in loads}
    groups = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in arguments.precisions:
            model = compile_tilewise(precision, folders, loads, pathlib.Path(folder), arguments)
            for workload in loads:
                tilewise = Tilewise(arguments.tilewise, model, workload.task, arguments.cores, arguments.fifo)
                try:
                    groups.append(rounds.Group(precision, workload, exported[workload.name], tilewise, arguments).run())
                except Failed as reason:
                    sys.exit(f"{precision}, {workload.name}: {reason}")
                if arguments.json:
                    arguments.json.write_text(json.dumps(groups, indent=1))
    report(groups, arguments)


if __name__ == "__main__":
    main()
