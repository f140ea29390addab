"""The OpenVINO side: converts the example model with one head, then answers commands on standard input, one a line, with a JSON line each.

  openvino_worker.py TASK ROWS.jsonl PRECISION (with MODEL_DIR and BACKBONE_DIR in the environment)

Commands: info, logits, tune, pass, latency. Inputs are token ids, padded batches lie ready in memory: no text is read in a
timed stretch. Inference only: one thread, one stream.
"""
import json
import os
import pathlib
import sys
import time

import numpy as np
import openvino
import torch

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "parity"))
from reference import Reference  # noqa: E402

BATCHES = (1, 8, 16, 32, 64)
NAMES = ("input_ids", "attention_mask", "token_type_ids")


class WithHead(torch.nn.Module):
    """Encoder, mean over the real tokens, one linear head: what tilewise computes, over a padded batch."""

    def __init__(self, reference, task):
        super().__init__()
        self.encoder = reference.encoder
        self.weight = torch.nn.Parameter(reference.heads[task + ".weight"])
        self.bias = torch.nn.Parameter(reference.heads[task + ".bias"])

    def forward(self, input_ids, attention_mask, token_type_ids):
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1) @ self.weight.T + self.bias


def compile_model(reference, task, precision):
    example = {name: torch.ones(2, 8, dtype=torch.int64) for name in NAMES}
    reference.encoder.set_attn_implementation("sdpa")  # OpenVINO fuses it; as fast as "eager" or faster
    model = openvino.convert_model(WithHead(reference, task), example_input=example)
    model.reshape({name: [-1, -1] for name in NAMES})
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    settings["ENABLE_CPU_PINNING"] = False  # the process is pinned from outside
    return openvino.Core().compile_model(model, "CPU", settings)


def padded(encoded):
    width = max(len(ids) for ids, _ in encoded)
    arrays = [np.zeros((len(encoded), width), np.int64) for _ in NAMES]
    for row, (ids, types) in enumerate(encoded):
        arrays[0][row, : len(ids)] = ids
        arrays[1][row, : len(ids)] = 1
        arrays[2][row, : len(ids)] = types
    return arrays


class Worker:
    def __init__(self, task, rows_path, precision):
        reference = Reference(os.environ["MODEL_DIR"], os.environ["BACKBONE_DIR"])
        rows = [json.loads(line) for line in pathlib.Path(rows_path).read_text(encoding="utf-8").splitlines()]
        self.encoded = [reference.encode(task, row) for row in rows]
        compiled = compile_model(reference, task, precision)
        self.precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.request = compiled.create_infer_request()
        self.batch = None
        self.batches = []

    def infer(self, arrays):
        return self.request.infer(arrays, share_inputs=True, share_outputs=True)[0]

    def batches_of(self, size):
        """Sorted by length, so that as little as possible is padding."""
        order = sorted(self.encoded, key=lambda one: len(one[0]))
        return [padded(order[i : i + size]) for i in range(0, len(order), size)]

    def timed(self, batches):
        wall, processor = time.perf_counter(), time.process_time()
        for arrays in batches:
            self.infer(arrays)
        return time.perf_counter() - wall, time.process_time() - processor

    def info(self):
        return {"rows": len(self.encoded), "tokens": sum(len(ids) for ids, _ in self.encoded), "precision": self.precision,
                "versions": {"openvino": openvino.__version__.split("-")[0], "torch": torch.__version__}}

    def logits(self):
        return {"logits": [self.infer(padded([one]))[0].tolist() for one in self.encoded]}

    def tune(self):
        """Picks the best batch size over the whole set; the first pass over each lets OpenVINO compile for its shapes."""
        rates = {}
        for size in BATCHES:
            batches = self.batches_of(size)
            self.timed(batches)
            rates[size] = len(self.encoded) / min(self.timed(batches)[1] for _ in range(2))
        self.batch = max(rates, key=rates.get)
        self.batches = self.batches_of(self.batch)
        return {"batch": self.batch, "rows_per_s": rates}

    def run_pass(self):
        wall, processor = self.timed(self.batches)
        return {"seconds": wall, "processor_seconds": processor}

    def latency(self):
        """Milliseconds of each row alone, in arrival order."""
        singles, times = [padded([one]) for one in self.encoded], []
        wall, processor = time.perf_counter(), time.process_time()
        for arrays in singles:
            start = time.perf_counter()
            self.infer(arrays)
            times.append(1000 * (time.perf_counter() - start))
        share = (time.process_time() - processor) / (time.perf_counter() - wall)
        return {"p50": float(np.percentile(times, 50)), "p99": float(np.percentile(times, 99)), "share_of_core": share}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to standard error
    torch.set_num_threads(1)
    worker = Worker(*sys.argv[1:])
    commands = {"info": worker.info, "logits": worker.logits, "tune": worker.tune, "pass": worker.run_pass, "latency": worker.latency}
    for line in sys.stdin:
        print(json.dumps(commands[line.strip()]()), file=answers, flush=True)


if __name__ == "__main__":
    main()
