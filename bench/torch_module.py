#!/usr/bin/env python3
"""A PyTorch classifier against the same one compiled in memory: bench/torch_module.py FOLDER ROWS.jsonl [--cores 1,2] [--batches 32,256]

FOLDER is a Hugging Face encoder, which gets a head of --labels classes with random weights. The rows ({"text"}, or {"left", "right"} of plain
strings or records, whose values are joined) are tokenized beforehand, in file order, into padded batches: all sides get the very same tensors and give
logits. Each number of cores is a process of its own that may use so many; in it PyTorch in fp32, PyTorch in bf16 and tilewise take turns, --rounds times,
and a ratio is the median of the rounds' ratios. Needs torch, transformers and the tilewise package.
"""
import argparse
import copy
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time


def parse_arguments():
    numbers = lambda text: [int(word) for word in text.split(",")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("rows", type=pathlib.Path)
    parser.add_argument("--cores", default=[1, 2], type=numbers)
    parser.add_argument("--batches", default=[32, 256], type=numbers, help="sequences of a batch")
    parser.add_argument("--limit", default=1024, type=int, help="rows")
    parser.add_argument("--max-length", default=128, type=int, help="tokens of a sequence")
    parser.add_argument("--labels", default=150, type=int)
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--precision", default="bf16")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def text_of(side):
    return side if isinstance(side, str) else " ".join(str(value) for value in side.values() if value is not None)


def read(path, limit):
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line, _ in zip(lines, range(limit))]
    if "text" in rows[0]:
        return [(row["text"],) for row in rows]
    return [(text_of(row["left"]), text_of(row["right"])) for row in rows]


def padded_batches(tokenizer, rows, size, max_length):
    return [
        tokenizer(*map(list, zip(*rows[first : first + size])), padding=True, truncation=True, max_length=max_length, return_tensors="pt")
        for first in range(0, len(rows), size)
    ]


def seconds_of(forward, batches):
    start = time.perf_counter()
    for batch in batches:
        forward(**batch).logits
    return time.perf_counter() - start


def measure(arguments):
    """In a process that may use the cores that are measured."""
    import torch
    import transformers

    import tilewise

    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(arguments.folder, num_labels=arguments.labels).eval()
    compiled = tilewise.compile(model, tokenizer=tokenizer, precision=arguments.precision, replicas=cores)
    rows = read(arguments.rows, arguments.limit)
    sides = [model, copy.deepcopy(model).to(torch.bfloat16), compiled]
    for size in arguments.batches:
        batches = padded_batches(tokenizer, rows, size, arguments.max_length)
        tokens = sum(int(batch["attention_mask"].sum()) for batch in batches)
        padding = 1 - tokens / sum(batch["input_ids"].numel() for batch in batches)
        with torch.inference_mode():
            rounds = [[seconds_of(side, batches) for side in sides] for _ in range(arguments.rounds + 1)][1:]
        rates = [f"{len(rows) / statistics.median(times):.0f}" for times in zip(*rounds)]
        ratios = [f"{statistics.median(times[side] / times[2] for times in rounds):.1f} x" for side in (0, 1)]
        print("|", " | ".join([str(cores), str(size), f"{padding:.0%}", *rates, *ratios]), "|", flush=True)


def main():
    arguments = parse_arguments()
    if arguments.one:
        return measure(arguments)
    print("| cores | batch | padding | PyTorch fp32, rows/s | PyTorch bf16 | tilewise | over fp32 | over bf16 |", flush=True)
    print("|---|---|---|---|---|---|---|---|", flush=True)
    allowed = sorted(os.sched_getaffinity(0))
    for cores in arguments.cores:
        if cores > len(allowed):
            sys.exit(f"{cores} cores are asked for, and this process may use {len(allowed)}")
        subprocess.run(
            [sys.executable, *sys.argv, "--one"], check=True, preexec_fn=lambda: os.sched_setaffinity(0, allowed[:cores])
        )


if __name__ == "__main__":
    main()
