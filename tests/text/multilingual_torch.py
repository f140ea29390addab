#!/usr/bin/env python3
"""Compares the ids of a real multilingual Unigram tokenizer, XLM-R's, with Hugging Face `tokenizers`, text by text.

    python tests/text/multilingual_torch.py build/release/tilewise [SEED]

The tokenizer is the one of multilingual-e5-small, fetched by tools/fetch_multilingual_tokenizer.sh into the folder that
TILEWISE_MULTILINGUAL names (default: build/models/multilingual-tokenizer). The texts: every character of Unicode between two
letters and after an accent; random words of one script or of several, with their marks; emoji sequences; Hangul in syllables and in
letters; the project's own documents and samples, and the data sets in ../shared/data where they are; bytes that are not UTF-8.
Exits with 1 at any difference, with 77 where there is no tokenizer.
"""
import os
import pathlib
import random
import subprocess
import sys

import tokenizer_torch
from tokenizer_dump import SKIPPED, count_differences, dump, numbers, program_beside
from tokenizers import Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Letters with the marks that go with them.
SCRIPTS = {
    "Latin": [(0x41, 0x7A), (0xC0, 0x24F), (0x1E00, 0x1EFF), (0x300, 0x36F)], "Greek": [(0x370, 0x3FF), (0x1F00, 0x1FFF), (0x300, 0x345)],
    "Cyrillic": [(0x400, 0x52F), (0x483, 0x489), (0x300, 0x306)], "Armenian, Georgian": [(0x531, 0x58A), (0x10A0, 0x10FF)],
    "Hebrew": [(0x5D0, 0x5EA), (0x591, 0x5C7), (0xFB1D, 0xFB4F)], "Arabic": [(0x600, 0x6FF), (0x64B, 0x65F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)],
    "Devanagari": [(0x900, 0x97F)], "Bengali, Gurmukhi": [(0x980, 0xA76)], "Tamil to Malayalam": [(0xB80, 0xD7F)], "Sinhala": [(0xD80, 0xDF4)],
    "Thai": [(0xE01, 0xE5B)], "Lao, Tibetan": [(0xE81, 0xFDA)], "Myanmar": [(0x1000, 0x109F)], "Khmer": [(0x1780, 0x17F9)],
    "Ethiopic": [(0x1200, 0x137C)], "Hangul": [(0xAC00, 0xD7A3)], "Hangul letters": [(0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97C), (0xD7B0, 0xD7FB)],
    "Japanese": [(0x3041, 0x30FF), (0x3099, 0x309C), (0xFF61, 0xFF9F), (0x4E00, 0x4FFF)], "Chinese": [(0x4E00, 0x9FFF), (0xF900, 0xFAFF)],
    "full width": [(0xFF01, 0xFF5E)], "enclosed": [(0x2460, 0x24FF), (0x3200, 0x33FF), (0x1F100, 0x1F1AD)],
    "mathematics": [(0x2200, 0x22FF), (0x1D400, 0x1D7FF)], "symbols": [(0x2000, 0x206F), (0x20A0, 0x214F), (0x2150, 0x218B)],
    "second plane": [(0x10000, 0x1FFFF)], "anything": [(0x20, 0xD7FF), (0xE000, 0x10FFFF)], "ASCII": [(0x00, 0x7F)],
}
SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>", " <mask>", "\u2581", "\u2581\u2581", "<0x0A>", "\r\n", "\r", "\t", "\u3000", "\u00A0", "\u200B",
           "\u200D", "\uFEFF", "\u00AD", "\u0600", "\uFFFD", "\u0000"]
EMOJI = [chr(c) for c in [0x1F468, 0x1F469, 0x1F467, 0x1F3FB, 0x1F3FF, 0x1F1E9, 0x1F1EA, 0x1F1FA, 0x2764, 0x00A9, 0x00AE, 0x1F3F4, 0xE0067, 0xE007F]]
JOINING = ["\u200D", "\uFE0F", "\u20E3", "\u0301", "", ""]


def character(script):
    return chr(random.randint(*random.choice(SCRIPTS[script])))


def random_word():
    script = random.choice(list(SCRIPTS))
    return "".join(character(script) for _ in range(random.randint(1, 12)))


def random_text():
    words = []
    for _ in range(random.randint(0, 12)):
        kind = random.random()
        if kind < 0.7:
            words.append(random_word())
        elif kind < 0.85:
            words.append("".join(random.choice(EMOJI) + random.choice(JOINING) for _ in range(random.randint(1, 6))))
        else:
            words.append(random.choice(SPECIAL))
    text = "".join(word + random.choice(["", " ", " ", "  ", "   "]) for word in words)
    return text.encode("utf-8", errors="ignore")  # without surrogates


def every_character():
    for c in range(0x110000):
        if not 0xD800 <= c < 0xE000 and not 0x30000 <= c < 0xE0000 and not 0xF0100 <= c < 0x10FF00:
            yield f"a{chr(c)}b {chr(c)}\u0301 e{chr(c)}\u0301\u0323\u0301 {chr(c)}".encode()


def broken():
    return bytes(random.choice(b"\x00a \x7f\x80\xbf\xc2\xe2\x96\x81\xed\xa0\xf0\x9f\x91\xa8\xff") for _ in range(random.randint(0, 30)))


def files():
    paths = tokenizer_torch.default_files() + sorted((ROOT / "docs").glob("*.md"))
    for path in paths:
        yield from tokenizer_torch.read(path)[0]


def tokenizer_folder():
    """Fetched where it is not there yet; ends the script where it cannot be."""
    folder = os.environ.get("TILEWISE_MULTILINGUAL", str(ROOT / "build" / "models" / "multilingual-tokenizer"))
    if subprocess.run([ROOT / "tools" / "fetch_multilingual_tokenizer.sh", folder], check=False).returncode != 0:
        print(f"skipped: no multilingual tokenizer in {folder}", file=sys.stderr)
        sys.exit(SKIPPED)
    return folder


def main():
    program, folder = program_beside(sys.argv[1]), tokenizer_folder()
    tokenizer = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    sources = {"characters": every_character(), "random texts": (random_text() for _ in range(60000)),
               "broken UTF-8": (broken() for _ in range(20000)), "files": files()}
    total = wrong = 0
    for name, source in sources.items():
        texts = list(source)
        encoded = tokenizer.encode_batch([text.decode("utf-8", errors="replace") for text in texts], add_special_tokens=False)
        wrong += count_differences(name, texts, dump(program, folder, texts), [numbers(e.ids) for e in encoded])
        total += len(texts)
        print(f"{name}: {len(texts)} texts", flush=True)
    print(f"{total} texts, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
