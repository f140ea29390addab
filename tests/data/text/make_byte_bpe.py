#!/usr/bin/env python3
"""Writes the small byte BPE tokenizers and the expected values that the tests of src/text compare with.

Everything comes from Hugging Face `tokenizers`; nothing of tilewise runs here.

    python make_byte_bpe.py

Trains on torture.jsonl and TEXTS:
NAME/tokenizer.json for each of TOKENIZERS; roberta/vocab.json and merges.txt say the same as its tokenizer.json
byte_bpe.golden.jsonl: a text, its ids with each tokenizer, and the text that the ids become again
byte_bpe_pairs.golden.jsonl: two texts, and the ids and types of the pair cut at some length, or "-" where that fails
byte_bpe_characters.golden.txt: hashes over what words and form C make of every code point
"""
import hashlib
import itertools
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BLOCK = 0x8000
TEXTS = [
    "it's I'm we'll they've he'd you're don't IT'S I'M WE'LL 'sold 'tis 'reason '' ''s '''ve '",
    "rock'n'roll o'clock'll x'sss l'l 'l", " one blank", "  two blanks", "   three  and   four    ",
    "a\tb\t\tc \td\t e", "line\nline\n\nline \n line\r\nline\n", "\n", "\n\n", " \n", "\n ",
    "\u00a0no\u00a0\u00a0break \u00a0 x\u00a0", "\u3000\u3000wide\u3000", "zero\u200bwidth\u200b \u200b",
    "a\u0085b\u2028c\u2029d", "\x1c\x1d\x1e\x1f",
    "1234567890 12 345,678.90 2\u00b2 \u2167 \u00bd \u0663\u0664 \uff11\uff12 \u2460\u2461 10x x10 3rd",
    "a1b2c3 1a 2b", "def f(x):\n    return x ** 2  # square\n\n\nclass A:\n        pass\n",
    "<html>&nbsp;</html> {\"a\": [1, 2]}", "...---*** !!! ?!?", "$19.99 \u20ac5 50% #1 @x",
    "na\u00efve caf\u00e9 nai\u0308ve cafe\u0301 \u1e69 s\u0323\u0307 s\u0307\u0323 \u212b \u2126",
    "\uac01 \u1100\u1161\u11a8 \uac00\u11a8 \u1100\u1161 \u11a8\u1161",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "\u4f60\u597d\u4e16\u754c \u3053\u3093\u306b\u3061\u306f "
    "\u043f\u0440\u0438\u0432\u0435\u0442 \u0645\u0631\u062d\u0628\u0627",
    "the the the The THE the, the. (the)", "interesting internationalization tokenizers tokenization", "a" * 200,
    "ab" * 300, "x " * 100, "\u00e9" * 120, " " * 70, "!" * 99, "the <mask> dog <mask>, <mask>",
    "<s>the</s><pad> <unk>x", "a  <mask>  b", "<mask>\n<mask>", "[CLS] a [MASK] b[SEP]", "x     y      z",
    "[MASK]  [MASK]", "caf\u00e9s cafe\u0301s <caf\u00e9> <cafe\u0301>", "|end| |end|x|end|", "solo sololo so solo",
    "\u0344 \u0958 \u2adc \ufb2c \U0001d15e \u0f73", "A\u030a\u0323 a\u0327\u0301\u0323",
]
SPECIAL = {"roberta": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
           "unknown": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
           "modernbert": ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]}


def read_torture():
    rows = [json.loads(line) for line in (HERE / "torture.jsonl").read_text("utf-8").splitlines()]
    from_hex = lambda digits: bytes.fromhex(digits).decode("utf-8", errors="replace")
    return [row["text"] if "text" in row else from_hex(row["hex"]) for row in rows]


def train(texts, normalizer, alphabet, special, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, special_tokens=special, initial_alphabet=alphabet,
                                  show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return json.loads(tokenizer.to_str())


def make_roberta(document):
    """As transformers saves it: vocabulary and merges of GPT-2's form."""
    model = document["model"]
    model.update(continuing_subword_prefix="", end_of_word_suffix="", merges=[" ".join(m) for m in model["merges"]])
    for token in document["added_tokens"]:
        token["lstrip"] = token["content"] == "<mask>"
    document["post_processor"] = {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": False,
                                  "sep": ["</s>", model["vocab"]["</s>"]], "cls": ["<s>", model["vocab"]["<s>"]]}


def make_modernbert(document):
    """With runs of blanks beyond the vocabulary, normalised tokens, and a template around."""
    next_id = len(document["model"]["vocab"])
    for content, flags in [("   ", "normalized"), ("     ", "normalized"), ("      ", "normalized"), ("|end|", ""),
                           ("solo", "single_word normalized"), ("<caf\u00e9>", "normalized"),
                           ("\t\t", "normalized lstrip")]:
        known = document["model"]["vocab"].get(content)
        document["added_tokens"].append(dict(
            id=next_id if known is None else known, content=content, single_word="single_word" in flags,
            lstrip="lstrip" in flags, rstrip=False, normalized="normalized" in flags, special=False))
        next_id += known is None
    for token in document["added_tokens"]:
        token["lstrip"] |= token["content"] == "[MASK]"
    ids = {name: document["model"]["vocab"][name] for name in ("[CLS]", "[SEP]")}
    processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                              special_tokens=list(ids.items()))
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    document["post_processor"] = {"type": "Sequence",
                                  "processors": [byte_level, json.loads(processor.__getstate__())]}


def make_unknown(document):
    """With a blank before each text, tokens that no merge makes, and bytes that no token spells."""
    vocabulary, model = document["model"]["vocab"], document["model"]
    model.update(ignore_merges=True, unk_token="<unk>", fuse_unk=True)
    for token in ["\u0120interesting", "intern", "\u0120caf\u00c3\u00a9", "\u0120\u0120"]:
        vocabulary.setdefault(token, len(vocabulary))
    document["pre_tokenizer"]["add_prefix_space"] = True
    ids = [("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
    processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=ids)
    document["post_processor"] = json.loads(processor.__getstate__())


def make_tokenizers(texts):
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    some = [c for c in alphabet if c not in "qZ\u00c4\u00e2\u0122"]
    plain = set(map(ord, "\n -{")) | set(range(0x30, 0x5A)) | set(range(0x61, 0x71))
    of_some = [text for text in texts if set(text.encode()) <= plain]
    for name, seen, normalizer, letters, size, change in (
            ("roberta", texts, None, alphabet, 700, make_roberta),
            ("modernbert", texts, normalizers.NFC(), alphabet, 800, make_modernbert),
            ("unknown", of_some, None, some, 600, make_unknown)):
        document = train(seen, normalizer, letters, SPECIAL[name], size)
        change(document)
        document["decoder"] = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
        (HERE / name).mkdir(exist_ok=True)
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (HERE / name / "tokenizer.json").write_text(text + "\n", "utf-8")
        yield name, Tokenizer.from_str(text)


def write_files_of_roberta(tokenizer):
    model = json.loads(tokenizer.to_str())["model"]
    (HERE / "roberta" / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False) + "\n", "utf-8")
    lines = [" ".join(merge) for merge in model["merges"]]
    (HERE / "roberta" / "merges.txt").write_text("#version: 0.2\n" + "\n".join(lines) + "\n", "utf-8")


def write_texts(tokenizers, texts):
    with open(HERE / "byte_bpe.golden.jsonl", "w", encoding="utf-8") as out:
        for text in texts:
            row = {"text": text}
            for name, tokenizer in tokenizers.items():
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                row[name] = {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False)}
            out.write(json.dumps(row, separators=(",", ":")) + "\n")


def cut_pair(tokenizer, left, right, strategy, max_tokens):
    tokenizer.enable_truncation(max_tokens, strategy=strategy)
    try:
        encoding = tokenizer.encode(left, right)
    except Exception as error:  # the binding raises no narrower type
        assert "Truncation error" in str(error), error
        return "-"
    return [encoding.ids, encoding.type_ids]


def write_pairs(tokenizers, texts):
    with open(HERE / "byte_bpe_pairs.golden.jsonl", "w", encoding="utf-8") as out:
        for left, right in zip(texts[:60:2], texts[1:60:2]):
            for strategy, max_tokens in (("longest_first", 4), ("longest_first", 9), ("longest_first", 512),
                                         ("only_first", 24), ("only_second", 24)):
                row = {"left": left, "right": right, "strategy": strategy, "max_tokens": max_tokens}
                row.update({name: cut_pair(t, left, right, strategy, max_tokens) for name, t in tokenizers.items()})
                out.write(json.dumps(row, separators=(",", ":")) + "\n")


def sha256(parts):
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_characters():
    split, compose = pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC()
    lengths = lambda text: " ".join(str(end - begin) for _, (begin, end) in split.pre_tokenize_str(text))
    with open(HERE / "byte_bpe_characters.golden.txt", "w") as out:
        out.write("# of each 32,768 code points, SHA-256 of a line for each: the lengths (in characters) of the words\n"
                  "# of x?1?!? ??, and form C of e??, U+0323 and U+0301\n")
        for _, group in itertools.groupby(CODE_POINTS, key=lambda c: c // BLOCK):
            block = [chr(c) for c in group]
            out.write(f"{ord(block[0]):06X} words {sha256(lengths(f'x{c}1{c}!{c} {c}{c}') for c in block)}\n")
            composed = (compose.normalize_str(f"e{c}{c}\u0323\u0301") for c in block)
            out.write(f"{ord(block[0]):06X} composed {sha256(composed)}\n")


def main():
    texts = TEXTS + read_torture()
    tokenizers = dict(make_tokenizers(texts))
    write_files_of_roberta(tokenizers["roberta"])
    write_texts(tokenizers, texts)
    write_pairs(tokenizers, texts)
    write_characters()


if __name__ == "__main__":
    main()
