#!/usr/bin/env python3
"""A real MPNet of base size against PyTorch's fp32, on this machine's best kernels: mpnet_torch.py TILEWISE.

The model is all-mpnet-base-v2 in TILEWISE_MPNET (default: build/models/all-mpnet-base-v2; fetched where it is not there yet):
one embedding task, mean pooling, length 1. The texts are the example's queries, its products, and some beyond the distance from
which on MPNet's relative positions are all the same. Exit code 77: skipped, it cannot be fetched.
"""
import os
import subprocess
import sys
import tempfile

from cli import EXAMPLE, ROOT, Tilewise, read_rows, skip

# Largest difference of a number of the vector, whose RMS is 768^-1/2 = 0.036. fp32: twelve layers, each with sums of up to 3,072
# products. bf16 keeps 8 bits: some hundred roundings of 2^-9 a token, which the mean over the tokens evens out.
LIMITS = {"fp32": 2e-6, "bf16": 6e-3}
# As close to 1 must the cosine of both vectors be.
COSINES = {"fp32": 1e-6, "bf16": 2e-3}


def texts():
    queries = [row["text"] for row in read_rows(EXAMPLE / "data" / "queries.jsonl")]
    products = [str(side.get("title", "")) for row in read_rows(EXAMPLE / "data" / "pairs.jsonl") for side in (row["left"], row["right"])]
    long = [" ".join(products[first : first + 40]) for first in (0, 20)]
    return queries[:6] + products[:6] + long + [""]


def reference(folder, longest):
    """Vectors of PyTorch, one text at a time, so that nothing is padded."""
    import torch
    from transformers import AutoTokenizer, MPNetModel
    model = MPNetModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    vectors, tokens = [], []
    with torch.inference_mode():
        for text in texts():
            ids = tokenizer(text, truncation=True, max_length=longest)["input_ids"]
            vector = model(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
            vectors.append((vector / vector.norm()).tolist())
            tokens.append(len(ids))
    return vectors, tokens


def main():
    tilewise = Tilewise(sys.argv[1])
    folder = os.environ.get("TILEWISE_MPNET", str(ROOT / "build" / "models" / "all-mpnet-base-v2"))
    if subprocess.run([ROOT / "tools" / "fetch_mpnet.sh", folder], check=False).returncode != 0:
        skip(f"no MPNet in {folder}")
    due, tokens = reference(folder, 384)
    print(f"{len(due)} texts of {min(tokens)} to {max(tokens)} tokens")
    failures = []
    with tempfile.TemporaryDirectory() as work:
        for precision, limit in LIMITS.items():
            model = tilewise.compile(folder, f"{work}/{precision}.tw", precision)
            answers = tilewise.predict(model, "embedding", [{"text": text} for text in texts()], more=())
            largest, least = 0.0, 1.0
            for one, answer in zip(due, answers, strict=True):
                other = answer["embedding"]
                largest = max(largest, *(abs(a - b) for a, b in zip(one, other, strict=True)))
                least = min(least, sum(a * b for a, b in zip(one, other)))
            print(f"{precision}: largest difference {largest:.2g} (limit {limit}), least cosine 1 - {1 - least:.1g}")
            if not (largest <= limit and 1 - least <= COSINES[precision]):
                failures.append(f"{precision}: {largest:.3g}, cosine {least}")
    if failures:
        sys.exit("FAILED\n" + "\n".join(failures))


if __name__ == "__main__":
    main()
