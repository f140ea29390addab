"""A tiny random BERT with its own vocabulary, and small data sets, made on the spot."""
import json
import random

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

BRANDS = ["acme", "bolt", "corex", "delta", "ember"]
THINGS = ["mouse", "cable", "lamp", "phone", "router", "screen"]
WORDS = BRANDS + THINGS + ["red", "blue", "big", "small", "col", "val", "title", "price", "where", "is", "my", "the", "buy", "return", "please"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS + list("0123456789") + ["##" + d for d in "0123456789"]


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backbone")
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64,
                        max_position_embeddings=64, initializer_range=0.2)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    write_tokenizer(folder, VOCABULARY)
    return folder


def write_tokenizer(folder, vocabulary):
    ids = {word: i for i, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pair_rows(count, seed, label):
    """A row is a duplicate where brand and thing are equal; label(is duplicate, price) -> its label."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        left = rng.choice(BRANDS), rng.choice(THINGS)
        right = left if i % 2 else (rng.choice(BRANDS), rng.choice(THINGS))
        price = rng.randint(1, 99)
        rows.append({"left": {"title": " ".join(left), "price": price}, "right": {"title": f"{right[1]} {right[0]}", "price": None},
                     "label": label(left == right, price)})
    return rows


def text_rows(count, seed, label):
    """label(thing's index, brand's index) -> the row's label."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        thing, brand = rng.randrange(3), rng.randrange(3)
        rows.append({"text": f"where is the {THINGS[thing]} {BRANDS[brand]} {rng.choice(WORDS)}", "label": label(thing, brand)})
    return rows


FAMILIES = {
    "duplicate": ("binary", "pair", lambda same, price: int(same)),
    "relation": ("multiclass", "pair", lambda same, price: "same" if same else "other"),
    "distance": ("regression", "pair", lambda same, price: 0.0 if same else 1.5),
    "intent": ("multiclass", "text", lambda thing, brand: THINGS[thing]),
    "topics": ("multilabel", "text", lambda thing, brand: [THINGS[thing], BRANDS[brand]]),
    "rank": ("regression", "text", lambda thing, brand: thing - 0.5 * brand),
}


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """TASK.train.jsonl, TASK.valid.jsonl of every kind, and rows out of scope."""
    folder = tmp_path_factory.mktemp("data")
    for name, (_, shape, label) in FAMILIES.items():
        make = pair_rows if shape == "pair" else text_rows
        write_rows(folder / f"{name}.train.jsonl", make(96, 1, label))
        write_rows(folder / f"{name}.valid.jsonl", make(48, 2, label))
        write_rows(folder / f"{name}.test.jsonl", make(32, 3, label))
    write_rows(folder / "outside.jsonl", [{"text": f"please return {word}"} for word in WORDS])
    return folder


TEMPLATE = 'template = {fields = [["title", "COL title VAL "], ["price", "COL price VAL "]], separator = " "}\n'


def task_toml(name, extra=""):
    kind, shape, _ = FAMILIES[name]
    text = f'[[tasks]]\nname = "{name}"\nkind = "{kind}"\ninput = "{shape}"\ntrain = ["{name}.train.jsonl"]\nvalid = ["{name}.valid.jsonl"]\ntest = ["{name}.test.jsonl"]\nmax_tokens = 32\nbatch_size = 16\n'
    return text + (TEMPLATE if shape == "pair" else "") + extra


def recipe_toml(backbone, tasks, training="", more=""):
    return f'{more}\n[backbone]\nfolder = "{backbone}"\n[training]\nepochs = 2\nlearning_rate = 5e-3\n{training}\n' + "\n".join(tasks)


@pytest.fixture
def write_recipe(tmp_path, backbone):
    """(tasks, training=..., more=...) -> the path of a recipe."""

    def write(tasks, training="", more=""):
        path = tmp_path / "recipe.toml"
        path.write_text(recipe_toml(backbone, tasks, training, more))
        return path

    return write
