#!/usr/bin/env python3
"""Writes decoded.golden.jsonl: token ids and the text that Hugging Face `tokenizers` makes of them (WordPiece with clean-up).

    python make_decoded.py

Each line: {"ids": [...], "text": with special tokens, "plain": without them}. decoder/tokenizer.json is the tokenizer: its
vocabulary has what the clean-up looks for, alone and inside of tokens.
"""
import json
import pathlib
import random

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

HERE = pathlib.Path(__file__).resolve().parent
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["play", "the", "fox", "42", "é", "中", "do", "not", "n't", "'", "'m", "'s", "'ve", "'re", ".", "?", "!", ",", "-", "#", "###",
         "##ing", "##s", "##.", "##'", "##n't", "##é", "##", "a .b", "x ,", "do not", "we do not", "it 's", "' ' '", " .", "  !", "o ' clock"]


def main():
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(SPECIAL + WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                                                             special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    (HERE / "decoder").mkdir(exist_ok=True)
    tokenizer.save(str(HERE / "decoder" / "tokenizer.json"))

    random.seed(5)
    size = len(SPECIAL + WORDS)
    cases = [[]] + [[i] for i in range(size)] + [[5, i, 6] for i in range(size)]
    cases += [[random.randrange(size) for _ in range(random.randrange(2, 20))] for _ in range(200)]
    with open(HERE / "decoded.golden.jsonl", "w", encoding="utf-8") as file:
        for ids in cases:
            row = {"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
                   "plain": tokenizer.decode(ids, skip_special_tokens=True)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
