#!/usr/bin/env python3
"""The speed of tilewise's tokenizer beside Hugging Face `tokenizers`, on one core, in one run.

    python bench/tokenizer/compare.py --build build/release --folder MODEL_FOLDER --queries FILE... --pairs FILE...

Query files are *.txt (a query a line) or *.jsonl rows with `text`; pair files are *.jsonl rows with `left` and `right`, of
which title, brand, price and description are rendered as "COL title VAL ..." (--plain: the values alone). Both sides add
the special tokens and cut at 64 (queries) and 128 tokens (pairs). The ids of every text are compared first, then both are
timed in turn by processor time, best of --rounds. Reported are microseconds a text, the ratio to the faster way to call
`tokenizers`, and the megabytes of text a second of both.
"""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "text"))
import tokenizers  # noqa: E402
from tokenizer_dump import dump, numbers  # noqa: E402

FIELDS = ("title", "brand", "price", "description")


def clean(text):
    """One line without tabs: the form of the benchmark's input files."""
    return " ".join(text.split())


def read_queries(paths):
    for path in paths:
        for line in path.read_text("utf-8").split("\n"):
            if line.strip():
                yield clean(json.loads(line)["text"] if path.suffix == ".jsonl" else line)


def render(record, plain):
    present = [(field, str(record[field])) for field in FIELDS if record.get(field)]
    return clean(" ".join(value if plain else f"COL {field} VAL {value}" for field, value in present))


def read_pairs(paths, plain):
    for path in paths:
        for line in path.read_text("utf-8").split("\n"):
            if line.strip():
                row = json.loads(line)
                yield render(row["left"], plain), render(row["right"], plain)


def check_ids(options, tokenizer, queries, pairs):
    program = options.build / "src" / "text" / "tokenizer_dump"
    found = dump(program, options.folder, [q.encode() for q in queries])
    tokenizer.no_truncation()
    expected = [numbers(e.ids) for e in tokenizer.encode_batch(queries, add_special_tokens=False)]
    assert found == expected, "the ids of the queries differ"
    tokenizer.enable_truncation(128, strategy="longest_first")
    flat = [side.encode() for pair in pairs for side in pair]
    found = dump(program, options.folder, flat, "--pairs", "longest_first", "128")
    expected = [f"{numbers(e.ids)} | {numbers(e.type_ids)}" for e in tokenizer.encode_batch(pairs)]
    assert found == expected, "the ids of the pairs differ"


def time_tokenizers(tokenizer, inputs, max_tokens):
    """Processor seconds a text, of encode() one by one and of encode_batch_fast() over all."""
    tokenizer.enable_truncation(max_tokens, strategy="longest_first")
    is_pair = isinstance(inputs[0], tuple)
    start = time.process_time()
    for item in inputs:
        tokenizer.encode(*item) if is_pair else tokenizer.encode(item)
    single = time.process_time() - start
    start = time.process_time()
    tokenizer.encode_batch_fast(inputs)
    batch = time.process_time() - start
    return single / len(inputs), batch / len(inputs)


def time_tilewise(options, folder):
    program = options.build / "src" / "text" / "tokenizer_bench"
    done = subprocess.run([program, options.folder, folder / "queries", folder / "pairs", "--benchmark_format=json",
                           "--benchmark_filter=queries|pairs", "--benchmark_min_time=0.5"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    rows = json.loads(done.stdout)["benchmarks"]
    return {row["name"]: row["s/text"] for row in rows}


def mean_bytes(texts):
    sizes = [len(text.encode()) for text in texts]
    return sum(sizes) / len(sizes)


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n"):
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    parser.add_argument("--folder", required=True, help="a folder with tokenizer.json")
    parser.add_argument("--queries", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--pairs", type=pathlib.Path, nargs="+", required=True)
    parser.add_argument("--plain", action="store_true", help="render records without field names")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--core", type=int, default=min(os.sched_getaffinity(0)))
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})

    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(options.folder) / "tokenizer.json"))
    tokenizer.no_padding()
    queries, pairs = list(read_queries(options.queries)), list(read_pairs(options.pairs, options.plain))
    check_ids(options, tokenizer, queries, pairs)
    print(f"{len(queries)} queries and {len(pairs)} pairs: all ids are equal")

    best = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "queries").write_text("\n".join(queries), "utf-8")
        (folder / "pairs").write_text("\n".join(f"{left}\t{right}" for left, right in pairs), "utf-8")
        for _ in range(options.rounds):
            theirs = {"queries": time_tokenizers(tokenizer, queries, 64), "pairs": time_tokenizers(tokenizer, pairs, 128)}
            for what, ours in time_tilewise(options, folder).items():
                best.setdefault(what, []).append((ours, *theirs[what]))
    print(f"{cpu_name()}, one core, tokenizers {tokenizers.__version__}, best of {options.rounds}, us a text")
    print("          tilewise  encode  encode_batch_fast  ratio     MB/s")
    sizes = {"queries": mean_bytes(queries), "pairs": mean_bytes(left + right for left, right in pairs)}
    for what, rounds in best.items():
        ours, single, batch = (min(times) * 1e6 for times in zip(*rounds))
        theirs = min(single, batch)
        rates = f"{sizes[what] / ours:.0f} : {sizes[what] / theirs:.1f}"
        print(f"{what:9} {ours:8.3f} {single:7.2f} {batch:18.2f} {theirs / ours:6.1f} {rates:>10}")


if __name__ == "__main__":
    main()
