#!/usr/bin/env python3
"""Compares the ids of random Unicode texts with Hugging Face `tokenizers`, under random tokenizer settings.

    TILEWISE_BACKBONE=FOLDER python tests/text/tokenizer_random_torch.py build/release/tilewise [SEED [TEXTS]]

The vocabulary is the real model's; the normaliser's switches, the length of words and a dozen added tokens with random flags
change with each round. Exits with 1 at any difference, with 77 where there is no model.
"""
import copy
import json
import pathlib
import random
import sys
import tempfile

from tokenizer_dump import backbone, count_differences, dump, numbers, program_beside
from tokenizers import Tokenizer

ROUNDS = 8
RANGES = {
    "lower case": [(0x61, 0x7A)], "ASCII": [(0x21, 0x7E)], "control": [(0x00, 0x20), (0x7F, 0x9F)],
    "Latin": [(0xA0, 0x24F), (0x1E00, 0x1EFF)], "alphabets": [(0x370, 0x1FFF)], "symbols": [(0x2000, 0x2BFF)],
    "East Asia": [(0x3000, 0x9FFF)], "Hangul": [(0xAC00, 0xD7A3)], "rest of the first plane": [(0xA000, 0xD7FF), (0xE000, 0xFFFF)],
    "second plane": [(0x10000, 0x1FFFF)], "beyond": [(0x20000, 0x10FFFF)],
    # Marks, stripped and kept, of many combining classes.
    "marks": [(0x300, 0x36F), (0x302A, 0x302F), (0x1D165, 0x1D172), (0x8D3, 0x8E1), (0x1E000, 0x1E006), (0x1B44, 0x1B44),
              (0x11446, 0x11446), (0x93C, 0x94D), (0x591, 0x5C7), (0x34F, 0x34F), (0x1DF6, 0x1DFB)],
}
ADDED = ["<x>", "Foo", "b\u0301ar", "<l>", "<r>", "<s>", "\u4e2d \u56fd", "!?", "\u00c9", " z ", "zz\u3000", "\u302e"]
WORDS = ["[SEP]", "[CLS]", "[MASK]", "[UNK]", "[ MASK ]", "[sep]", "the", "ing", "12", "foo", "FOO", "B\u00c1R", " Z ", *ADDED]


def random_character(kind):
    return chr(random.randint(*random.choice(RANGES[kind])))


def random_text():
    kinds = random.sample([*RANGES, "words"], random.randint(1, 6))
    pieces = (random.choice(kinds) for _ in range(random.randint(0, 40)))
    text = "".join(random.choice(WORDS) if kind == "words" else random_character(kind) for kind in pieces)
    return text.encode("utf-8", errors="ignore").decode()  # without surrogates


def random_flag():
    return random.random() < 0.4


def random_settings(document):
    document = copy.deepcopy(document)
    document["normalizer"].update(clean_text=random_flag(), handle_chinese_chars=random_flag(), lowercase=random_flag(),
                                  strip_accents=random.choice([None, True, False]))
    document["model"]["max_input_chars_per_word"] = random.choice([0, 1, 3, 10, 100])
    next_id = len(document["model"]["vocab"])
    for content in random.sample(ADDED, random.randint(0, len(ADDED))):
        known = document["model"]["vocab"].get(content)
        token_id = next_id if known is None else known
        next_id += known is None
        flags = {name: random_flag() for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        # A lone mark may vanish when it is normalised, which tilewise refuses.
        flags["normalized"] &= content != "\u302e"
        document["added_tokens"].append(dict(id=token_id, content=content, **flags))
    return document


def expected_ids(tokenizer, text):
    """None where `tokenizers` fails: where two matches of added tokens claim the same white space."""
    try:
        return numbers(tokenizer.encode(text, add_special_tokens=False).ids)
    except BaseException as error:
        if "PanicException" not in type(error).__name__:
            raise
        return None


def main():
    program = program_beside(sys.argv[1])
    document = json.loads((pathlib.Path(backbone()) / "tokenizer.json").read_text("utf-8"))
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
    wrong = 0
    for round_number in range(ROUNDS):
        settings = random_settings(document) if round_number > 0 else document
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokenizer.json"
            path.write_text(json.dumps(settings), "utf-8")
            tokenizer = Tokenizer.from_file(str(path))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            rows = [(text, expected_ids(tokenizer, text)) for text in (random_text() for _ in range(count))]
            rows = [row for row in rows if row[1] is not None]
            texts, expected = zip(*rows)
            differences = count_differences(f"round {round_number}", texts, dump(program, folder, [t.encode() for t in texts]), expected)
        if differences:
            settings["model"].pop("vocab")
            print(json.dumps({key: settings[key] for key in ("normalizer", "model", "added_tokens")}), file=sys.stderr)
        wrong += differences
    print(f"{ROUNDS * count} random texts, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
