#!/usr/bin/env python3
"""Compares every token id of tilewise with Hugging Face `tokenizers`, text by text and pair by pair.

    python tests/tokenizer_parity.py --dump build/release/src/text/tokenizer_dump --folder MODEL_FOLDER FILE...

MODEL_FOLDER holds a tokenizer.json. Of a FILE *.jsonl (or *.jsonl.gz) every string in every row is a text, and a row with
`left` and `right` is a pair too, each record rendered as tests need it: its values joined by spaces. Of any other file
every line is a text; bytes that are not UTF-8 are decoded as Python's errors="replace" does, and given to tilewise as they
are. Exits with 1 at any difference.
"""
import argparse
import gzip
import json
import pathlib
import subprocess
import sys

from tokenizers import Tokenizer


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
        if isinstance(row, dict) and "left" in row and "right" in row:
            left, right = (" ".join(strings_of(list(row[side].values()))) for side in ("left", "right"))
            pairs.append((left.encode(), right.encode()))
    return texts, pairs


def dump(program, folder, texts, *arguments):
    blob = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    done = subprocess.run([program, folder, *arguments], input=blob, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\n")[:-1]


def decoded(text):
    return text.decode("utf-8", errors="replace")


def numbers(values):
    return " ".join(map(str, values))


def expected_pair(tokenizer, left, right):
    try:
        encoding = tokenizer.encode(decoded(left), decoded(right))
    except Exception as error:  # the binding raises no narrower type
        if "too short" not in str(error):
            raise
        return "error"
    return numbers(encoding.ids) + " | " + numbers(encoding.type_ids)


def differences(what, texts, found, expected):
    assert len(found) == len(expected), f"{what}: {len(found)} answers to {len(expected)} texts"
    wrong = [i for i, (a, b) in enumerate(zip(found, expected)) if a != b]
    for i in wrong[:5]:
        print(f"{what}: {texts[i]!r}\n  tilewise   {found[i]}\n  tokenizers {expected[i]}", file=sys.stderr)
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", required=True, help="the program tokenizer_dump")
    parser.add_argument("--folder", required=True, help="a folder with tokenizer.json")
    parser.add_argument("--max-tokens", type=int, action="append", help="of pairs; may be given several times")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    options = parser.parse_args()

    tokenizer = Tokenizer.from_file(str(pathlib.Path(options.folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    wrong = total = 0
    for path in options.files:
        texts, pairs = read(path)
        expected = [numbers(e.ids) for e in
                    tokenizer.encode_batch([decoded(t) for t in texts], add_special_tokens=False)]
        wrong += differences(path.name, texts, dump(options.dump, options.folder, texts), expected)
        total += len(texts)
        flat = [text for pair in pairs for text in pair]
        for strategy in ("longest_first", "only_first", "only_second") if pairs else ():
            for max_tokens in options.max_tokens or [64, 65, 128]:
                tokenizer.enable_truncation(max_tokens, strategy=strategy)
                expected = [expected_pair(tokenizer, *pair) for pair in pairs]
                found = dump(options.dump, options.folder, flat, "--pairs", strategy, str(max_tokens))
                wrong += differences(f"{path.name} {strategy} {max_tokens}", pairs, found, expected)
                total += len(pairs)
        tokenizer.no_truncation()
        print(f"{path.name}: {len(texts)} texts, {len(pairs)} pairs", flush=True)
    print(f"{total} comparisons, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
