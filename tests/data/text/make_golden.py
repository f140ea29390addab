#!/usr/bin/env python3
"""Writes the small tokenizers and the expected values that the tests of src/text compare with.

Everything comes from Hugging Face `tokenizers` and from Python itself; nothing of tilewise runs here.

    python make_golden.py

torture.jsonl (written by hand) -> NAME/tokenizer.json, torture.golden.jsonl: ids of line i with each of the tokenizers
truncation.golden.txt: tokens kept of two texts, for each strategy, length and budget
truncation_left.golden.txt: which tokens are kept where the beginning is cut
characters.golden.txt: hashes over what each tokenizer makes of every code point
"""
import hashlib
import itertools
import json
import pathlib
import zlib

from tokenizers import Tokenizer, normalizers, pre_tokenizers

HERE = pathlib.Path(__file__).resolve().parent
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BLOCK = 0x8000

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
UNCASED = dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
TOKENIZERS = {
    "uncased": dict(normalizer=UNCASED),
    "cased": dict(normalizer={**UNCASED, "lowercase": False}),
    "accents": dict(normalizer={**UNCASED, "strip_accents": False}),
    "raw": dict(normalizer=dict(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False),
                prefix="@@", longest=10, special=["<pad>", "<unk>", "<s>", "</s>", "<mask>"]),
    "added": dict(normalizer=UNCASED, added=[
        ("<raw>", ""), ("<Norm>", "normalized"), ("solo", "single_word"), ("<left>", "lstrip"), ("<right>", "rstrip"),
        ("<both>", "lstrip rstrip special"), ("<a", ""), ("<a b>", ""), ("a b>c", ""), ("  ", ""), ("中国", "normalized"),
        ("É", ""), ("Élan", "normalized single_word"), ("Twin", "normalized"), ("twin", "normalized special"),
        ("!?", "lstrip single_word"), ("the", "normalized single_word rstrip"), (" z", "normalized lstrip"),
        ("\u2028", "rstrip"), ("e\u0301cho", "normalized"), ("wow", "special rstrip")]),
}


def read_torture():
    rows = [json.loads(line) for line in (HERE / "torture.jsonl").read_text("utf-8").splitlines()]
    return [row["text"] if "text" in row else bytes.fromhex(row["hex"]).decode("utf-8", errors="replace") for row in rows]


def chosen(text, one_in):
    return zlib.crc32(text.encode()) % one_in == 0


def left_out(c, place):
    return c in "qx" if c.isascii() else chosen(place + c, 9)


def make_vocabulary(texts, config, special, prefix):
    """Characters, pieces and words of the texts; some are left out, so that there are unknown words and pieces of words."""
    normalizer, split = normalizers.BertNormalizer(**config), pre_tokenizers.BertPreTokenizer()
    words = {word for text in texts for word, _ in split.pre_tokenize_str(normalizer.normalize_str(text))}
    words |= {word for text in texts for word, _ in split.pre_tokenize_str(text)}  # of no use, like many in real life
    characters = {c for word in words for c in word}
    tokens = {c for c in characters if not left_out(c, "start")}
    tokens |= {prefix + c for c in characters if not left_out(c, "inside")}
    for word in words:
        if chosen("whole" + word, 2) and len(word) < 20:
            tokens.add(word)
        for size in (2, 3, 5):
            if len(word) > size and chosen(f"begin {size}" + word, 4):
                tokens.add(word[:size])
            if len(word) > size and chosen(f"end {size}" + word, 4):
                tokens.add(prefix + word[-size:])
    tokens -= set(special)
    return {token: i for i, token in enumerate(special + sorted(tokens))}


def make_tokenizer(name, texts):
    config = TOKENIZERS[name]
    special, prefix = config.get("special", SPECIAL), config.get("prefix", "##")
    vocabulary = make_vocabulary(texts, config["normalizer"], special, prefix)
    added = [(token, "special") for token in special] + config.get("added", [])
    entries, next_id = [], len(vocabulary)
    for content, flags in added:
        if content in vocabulary:
            token_id = vocabulary[content]
        else:
            token_id, next_id = next_id, next_id + 1
        entries.append(dict(id=token_id, content=content, single_word="single_word" in flags, lstrip="lstrip" in flags,
                            rstrip="rstrip" in flags, normalized="normalized" in flags, special="special" in flags))
    cls, sep = special[2], special[3]
    piece = lambda kind, token, side: {kind: {"id": token, "type_id": side}}
    begin = [piece("SpecialToken", cls, 0), piece("Sequence", "A", 0), piece("SpecialToken", sep, 0)]
    template = {"type": "TemplateProcessing", "single": begin,
                "pair": begin + [piece("Sequence", "B", 1), piece("SpecialToken", sep, 1)],
                "special_tokens": {t: {"id": t, "ids": [vocabulary[t]], "tokens": [t]} for t in (cls, sep)}}
    bert = {"type": "BertProcessing", "sep": [sep, vocabulary[sep]], "cls": [cls, vocabulary[cls]]}
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": entries,
        "normalizer": {"type": "BertNormalizer", **config["normalizer"]}, "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": bert if name == "raw" else template, "decoder": {"type": "WordPiece", "prefix": prefix, "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": special[1], "continuing_subword_prefix": prefix,
                  "max_input_chars_per_word": config.get("longest", 100), "vocab": vocabulary}}
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    (folder / "tokenizer.json").write_text(text + "\n", "utf-8")
    return Tokenizer.from_str(text)


def write_torture(tokenizers, texts):
    with open(HERE / "torture.golden.jsonl", "w", encoding="utf-8") as out:
        for text in texts:
            row = {name: t.encode(text, add_special_tokens=False).ids for name, t in tokenizers.items()}
            out.write(json.dumps(row, separators=(",", ":")) + "\n")


def kept(tokenizer, left, right, budget, strategy):
    """What is left of texts of so many tokens; "-" where `tokenizers` gives an error."""
    tokenizer.enable_truncation(budget + (2 if right is None else 3), strategy=strategy)
    arguments = ["a " * left] if right is None else ["a " * left, "a " * right]
    try:
        encoding = tokenizer.encode(*arguments)
    except Exception as error:  # the binding raises no narrower type
        assert "Truncation error" in str(error), error
        return "-"
    types = [t for t, special in zip(encoding.type_ids, encoding.special_tokens_mask) if not special]
    return str(types.count(0)) if right is None else f"{types.count(0)},{types.count(1)}"


def write_truncation(tokenizer):
    with open(HERE / "truncation.golden.txt", "w") as out:
        out.write("# strategy, tokens left, tokens right (. for a single text): what is kept for budgets 0, 1, 2...\n")
        for strategy in ("longest_first", "only_first", "only_second"):
            for left in range(8):
                for right in [None, *range(8)]:
                    results = [kept(tokenizer, left, right, budget, strategy) for budget in range(16)]
                    out.write(f"{strategy} {left} {'.' if right is None else right}: {' '.join(results)}\n")


def kept_left(tokenizer, left, right, budget, strategy):
    """The letters that are left of texts of single letters; "-" where `tokenizers` gives an error."""
    tokenizer.enable_truncation(budget + (2 if right is None else 3), strategy=strategy, direction="left")
    try:
        encoding = tokenizer.encode(*(" ".join(text) for text in (left, right) if text is not None))
    except Exception as error:  # the binding raises no narrower type
        assert "Truncation error" in str(error), error
        return "-"
    sides = ["", ""]
    for token, side, special in zip(encoding.tokens, encoding.type_ids, encoding.special_tokens_mask):
        if not special:
            sides[side] += token
    return f"[{sides[0]}]" if right is None else f"[{sides[0]}|{sides[1]}]"


def write_truncation_left(tokenizer):
    with open(HERE / "truncation_left.golden.txt", "w") as out:
        out.write("# strategy, left, right (. for a single text), a letter a token: what is kept for budgets 0, 1, 2...\n")
        for strategy in ("longest_first", "only_first", "only_second"):
            for left in ("", "a", "abc", "abcde"):
                for right in [None, "", "e", "edc", "edcba"]:
                    results = [kept_left(tokenizer, left, right, budget, strategy) for budget in range(12)]
                    out.write(f"{strategy} [{left}] {'.' if right is None else f'[{right}]'}: {' '.join(results)}\n")


def blocks():
    for _, group in itertools.groupby(CODE_POINTS, key=lambda c: c // BLOCK):
        yield list(group)


def sha256(parts):
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def with_one_token(flag):
    """A tokenizer with nothing but the token "<t>"."""
    token = dict(id=1, content="<t>", special=True, normalized=False, single_word=False, lstrip=False, rstrip=False)
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "added_tokens": [{**token, flag: True}], "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]",
                  "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}))


def touches_word(code_points):
    """1 where a token that must be a single word is not found after a character."""
    tokenizer = with_one_token("single_word")
    return ["0" if 1 in tokenizer.encode(chr(c) + "<t>").ids else "1" for c in code_points]


def white_space(code_points):
    """1 where a token swallows the character before it."""
    tokenizer = with_one_token("lstrip")
    return ["1" if tokenizer.encode(chr(c) + "<t>").offsets[-1][0] == 0 else "0" for c in code_points]


def write_characters(tokenizers):
    split = pre_tokenizers.BertPreTokenizer()
    with open(HERE / "characters.golden.txt", "w") as out:
        out.write("# of each 32,768 code points: SHA-256 of what they become between a and b, one a line\n")
        for code_points in blocks():
            first = f"{code_points[0]:06X}"
            around = ["a" + chr(c) + "b" for c in code_points]
            for name, tokenizer in tokenizers.items():
                if name != "added":
                    out.write(f"{first} {name} {sha256(tokenizer.normalizer.normalize_str(t) for t in around)}\n")
            words = ("\t".join(word for word, _ in split.pre_tokenize_str(t)) for t in around)
            out.write(f"{first} words {sha256(words)}\n")
            out.write(f"{first} single_word {sha256(touches_word(code_points))}\n")
            out.write(f"{first} white_space {sha256(white_space(code_points))}\n")
        # Every string of four of these bytes: all ways for UTF-8 to be wrong.
        edges = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff")
        decoded = (bytes(t).decode("utf-8", errors="replace") for t in itertools.product(edges, repeat=4))
        out.write(f"bytes invalid {sha256(decoded)}\n")


def main():
    texts = read_torture()
    tokenizers = {name: make_tokenizer(name, texts) for name in TOKENIZERS}
    write_torture(tokenizers, texts)
    write_characters(tokenizers)
    write_truncation(tokenizers["uncased"])
    write_truncation_left(tokenizers["uncased"])


if __name__ == "__main__":
    main()
