"""Tokenizers of the families, trained on the spot on a few texts: byte BPE, Unigram, and WordPiece in RoBERTa's frame."""
import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import MPNetTokenizer, PreTrainedTokenizerFast, RobertaTokenizer, XLMRobertaTokenizer

SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_pairs(texts, specials, merges):
    """A tokenizer of byte pairs: the special tokens, 256 bytes, and so many merges."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=len(specials) + 256 + merges, special_tokens=specials, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def roberta(texts, longest):
    model = json.loads(byte_pairs(texts, SPECIALS, 40).to_str())["model"]
    return RobertaTokenizer(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], model_max_length=longest)


def two_types(texts, longest):
    """RoBERTa's frame, whose second text has the second type."""
    tokenizer = byte_pairs(texts, SPECIALS, 40)
    special = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B:1 </s>:1", special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
                                   cls_token="<s>", sep_token="</s>", pad_token="<pad>", mask_token="<mask>",
                                   model_input_names=["input_ids", "token_type_ids", "attention_mask"])


def xlm_roberta(texts, longest):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(texts, trainers.UnigramTrainer(vocab_size=200, special_tokens=SPECIALS, unk_token="<unk>",
                                                                 show_progress=False))
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    return XLMRobertaTokenizer(vocab=[tuple(piece) for piece in vocabulary], model_max_length=longest)


def mpnet(words, longest):
    """`words`: BERT's vocabulary without its special tokens."""
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *words, "[UNK]", "<mask>"]
    return MPNetTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}, model_max_length=longest)


def modernbert(texts, longest):
    tokenizer = byte_pairs(texts, ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"], 40)
    tokenizer.normalizer = normalizers.NFC()
    special = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=longest, unk_token="[UNK]", cls_token="[CLS]",
                                   sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]",
                                   model_input_names=["input_ids", "attention_mask"])
