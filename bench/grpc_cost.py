#!/usr/bin/env python3
"""Processor time of `tilewise serve` a gRPC request, in and outside the model: bench/grpc_cost.py MODEL.tw TASK ROWS.jsonl [--outstanding 32,8,1]

Starts a server with one replica on --server-cpu and asks it from --client-cpu with a fixed number of requests under way, one row {"text"} each. The
time in the model is the server's own count of its passes, the rest is what the process used beside them. Linux; needs tritonclient[grpc] and NumPy
(tests/requirements.txt), and ./dev build.
"""
import argparse
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.request

import numpy
import tritonclient.grpc

ROOT = pathlib.Path(__file__).resolve().parent.parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("task")
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("--outstanding", default=[32, 8, 1], type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--server-cpu", type=int, default=0)
    parser.add_argument("--client-cpu", type=int, default=1)
    parser.add_argument("--tilewise", type=pathlib.Path, default=ROOT / "build/release/tilewise")
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(arguments):
    """The process and its two ports, ready."""
    ports = free_port(), free_port()
    process = subprocess.Popen([arguments.tilewise, "serve", arguments.model, "--replicas", "1", "--deadline-ms", "1000", "--log-level", "error",
                                "--port", str(ports[0]), "--grpc-port", str(ports[1])],
                               preexec_fn=lambda: os.sched_setaffinity(0, {arguments.server_cpu}))
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/v2/health/ready"):
                break
            time.sleep(0.05)
        yield process, *ports
    finally:
        process.terminate()
        process.wait()


def used_seconds(pid):
    """By all threads, from the scheduler's nanoseconds."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


def model_seconds(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as metrics:
        lines = metrics.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("tilewise_replica_busy_seconds_total"))


def requests_of(path):
    requests = []
    for line in path.read_text(encoding="utf-8").splitlines():
        request = tritonclient.grpc.InferInput("text", [1], "BYTES")
        request.set_data_from_numpy(numpy.array([json.loads(line)["text"].encode()], dtype=object))
        requests.append([request])
    return requests


def ask(client, task, requests, count, outstanding):
    """Sends `count` requests with so many under way; returns how many failed."""
    free, failed = threading.Semaphore(outstanding), []

    def done(result, error):
        if error is not None:
            failed.append(error)
        free.release()

    for number in range(count):
        free.acquire()
        client.async_infer(task, requests[number % len(requests)], done)
    for _ in range(outstanding):
        free.acquire()
    return len(failed)


def main():
    arguments = parse_arguments()
    requests = requests_of(arguments.rows)
    os.sched_setaffinity(0, {arguments.client_cpu})
    print("outstanding  requests/s  in the model, us  outside, us  failed")
    with server(arguments) as (process, http_port, grpc_port):
        client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{grpc_port}")
        for outstanding in arguments.outstanding:
            ask(client, arguments.task, requests, arguments.requests // 10, outstanding)
            before, start = (used_seconds(process.pid), model_seconds(http_port)), time.monotonic()
            failed = ask(client, arguments.task, requests, arguments.requests, outstanding)
            seconds, model = time.monotonic() - start, model_seconds(http_port) - before[1]
            used = used_seconds(process.pid) - before[0]
            print(f"{outstanding:11}  {arguments.requests / seconds:10.0f}  {1e6 * model / arguments.requests:16.1f}"
                  f"  {1e6 * (used - model) / arguments.requests:11.1f}  {failed:6}")


if __name__ == "__main__":
    main()
