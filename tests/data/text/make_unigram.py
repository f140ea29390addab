#!/usr/bin/env python3
"""Writes the small Unigram tokenizers and the expected values that the tests of src/text compare with.

Everything comes from Hugging Face `tokenizers` and from Python's `unicodedata`; nothing of tilewise runs here.

    python make_unigram.py

Trains on torture.jsonl and TEXTS, where xlm_roberta/tokenizer.json is not there: training gives another vocabulary each time.
xlm_roberta/tokenizer.json: as XLM-R has it; unigram/tokenizer.json: with all other settings that are known
unigram.golden.jsonl: a text, its ids with each tokenizer, and the text that the ids become again
graphemes.map.txt: a precompiled map in base64 that makes one X of whatever begins with any character
graphemes.golden.txt: hashes over what that map makes of every code point in the contexts of PROBES
"""
import base64
import hashlib
import json
import pathlib
import unicodedata

from precompiled_map import precompiled_map
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
TEXTS = [
    "the best wireless headphones", "  two  blanks   and three  ", "a\tb\nc\r\nd\re", "\r\n\r\n", "\u00a0no\u00a0break\u3000wide\u2003em\u200bzero", "caf\u00e9 cafe\u0301 CAF\u00c9",
    "e\u0301\u0323 e\u0323\u0301 \u1ec7 a\u0301\u0301\u0301 \u0301 \u0301\u0301", "\ufb01ne \ufb01\u0301 \u2460\u2461 \u00bd \u2122 \uff21\uff22\uff23 \uff11\uff12\u3002", "\u1100\u1161\u11a8 \uac01 \uac00\u11a8 \u3131\u314f",
    "\u0e01\u0e33 \u0e17\u0e35\u0e48 \u0e99\u0e49\u0e33", "\u0915\u094d\u0937 \u0915\u0301 \u0958\u0301 \u0915\u094d\u0958\u0301 \u0928\u093f", "\u0600a \u06001 \u06dd\u0661", "\u00a9\u200d\u00a9\u0301 \u2764\ufe0f \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea\U0001f1e9",
    "\u2581a \u2581 a\u2581b \u2581\u2581", "<mask> <s>x</s> a <mask>b  <mask>  c", "<unk> x<unk>y <pad>", "<0x41> <0x0A>", "\u6e2c\u8a66 \u6d4b\u8bd5 \u30c6\u30b9\u30c8 \uff83\uff7d\uff84 \u304b\u3099", "\u0645\u0631\u062d\u0628\u0627 \ufef3\ufee2 \ufdfa",
    "\u05e9\u05c1\u05dc\u05d5\u05dd \ufb2c", "x\u0000y \u0001\u0002z \u007f", "\U0001d400\U0001d7d8 \U0001f100", "zzzzqqqq\u16a0\u16a1\u16a2 q\u16a0q", "new\u0300 u\u0308ber \u00fcber nai\u0308ve", "\u212b \u2126 \u2adc \ufb03", "aa" * 40, "\u4e2d" * 30, " " * 20,
    "normal NORMAL nor mal", "\ufb01sh NORM norm Norm", "tab\there", " leading", "trailing ", "\u3000", "\u00e9", "", "a", " ", "  ", "\u2581", "\u0085x\u2028y",
]
PROBES = ["aC", "Ca", "\u0600C", "C\u0301\u0301", "\u00a9C\u200d\u00a9\u0301", "C\u200d\u00a9\u0301", "C\u1161\u0301", "C\u11a8\u0301", "\u1100C\u0301", "\u0915\u094dC\u0301",
          "C\u094d\u0915\u0301", "\u0915C\u0915\u0301", "\u0915\u094dC\u0915\u0301", "C\n", "\rC"]
PROBED = [*range(1, 0xD800), *range(0xE000, 0x20000), *range(0xE0000, 0xE0200)]


def read_torture():
    rows = [json.loads(line) for line in (HERE / "torture.jsonl").read_text("utf-8").splitlines()]
    return [row["text"] if "text" in row else bytes.fromhex(row["hex"]).decode("utf-8", errors="replace") for row in rows]


def normalisation_rules(texts):
    """NFKC of what the texts have, as SentencePiece's nmt_nfkc does it: characters, pairs that compose, and white space."""
    rules = {chr(c): "" for c in [*range(1, 9), 0x0B, 0x7F, 0x200B]}
    rules |= {c: " " for c in "\t\n\f\r\u00a0\u1680\u2003\u2028\u2029\u3000"}
    characters = sorted({c for text in texts for c in text})
    for character in characters:
        for key in (character, *(character + mark for mark in "\u0300\u0301\u0308\u0323\u3099")):
            composed = unicodedata.normalize("NFKC", key)
            if composed != key and len(composed) <= len(key) + 18:
                rules.setdefault(key, composed)
    # A rule covers more than one character, and one covers the beginning of another.
    rules |= {"\u0301\u0301": "\u0301", "qq": "Q", "\r\n": " ", "\u00a9\u200d": "(c)", "\u06001": "one", "\U0001d7d8": "0"}
    return rules


def train(normalizer, texts, size):
    known = HERE / "xlm_roberta" / "tokenizer.json"
    if known.exists():
        return json.loads(known.read_text("utf-8"))["model"]["vocab"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=size, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False, max_piece_length=12)
    tokenizer.train_from_iterator([text for text in texts for _ in range(3)], trainer)
    pieces = [[piece, round(score, 4)] for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"] if piece not in SPECIAL]
    return [[piece, 0.0] for piece in SPECIAL] + pieces


def added_token(token_id, content, *flags):
    return {"id": token_id, "content": content, **{flag: flag in flags for flag in ("single_word", "lstrip", "rstrip", "normalized", "special")}}


def document(normalizer, pre_tokenizer, model, added, decoder):
    special = [(token, SPECIAL.index(token)) for token in ("<s>", "</s>")]
    template = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=special)
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": normalizer,
            "pre_tokenizer": pre_tokenizer, "post_processor": json.loads(template.__getstate__()),
            "decoder": decoder, "model": {"type": "Unigram", "unk_id": 3, **model}}


def metaspace(**settings):
    return {"type": "Metaspace", "replacement": "\u2581", **settings}


def make_documents(texts):
    rules = normalisation_rules(texts)
    precompiled = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(precompiled_map(rules)).decode()}
    vocab = train(normalizers.Precompiled(precompiled_map(rules)), texts, 700)
    special = [added_token(i, token, "special", *(["lstrip"] if token == "<mask>" else [])) for i, token in enumerate(SPECIAL)]
    words = [added_token(i, content, *flags) for i, (content, flags) in enumerate(
        [("fish", ["normalized"]), ("Norm", ["normalized", "single_word"]), ("norm", ["rstrip"])], len(vocab) + 250)]
    # Two pieces out of three, so that much is unknown; scores that are often the same; and the bytes but for six.
    few = [[piece, -float(int(-score))] for i, (piece, score) in enumerate(vocab) if i < 5 or i % 3]
    few += [[f"<0x{byte:02X}>", -20.0] for byte in range(256) if byte not in (0xE1, 0x9A, 0xF0, 0x01, 0x02, 0x7F)]
    words = [{**token, "id": len(few) + i} for i, token in enumerate(words)]
    steps = [precompiled, {"type": "Strip", "strip_left": False, "strip_right": True},
             {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]
    return {
        "xlm_roberta": document(precompiled, {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace(add_prefix_space=True)]},
                                {"vocab": vocab}, special, metaspace(add_prefix_space=True)),
        "unigram": document({"type": "Sequence", "normalizers": steps}, metaspace(prepend_scheme="never", split=False),
                            {"vocab": few, "byte_fallback": True}, special + words, metaspace(prepend_scheme="never")),
    }


def write_ids(tokenizers, texts):
    with open(HERE / "unigram.golden.jsonl", "w", encoding="utf-8") as out:
        for text in texts:
            row = {"text": text}
            for name, tokenizer in tokenizers.items():
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                row[name] = {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)}
            out.write(json.dumps(row, ensure_ascii=True, separators=(",", ":")) + "\n")


def write_graphemes():
    rules = {bytes([byte]): "X" for byte in [*range(1, 0x80), *range(0xC2, 0xF5)]}
    (HERE / "graphemes.map.txt").write_text(base64.b64encode(precompiled_map(rules)).decode() + "\n")
    normalizer = normalizers.Precompiled(precompiled_map(rules))
    with open(HERE / "graphemes.golden.txt", "w") as out:
        out.write("# of each 4,096 code points: SHA-256 of what the map makes of them in each context, one a line\n")
        for first in range(0, 0xE1000, 0x1000):
            block = [c for c in PROBED if first <= c < first + 0x1000]
            lines = [normalizer.normalize_str(probe.replace("C", chr(c))) for c in block for probe in PROBES]
            if lines:
                out.write(f"{first:05X} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}\n")


def main():
    texts = read_torture() + TEXTS
    tokenizers = {}
    for name, contents in make_documents(texts).items():
        (HERE / name).mkdir(exist_ok=True)
        (HERE / name / "tokenizer.json").write_text(json.dumps(contents, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
        tokenizers[name] = Tokenizer.from_file(str(HERE / name / "tokenizer.json"))
    write_ids(tokenizers, texts)
    write_graphemes()


if __name__ == "__main__":
    main()
