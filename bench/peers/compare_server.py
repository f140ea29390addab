"""The highest rate at which 99 % of single queries are answered within a deadline: tilewise beside FastAPI + ONNX Runtime, in turn, in one run.

  bench/peers/run_server.sh [--data DIR] [--rounds 3] [--seconds 5] [--deadline-ms 10] [--fifo N] [--json FILE]

The same model in int8, the same queries, the same core for the server and the same other core for the load generator, which is
`tilewise bench --scenario server` for both; it checks the answers against the model's before it measures. The service in Python is
serve_fastapi.py: one process, since there is one core, with the batch limit that serves it best of those that are tried first.
"""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile

import compare
import rounds
import workloads
from report import cpu_name
from sides import pinned, priority_setter

TASK = workloads.FILES["queries"][0]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder with intents/ (default: the sample data in examples/)")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the window that confirms a rate")
    parser.add_argument("--deadline-ms", type=float, default=10.0)
    parser.add_argument("--precision", choices=("int8", "fp32"), default="int8")
    parser.add_argument("--max-batches", type=lambda text: [int(word) for word in text.split(",")], default=[8, 32], help="of the Python service, tried first")
    parser.add_argument("--server-cpu", type=int, help="default: the first")
    parser.add_argument("--client-cpu", type=int, help="default: the last")
    parser.add_argument("--fifo", type=int, default=0, metavar="PRIORITY",
                        help="real-time priority of everybody (root), on a machine that others use; 0: ordinary")
    parser.add_argument("--tilewise", type=pathlib.Path, default=compare.ROOT / "build/release/tilewise")
    parser.add_argument("--json", type=pathlib.Path, help="write everything that was measured to this file")
    arguments = parser.parse_args()
    if not arguments.tilewise.exists():
        parser.error(f"{arguments.tilewise} does not exist: run ./dev build first, or name it with --tilewise")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        parser.error("two cores are needed: one for the server, one for the load generator")
    arguments.server_cpu = cores[0] if arguments.server_cpu is None else arguments.server_cpu
    arguments.client_cpu = cores[-1] if arguments.client_cpu is None else arguments.client_cpu
    arguments.model, arguments.peers = "minilm", ["onnxruntime"]  # for export()
    return arguments


class Sides:
    def __init__(self, arguments, model, exported, rows):
        self.arguments, self.model, self.exported, self.rows = arguments, model, exported, rows

    def bench(self, *more):
        arguments = self.arguments
        command = [arguments.tilewise, "bench", self.model, "--task", TASK, "--input", self.rows, "--scenario", "server", "--deadline-ms",
                   arguments.deadline_ms, "--seconds", arguments.seconds, "--client-cpu", arguments.client_cpu, "--json", *more]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, preexec_fn=priority_setter(arguments.fifo))
        if done.returncode:
            sys.exit(f"tilewise bench ended with {done.returncode}: {done.stderr[-1000:].strip()}")
        answer = json.loads(done.stdout)
        if answer["generator_too_late"]:
            rounds.say("  the load generator was late: " + done.stderr[-300:].strip())
        return answer

    def tilewise(self):
        return self.bench("--server-cpus", self.arguments.server_cpu, "--replicas", "1")

    def fastapi(self, max_batch):
        with self.python_service(max_batch) as url:
            return self.bench("--url", url)

    @contextlib.contextmanager
    def python_service(self, max_batch):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [*pinned([self.arguments.server_cpu]), sys.executable, str(compare.HERE / "serve_fastapi.py"), str(self.exported), "--task", TASK,
                   "--tasks", str(compare.EXAMPLE / "tasks.json"), "--precision", self.arguments.precision, "--port", str(port),
                   "--max-batch", str(max_batch)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=priority_setter(self.arguments.fifo))
        try:
            if service.stdout.readline().strip() != "ready":
                sys.exit("serve_fastapi.py did not start")
            yield f"http://127.0.0.1:{port}"
        finally:
            service.terminate()
            service.wait()
            service.stdout.close()


def measure(sides, arguments):
    tried = {batch: sides.fastapi(batch) for batch in arguments.max_batches}
    best = max(tried, key=lambda batch: tried[batch]["rate"])
    rounds.say("  FastAPI + ONNX Runtime: " + ", ".join(f"{one['rate']:.0f}/s in batches up to {batch}" for batch, one in tried.items()))
    taken = []
    for number in range(arguments.rounds):
        one = {"tilewise": sides.tilewise(), "fastapi": sides.fastapi(best)}
        taken.append(one)
        rounds.say(f"  round {number + 1}: tilewise {one['tilewise']['rate']:,.0f}/s, FastAPI + ONNX Runtime {one['fastapi']['rate']:,.0f}/s")
    return best, taken


def show(best, taken, arguments):
    def cell(side, value):
        values = [value(one[side]) for one in taken]
        return f"{statistics.median(values):,.4g} ({min(values):,.4g} to {max(values):,.4g})"

    ratios = [one["tilewise"]["rate"] / one["fastapi"]["rate"] for one in taken if one["tilewise"]["rate"] and one["fastapi"]["rate"]]
    priority = f"real-time {arguments.fifo} (SCHED_FIFO)" if arguments.fifo else "ordinary"
    print(f"machine    {cpu_name()}; server on core {arguments.server_cpu}, load generator on core {arguments.client_cpu}; priority {priority}")
    print(f"command    bench/peers/run_server.sh {' '.join(sys.argv[1:])}")
    print(f"model      examples/product-search on all-MiniLM-L6-v2, {arguments.precision}; one query a request, Poisson, {taken[0]['tilewise']['connections']} connections")
    print(f"checked    tilewise: {taken[0]['tilewise']['checked']}; FastAPI: {taken[0]['fastapi']['checked']}")
    print(f"values     medians of {len(taken)} rounds (least to most)\n")
    print("| | tilewise | FastAPI + ONNX Runtime |\n|---|---|---|")
    print(f"| highest rate with P99 < {arguments.deadline_ms:g} ms, none failed, requests/s | {cell('tilewise', lambda one: one['rate'])} | "
          f"{cell('fastapi', lambda one: one['rate'])}, batches up to {best} |")
    for quantile in ("p50", "p99"):
        print(f"| {quantile.upper()} there, ms | {cell('tilewise', lambda one: one['latency_ms'][quantile] or 0)} | {cell('fastapi', lambda one: one['latency_ms'][quantile] or 0)} |")
    if ratios:
        print(f"| **times the rate** | **{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})** | 1 |")
    if len(ratios) < len(taken):
        print(f"\nin {len(taken) - len(ratios)} of {len(taken)} rounds one side held no rate at all and there is no ratio: others use these cores")


def main():
    arguments = parse_arguments()
    folders = compare.checkpoint(arguments)
    workload = workloads.load("queries", arguments.data, arguments.rows)
    exported = compare.export(workload, folders, arguments)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = compare.compile_tilewise(arguments.precision, folders, [workload], folder, arguments)
        rows = workloads.write_rows(workload.rows, folder / "rows.jsonl")
        best, taken = measure(Sides(arguments, model, exported, rows), arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps({"max_batch": best, "rounds": taken}, indent=1))
    show(best, taken, arguments)


if __name__ == "__main__":
    main()
