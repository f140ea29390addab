#!/usr/bin/env python3
"""Compares the ids of random texts with Hugging Face `tokenizers`, under random byte BPE tokenizers.

    python tests/text/byte_bpe_random_torch.py build/release/tilewise [SEED [ROUNDS [TEXTS]]]

Each round trains another vocabulary on texts of its own and changes what its file says: form C, a blank before the
text, bytes without a token, tokens that no merge makes, merges in another order, both spellings of merges, and added
tokens with random flags. Pairs are framed and cut too. Exits with 1 at any difference.
"""
import json
import pathlib
import random
import sys
import tempfile

from tokenizer_dump import count_differences, dump, numbers, program_beside
from tokenizer_random_torch import expected_ids, random_flag, random_text
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
# No two of these are the same in form C: `tokenizers` takes any of them then, another one each time.
ADDED = ["   ", "  ", "\t", "\n\n", "Foo", "the", "e\u0301", "'s", " x", "\u4e2d\u56fd", "\u0301", "|a|", "\uac00"]
# What the expression, form C and long words depend on.
PIECES = [
    "'s", "'re", "'ll", "'", "''", "  ", "   ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", " ", " ", "12",
    "\u00b2", "\u2167", "the", "The", " the", "e\u0301", "\u00e9", "\u0323", "\u0301\u0323", "\u212b", "\u0344",
    "\uac00\u11a8", "\u1100\u1161", "\u11a8", "!", "...", "a" * 60, "ab" * 40, "<mask>", "\U0001f600",
    "\u0915\u093c", "\u0958", "\u1e0a\u0323", "\u01d5", "u\u0308\u0304", "\U00011935\U00011930",
    "\U00011131\U00011127", *ADDED,
]


def text_of_pieces():
    return "".join(random.choice(PIECES) for _ in range(random.randint(0, 25)))


def any_text():
    return random_text() if random_flag() else text_of_pieces()


def train():
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    if random_flag():
        alphabet = random.sample(alphabet, 200)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=random_flag())
    tokenizer.normalizer = normalizers.NFC() if random_flag() else None
    trainer = trainers.BpeTrainer(vocab_size=random.choice([300, 600, 2000]), min_frequency=1, special_tokens=SPECIAL,
                                  initial_alphabet=alphabet, limit_alphabet=len(alphabet), show_progress=False)
    tokenizer.train_from_iterator([any_text() for _ in range(300)], trainer)
    return json.loads(tokenizer.to_str())


def change_model(model):
    merges = model["merges"]
    if random_flag():
        random.shuffle(merges)  # tokens that their own merges no longer make
    if merges and random_flag():
        merges.append(random.choice(merges))
    if random_flag():
        model["merges"] = [" ".join(merge) for merge in merges]
    model.update(ignore_merges=random_flag(), fuse_unk=random_flag(), unk_token=random.choice([None, "<unk>"]))


def add_tokens(document):
    vocabulary = document["model"]["vocab"]
    next_id = len(vocabulary)
    for content in random.sample(ADDED, random.randint(0, len(ADDED))):
        known = vocabulary.get(content)
        flags = {name: random_flag() for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
        document["added_tokens"].append(dict(id=next_id if known is None else known, content=content, **flags))
        next_id += known is None


def random_processor(vocabulary):
    ids = {token: vocabulary[token] for token in ("<s>", "</s>")}
    if random_flag():
        return {"type": "RobertaProcessing", "sep": ["</s>", ids["</s>"]], "cls": ["<s>", ids["<s>"]],
                "trim_offsets": True, "add_prefix_space": False}
    kind = random.choice([0, 1])
    special = lambda token, side: {"SpecialToken": {"id": token, "type_id": side}}
    single = [special("<s>", 0), {"Sequence": {"id": "A", "type_id": 0}}, special("</s>", 0)]
    second = [{"Sequence": {"id": "B", "type_id": kind}}, special("</s>", kind)]
    pair = single + [special("</s>", 0)] * random.choice([0, 1]) + second
    return {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in ids.items()}}


def random_document():
    document = train()
    change_model(document["model"])
    add_tokens(document)
    document["post_processor"] = random_processor(document["model"]["vocab"])
    return document


def expected_pair(tokenizer, left, right):
    try:
        encoding = tokenizer.encode(left, right)
    except BaseException as error:
        return None if "PanicException" in type(error).__name__ else "error"
    return numbers(encoding.ids) + " | " + numbers(encoding.type_ids)


def compare_texts(name, program, folder, tokenizer, texts):
    rows = [(text, expected_ids(tokenizer, text)) for text in texts]
    texts, expected = zip(*(row for row in rows if row[1] is not None))
    return count_differences(name, texts, dump(program, folder, [text.encode() for text in texts]), expected)


def compare_pairs(name, program, folder, tokenizer, texts):
    strategy, max_tokens = random.choice(["longest_first", "only_first", "only_second"]), random.choice([4, 5, 9, 30])
    tokenizer.enable_truncation(max_tokens, strategy=strategy)
    rows = [(pair, expected_pair(tokenizer, *pair)) for pair in zip(texts[::2], texts[1::2])]
    pairs, expected = zip(*(row for row in rows if row[1] is not None))
    flat = [side.encode() for pair in pairs for side in pair]
    found = dump(program, folder, flat, "--pairs", strategy, str(max_tokens))
    return count_differences(f"{name} {strategy} {max_tokens}", pairs, found, expected)


def main():
    program = program_beside(sys.argv[1])
    random.seed(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    wrong = 0
    for number in range(rounds):
        document = random_document()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "tokenizer.json"
            path.write_text(json.dumps(document), "utf-8")
            tokenizer = Tokenizer.from_file(str(path))
            texts = [any_text() for _ in range(count)]
            differences = compare_texts(f"round {number}", program, folder, tokenizer, texts)
            differences += compare_pairs(f"round {number}", program, folder, tokenizer, texts)
        if differences:
            shown = {key: document[key] for key in ("added_tokens", "normalizer", "pre_tokenizer", "post_processor")}
            shown["model"] = {key: value for key, value in document["model"].items() if key not in ("vocab", "merges")}
            print(json.dumps(shown), file=sys.stderr)
        wrong += differences
    print(f"{rounds * count} random texts and {rounds * count // 2} pairs, {wrong} differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
