"""What every peer's worker process has in common: commands on standard input, one JSON object a line, a JSON line each in answer.

  {"do": "info"}                                            rows, real tokens, versions, setting, seconds to load, memory once ready
  {"do": "first_use"}                                       what the first input of a length costs, and the second
  {"do": "logits", "rows": [...], "batch": N}               logits of those rows, in padded batches of N as they come
  {"do": "tune", "order": "sorted" or "arrival", "seconds"} tries BATCHES, keeps the best
  {"do": "use", "order": ..., "batch": N}                   takes a batch size that another process found
  {"do": "pass", "order": ..., "seconds": S, "number": K}   runs every k-th batch, about S seconds of them
  {"do": "latency", "seconds": S, "number": K}              rows alone, in arrival order
  {"do": "memory"}                                          the process' peak so far

A peer is a class with `setting` (words), `versions` (dict), `prepare(rows)` -> a batch in the peer's own form, padded to its longest
row (not timed), and `infer(batch)` -> logits [rows, outputs]. A row is {"ids", "types", "sides"}. A peer that cannot run in a
precision here raises Unsupported.
"""
import json
import os
import pathlib
import resource
import sys
import time

import numpy as np

BATCHES = (1, 8, 16, 32, 64)


class Unsupported(Exception):
    """The peer has no such precision on this processor."""


def padded(rows):
    """ids, mask and token types, int64 [rows, longest]."""
    width = max(len(row["ids"]) for row in rows)
    arrays = [np.zeros((len(rows), width), np.int64) for _ in range(3)]
    for i, row in enumerate(rows):
        arrays[0][i, : len(row["ids"])] = row["ids"]
        arrays[1][i, : len(row["ids"])] = 1
        arrays[2][i, : len(row["ids"])] = row["types"]
    return arrays


def memory_mb(field):
    """VmRSS: now; VmHWM: the peak."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def every(items, seconds_for_all, seconds, number):
    """About `seconds` worth of items, spread over all of them; which ones, `number` says."""
    stride = min(len(items), max(1, round(seconds_for_all / seconds)))
    repeats = max(1, round(seconds / seconds_for_all))
    return items[number % stride :: stride] * repeats


class Worker:
    def __init__(self, peer, rows, load_seconds):
        self.peer, self.rows = peer, rows
        self.load_seconds, self.ready_mb = load_seconds, memory_mb("VmRSS")
        self.batches, self.seconds_for_all = {}, {}

    def info(self):
        return {"rows": len(self.rows), "tokens": sum(len(row["ids"]) for row in self.rows), "versions": self.peer.versions,
                "setting": self.peer.setting, "load_seconds": self.load_seconds, "ready_mb": self.ready_mb}

    def memory(self):
        return {"peak_mb": memory_mb("VmHWM")}

    def first_use(self):
        """Each length once, then each again."""
        one_of_each = list({len(row["ids"]): row for row in self.rows}.values())
        singles = [(self.peer.prepare([row]), 1, len(row["ids"])) for row in one_of_each]
        first, second = (self.times_of(singles) for _ in range(2))
        return {"lengths": len(singles), "first_ms": 1e3 * float(np.median(first[1:])), "then_ms": 1e3 * float(np.median(second[1:])),
                "extra_seconds": sum(first) - sum(second)}

    def logits(self, rows, batch):
        taken = [self.rows[i] for i in rows]
        return {"logits": [values for i in range(0, len(taken), batch)
                           for values in np.asarray(self.peer.infer(self.peer.prepare(taken[i : i + batch])), np.float64).tolist()]}

    def parts_of(self, order, size):
        rows = self.rows if order != "sorted" else sorted(self.rows, key=lambda row: len(row["ids"]))
        return [rows[i : i + size] for i in range(0, len(rows), size)]

    def batches_of(self, order, size):
        """(in the peer's form, rows, real tokens) for each batch"""
        return [(self.peer.prepare(part), len(part), sum(len(row["ids"]) for row in part)) for part in self.parts_of(order, size)]

    def times_of(self, batches):
        times = []
        for prepared, _, _ in batches:
            start = time.perf_counter()
            self.peer.infer(prepared)
            times.append(time.perf_counter() - start)
        return times

    def tune(self, order, seconds):
        """The batch size with the most tokens a second, over batches from short to long; each ran before, so nothing is compiled then."""
        rates, pace = {}, self.seconds_a_row()
        for size in BATCHES:
            batches = self.batches_of(order, size)
            wanted = max(3, round(seconds / (pace * size)))
            some = batches[len(batches) // wanted // 2 :: max(1, len(batches) // wanted)]
            self.times_of(some)
            taken = self.times_of(some)
            rates[size] = sum(tokens for _, _, tokens in some) / sum(taken)
            pace = sum(taken) / sum(rows for _, rows, _ in some)
        best = max(rates, key=rates.get)
        self.use(order, best)
        return {"batch": best, "tokens_per_s": rates}

    def seconds_a_row(self):
        return float(np.mean(self.times_of(self.batches_of("arrival", 1)[:20])))

    def use(self, order, batch):
        """Takes this batch size, and runs one batch of every shape that will come."""
        self.batches[order] = self.batches_of(order, batch)
        shapes = {(len(part), max(len(row["ids"]) for row in part)): i for i, part in enumerate(self.parts_of(order, batch))}
        taken = self.times_of([self.batches[order][i] for i in shapes.values()])
        self.seconds_for_all[order] = sum(taken) * len(self.batches[order]) / len(taken)
        return {}

    def run_pass(self, order, seconds, number):
        some = every(self.batches[order], self.seconds_for_all[order], seconds, number)
        start = time.perf_counter()
        for prepared, _, _ in some:
            self.peer.infer(prepared)
        taken = time.perf_counter() - start
        self.seconds_for_all[order] = taken * len(self.batches[order]) / len(some)
        return {"seconds": taken, "rows": sum(rows for _, rows, _ in some), "tokens": sum(tokens for _, _, tokens in some)}

    def latency(self, seconds, number):
        if "single" not in self.batches:
            self.use("single", 1)
        times = self.times_of(every(self.batches["single"], self.seconds_for_all["single"], seconds, number))
        return {"p50": 1e3 * float(np.percentile(times, 50)), "p99": 1e3 * float(np.percentile(times, 99))}


def serve(load):
    """load(folder, precision, kind of input) -> a peer. Argument: a JSON object {"folder", "precision", "input": "ids" or "text"}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    settings = json.loads(sys.argv[1])
    folder = pathlib.Path(settings["folder"])
    start = time.perf_counter()
    try:
        peer = load(folder, settings["precision"], settings["input"])
    except Unsupported as reason:
        print(json.dumps({"unsupported": str(reason)}), file=answers, flush=True)
        return
    load_seconds = time.perf_counter() - start
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    worker = Worker(peer, rows, load_seconds)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    commands = {"info": worker.info, "first_use": worker.first_use, "logits": worker.logits, "tune": worker.tune, "use": worker.use,
                "pass": worker.run_pass, "latency": worker.latency, "memory": worker.memory}
    for line in sys.stdin:
        command = json.loads(line)
        before = time.process_time()
        answer = commands[command.pop("do")](**command)
        print(json.dumps({**answer, "processor_seconds": time.process_time() - before}), file=answers, flush=True)
