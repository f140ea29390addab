#!/usr/bin/env python3
"""Compares the ids of random texts with Hugging Face `tokenizers`, under random small Unigram tokenizers.

    python tests/text/unigram_random_torch.py build/release/tilewise [SEED [ROUNDS [TEXTS]]]

Each round has another vocabulary (many scores are the same, so that ties are common), precompiled map (rules that begin alike, that
cover grapheme clusters, and that leave nothing), normaliser, pre-tokenizer and added tokens. Exits with 1 at any difference.
"""
import base64
import json
import os
import pathlib
import random
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "data" / "text"))

from precompiled_map import precompiled_map  # noqa: E402
from tokenizer_dump import count_differences, dump, numbers, program_beside  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

os.environ["RUST_BACKTRACE"] = "0"

# Characters of every class that decides where a grapheme cluster ends, of one to four bytes.
CHARACTERS = [*"aabbcdxyz .,\t\r\n\x01", "\u00E9", "\u00DF", "\u0142", "\u2581", "\u2581", "\u3000", "\u00A0", "\u0085", "\u200B", "\u0301", "\u0308", "\u0323", "\u093F",
              "\u094D", "\u0915", "\u0937", "\u0958", "\u200D", "\u200C", "\uFE0F", "\u0600", "\u06DD", "\u1100", "\u1161", "\u11A8", "\uAC00", "\uAC01", "\u00A9",
              "\u2764", "\U0001F468", "\U0001F1E9", "\U0001F3FB", "\u4E2D", "\u56FD", "\u0E33", "\uFB01", "\u2460", "\U0001D400", "\u0000", "\U000E0067"]
ADDED = ["<s>", "</s>", "<mask>", "foo", "a b", "\u2581x", "\u00E9", "  ", "c\u0301", "\uFB01"]


def sometimes(share=0.5):
    return random.random() < share


def random_piece(longest):
    return "".join(random.choice(CHARACTERS) for _ in range(random.randint(1, longest)))


def random_map():
    rules = {}
    for _ in range(random.choice([0, 5, 40])):
        key = random_piece(3).replace("\0", "")
        if key:
            rules[key] = random.choice(["", " ", "  ", "a", random_piece(2).replace("\0", ""), "\u2581", "b\u0301"])
    return rules


def random_normalizer(strip_left):
    steps = []
    if sometimes(0.8):
        steps.append({"type": "Precompiled", "precompiled_charsmap": base64.b64encode(precompiled_map(random_map())).decode()})
    if sometimes(0.4):
        steps.append({"type": "Strip", "strip_left": strip_left, "strip_right": sometimes()})
    if sometimes():
        steps.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": random.choice([" ", "\u2581"])})
    if not steps:
        return None
    return steps[0] if len(steps) == 1 and sometimes() else {"type": "Sequence", "normalizers": steps}


def random_pre_tokenizer():
    metaspace = {"type": "Metaspace", "replacement": "\u2581"}
    if sometimes(0.3):
        metaspace.update(add_prefix_space=True)
    else:
        metaspace.update(prepend_scheme=random.choice(["always", "first", "never"]), split=sometimes(0.7))
    if metaspace.get("prepend_scheme") == "first" or sometimes():
        return metaspace
    return {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]}


def random_model():
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    seen = set(pieces)
    for piece in (random_piece(random.choice([1, 1, 2, 3, 5])) for _ in range(random.choice([10, 100, 400]))):
        seen.add(piece) if sometimes(0.8) else seen.add("\u2581" + piece)
    pieces += sorted(seen - set(pieces))
    byte_fallback = sometimes(0.4)
    if byte_fallback:
        pieces += [f"<0x{byte:02X}>" for byte in range(256) if sometimes(0.95)]
    scores = [random.choice([0.0, -1.0, -2.0, -2.0, -2.5, -3.0, random.uniform(-8, 0), random.uniform(-1, 12)]) for _ in pieces]
    vocab = [[piece, 0.0 if i < 5 else score] for i, (piece, score) in enumerate(zip(pieces, scores))]
    return {"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": byte_fallback}


def random_document():
    model = random_model()
    ids = {piece: i for i, (piece, _) in enumerate(model["vocab"])}
    added = []
    stripping = random.choice(["lstrip", "lstrip", "lstrip", "rstrip"])
    for content in random.sample(ADDED, random.randint(0, len(ADDED))):
        flags = {name: sometimes(0.3) for name in ("single_word", stripping, "normalized", "special")}
        flags = {"lstrip": False, "rstrip": False, **flags}
        token_id = ids.setdefault(content, len(ids))
        added.append({"id": token_id, "content": content, **flags})
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    single = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, end]
    template = {"type": "TemplateProcessing", "single": single, "pair": [*single, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
                "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in ("<s>", "</s>")}}
    pre_tokenizer = random_pre_tokenizer()
    strip_left = pre_tokenizer.get("prepend_scheme") != "first" and sometimes()  # tilewise refuses both together
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": random_normalizer(strip_left),
            "pre_tokenizer": pre_tokenizer, "post_processor": template, "decoder": None, "model": model}


def random_text(vocab):
    parts = []
    for _ in range(random.randint(0, 12)):
        kind = random.random()
        parts.append(random.choice(vocab)[0] if kind < 0.3 else random.choice(ADDED) if kind < 0.4 else random_piece(4))
    return "".join(part + random.choice(["", "", " ", "  "]) for part in parts)


def normalized(tokenizer, text):
    return tokenizer.normalizer.normalize_str(text) if tokenizer.normalizer else text


def expected_ids(tokenizer, text):
    """None where `tokenizers` fails: where two matches of added tokens claim the same white space."""
    try:
        return numbers(tokenizer.encode(text, add_special_tokens=False).ids)
    except BaseException as error:
        if "PanicException" not in type(error).__name__:
            raise
        return None


def compare(program, number, count):
    """The number of differences of one round."""
    document = random_document()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "tokenizer.json"
        path.write_text(json.dumps(document), "utf-8")
        tokenizer = Tokenizer.from_file(str(path))
        if any(token["normalized"] and not normalized(tokenizer, token["content"]) for token in document["added_tokens"]):
            return 0  # tilewise refuses it; `tokenizers` finds the empty token everywhere, without an end
        rows = [(text, expected_ids(tokenizer, text)) for text in (random_text(document["model"]["vocab"]) for _ in range(count))]
        texts, expected = zip(*(row for row in rows if row[1] is not None))
        wrong = count_differences(f"round {number}", texts, dump(program, folder, [t.encode() for t in texts]), expected)
    if wrong:
        document["model"]["vocab"] = len(document["model"]["vocab"])
        print(json.dumps({key: document[key] for key in ("normalizer", "pre_tokenizer", "model", "added_tokens")}), file=sys.stderr)
    return wrong


def main():
    program = program_beside(sys.argv[1])
    defaults = ["1", "100", "1000"]
    seed, rounds, count = map(int, sys.argv[2:] + defaults[len(sys.argv) - 2:])
    random.seed(seed)
    wrong = sum(compare(program, number, count) for number in range(rounds))
    print(f"{rounds * count} random texts, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
