#!/usr/bin/env python3
"""Compares every token id of tilewise with Hugging Face `tokenizers`, text by text and pair by pair.

    TILEWISE_BACKBONE=FOLDER python tests/text/tokenizer_torch.py build/release/tilewise [FILE...]

FOLDER holds the tokenizer.json of a real model. The default files are the repository's own samples, and the data sets in
../shared/data where they are. Of a *.jsonl (or *.jsonl.gz) every line, every name and every string in it is a text, and a
row with `left` and `right` is a pair too: the values of each side, joined by blanks. Of any other file every line is a text;
bytes that are not UTF-8 are given to tilewise as they are, and decoded with errors="replace" for `tokenizers`.
Exits with 1 at any difference, with 77 where there is no model.
"""
import gzip
import json
import pathlib
import sys

from tokenizer_dump import backbone, count_differences, dump, numbers, program_beside
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_TOKENS = (64, 65, 128)


def default_files():
    folders = [ROOT / "examples", ROOT / "tests" / "data" / "text", ROOT.parent / "shared" / "data"]
    names = ("*.jsonl", "*.jsonl.gz", "*.txt", "*.json", "*.md", "*.csv")
    return sorted(path for folder in folders for name in names for path in folder.rglob(name))


def strings_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from strings_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_of(inner)



def read(path):
    """The texts (bytes) and pairs (of bytes) of a file."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    texts, pairs = [], []
    for line in data.split(b"\n"):
        texts.append(line)
        if not path.name.endswith((".jsonl", ".jsonl.gz")) or not line.strip():
            continue
        row = json.loads(line)
        texts += [text.encode() for text in strings_of(row)]
        if not isinstance(row, dict):
            continue
        if "hex" in row:
            texts.append(bytes.fromhex(row["hex"]))
        if isinstance(row.get("left"), dict) and isinstance(row.get("right"), dict):
            left, right = (" ".join(strings_of(list(row[side].values()))) for side in ("left", "right"))
            pairs.append((left.encode(), right.encode()))
    return texts, pairs


def decoded(text):
    return text.decode("utf-8", errors="replace")


def expected_pair(tokenizer, left, right):
    try:
        encoding = tokenizer.encode(decoded(left), decoded(right))
    except Exception as error:  # the binding raises no narrower type
        if "too short" not in str(error):
            raise
        return "error"
    return numbers(encoding.ids) + " | " + numbers(encoding.type_ids)


def main():
    program, folder = program_beside(sys.argv[1]), backbone()
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    wrong = total = 0
    for path in map(pathlib.Path, sys.argv[2:] or default_files()):
        texts, pairs = read(path)
        expected = [numbers(e.ids) for e in
                    tokenizer.encode_batch([decoded(t) for t in texts], add_special_tokens=False)]
        wrong += count_differences(path.name, texts, dump(program, folder, texts), expected)
        total += len(texts)
        flat = [text for pair in pairs for text in pair]
        for strategy in ("longest_first", "only_first", "only_second") if pairs else ():
            for max_tokens in MAX_TOKENS:
                tokenizer.enable_truncation(max_tokens, strategy=strategy)
                expected = [expected_pair(tokenizer, *pair) for pair in pairs]
                found = dump(program, folder, flat, "--pairs", strategy, str(max_tokens))
                wrong += count_differences(f"{path.name} {strategy} {max_tokens}", pairs, found, expected)
                total += len(pairs)
        tokenizer.no_truncation()
        print(f"{path.name}: {len(texts)} texts, {len(pairs)} pairs", flush=True)
    print(f"{total} comparisons, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
