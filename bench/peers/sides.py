"""The processes that are compared: tilewise's command and the peers' workers, pinned, at one priority, one working at a time."""
import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
MOST_TAKEN = 0.08  # of the cores, by others; Linux itself keeps 5 % for them beside real-time processes, and counts in ticks
RETRIES = 3


@dataclasses.dataclass(frozen=True)
class PeerKind:
    """A column of the table."""

    title: str
    worker: str
    precisions: tuple
    input: str = "ids"


PEERS = {
    "openvino": PeerKind("OpenVINO", "openvino_worker.py", ("fp32", "bf16", "int8")),
    "onnxruntime": PeerKind("ONNX Runtime", "onnxruntime_worker.py", ("fp32", "int8")),
    "ctranslate2": PeerKind("CTranslate2", "ctranslate2_worker.py", ("fp32", "bf16", "int8")),
    "torch": PeerKind("PyTorch", "torch_worker.py", ("fp32", "bf16")),
    "huggingface": PeerKind("PyTorch, Hugging Face tokenizer", "torch_worker.py", ("fp32", "bf16"), "text"),
}


class Failed(Exception):
    """A side that cannot be compared; the reason as a sentence."""


def priority_setter(fifo):
    """For preexec_fn: the same for both sides, from the first instruction; threads inherit it."""
    return (lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo))) if fifo else None


def pinned(cores):
    return ["taskset", "-c", ",".join(map(str, cores))]


def busy_seconds(cores):
    """What the cores have worked so far for anybody, time stolen by the hypervisor included."""
    wanted, ticks = {f"cpu{core}" for core in cores}, 0
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def undisturbed(cores, measure):
    """measure() -> a dict with "processor_seconds", its own use. Measures again while others took more than MOST_TAKEN of the cores;
    returns the best try with "taken", their share."""
    best = None
    for _ in range(1 + RETRIES):
        busy, start = busy_seconds(cores), time.perf_counter()
        one = measure()
        wall = time.perf_counter() - start
        one["taken"] = max(0.0, (busy_seconds(cores) - busy - one["processor_seconds"]) / (wall * len(cores)))
        if best is None or one["taken"] < best["taken"]:
            best = one
        if best["taken"] <= MOST_TAKEN:
            break
        time.sleep(1)  # whoever it was may be done by then
    return best


class Process:
    """One worker, pinned to one core."""

    def __init__(self, kind, precision, folder, core, fifo):
        settings = json.dumps({"folder": str(folder), "precision": precision, "input": kind.input})
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.title = kind.title
        self.process = subprocess.Popen([*pinned([core]), sys.executable, str(HERE / kind.worker), settings], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
                                        preexec_fn=priority_setter(fifo))

    def send(self, **command):
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self):
        answer = self.process.stdout.readline()
        if not answer:
            raise Failed(f"{self.title} died: " + self.process.stderr.read()[-1500:].strip())
        return json.loads(answer)

    def ask(self, **command):
        self.send(**command)
        return self.receive()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


class Peer:
    """One process a core, each with a copy of the model; the first one serves what is measured on one core."""

    def __init__(self, kind, precision, folder, cores, fifo):
        self.kind, self.cores = kind, cores
        self.processes = []
        try:
            for core in cores:
                self.processes.append(Process(kind, precision, folder, core, fifo))
                answer = self.processes[-1].receive()
                if "unsupported" in answer:
                    raise Failed(answer["unsupported"])
        except Failed:
            self.close()
            raise
        self.orders = ("arrival",) if kind.input == "text" else ("sorted", "arrival")
        self.batch = {}

    def ask(self, **command):
        return self.processes[0].ask(**command)

    def tune(self, seconds):
        for order in self.orders:
            self.batch[order] = self.ask(do="tune", order=order, seconds=seconds)["batch"]
            for process in self.processes[1:]:
                process.send(do="use", order=order, batch=self.batch[order])
            for process in self.processes[1:]:
                process.receive()

    def run_pass(self, order, how_many, seconds, number):
        """`how_many` processes at once -> tokens and rows a second of all."""
        def measure():
            active = self.processes[:how_many]
            for i, process in enumerate(active):
                process.send(do="pass", order=order, seconds=seconds, number=number + i)
            answers = [process.receive() for process in active]
            return {"tokens_per_s": sum(one["tokens"] / one["seconds"] for one in answers),
                    "rows_per_s": sum(one["rows"] / one["seconds"] for one in answers),
                    "processor_seconds": sum(one["processor_seconds"] for one in answers)}

        return undisturbed(self.cores[:how_many], measure)

    def latency(self, seconds, number):
        return undisturbed(self.cores[:1], lambda: self.ask(do="latency", seconds=seconds, number=number))

    def info(self):
        """Of the first process; the time to load is the best of all, since the first one reads from a cold disk."""
        answers = [process.ask(do="info") for process in self.processes]
        return {**answers[0], **self.ask(do="memory"), "batch": self.batch, "load_seconds": min(one["load_seconds"] for one in answers)}

    def close(self):
        for process in self.processes:
            process.close()


class Tilewise:
    """The command line, a fresh process for every measurement; it reads text and gives results."""

    def __init__(self, binary, model, task, cores, fifo):
        self.binary, self.model, self.task, self.cores, self.fifo = binary, model, task, cores, fifo

    def command(self, verb, how_many, *more):
        return [*pinned(self.cores[:how_many]), str(self.binary), verb, str(self.model), "--task", self.task, "--replicas", str(how_many), *more]

    def run(self, command, stdin=None):
        done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, preexec_fn=priority_setter(self.fifo))
        if done.returncode:
            raise Failed(f"tilewise ended with {done.returncode}: {done.stderr[-1000:].strip()}")
        return done.stdout

    def logits(self, rows_path):
        with open(rows_path, encoding="utf-8") as rows:
            return [json.loads(line)["logits"] for line in self.run(self.command("predict", 1, "--logits"), rows).splitlines()]

    def bench(self, scenario, how_many, rows_path, seconds):
        command = self.command("bench", how_many, "--input", str(rows_path), "--scenario", scenario, "--warmup", "0.3",
                               "--seconds", str(seconds), "--json")

        def measure():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            answer = json.loads(self.run(command))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return {**answer, "processor_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}

        return undisturbed(self.cores[:how_many], measure)

    def ready_mb(self):
        """Memory of a process that has loaded the model and waits for its first row."""
        process = subprocess.Popen(self.command("predict", 1), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        sizes = []
        while len(sizes) < 2 or sizes[-1] != sizes[-2]:
            time.sleep(0.3)
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            sizes.append(next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:")))
        process.stdin.close()
        process.wait()
        return sizes[-1]
