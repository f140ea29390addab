#!/usr/bin/env python3
"""Makes the tiny checkpoints beside this script and golden.json: what PyTorch computes from them.

    python make.py            # needs torch, transformers, peft, safetensors

The weights are random (seeded), but large enough that every tensor moves the outputs. golden.json holds, for each case, the
folder, the task as tilewise names it, and rows: the input as a row of tilewise, its token ids and types, whether the text
was cut, and the fp32 logits (or the embedding).
"""
import json
import pathlib
import shutil

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast,
                          CamembertConfig, CamembertForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification, ElectraConfig,
                          ElectraForSequenceClassification, ModernBertConfig, ModernBertForSequenceClassification,
                          ModernBertModel, MPNetConfig, MPNetForSequenceClassification, RobertaConfig,
                          RobertaForSequenceClassification, XLMRobertaConfig, XLMRobertaForSequenceClassification)

import tiny_tokenizers

HERE = pathlib.Path(__file__).parent
MAX_POSITIONS = 64

WORDS = """the is my of for and with in where what how order parcel refund return size red blue black shoe shirt phone case
usb cable charger wireless steel mug pack ##ing ##ed ##er ##ette""".split()
PUNCTUATION = list("!?.,-/'\"()$%&+")
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]
DIGITS = list("0123456789")
VOCABULARY = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + PUNCTUATION + LETTERS + DIGITS
              + ["##" + c for c in LETTERS + DIGITS] + ["中"] + WORDS)

TEXTS = ["where is my parcel", "", "Refund?", "Black Café shoes, size 42", "usb-c cable (2-pack) & charger",
         "the 中文 case", "x" * 101, "ordering wireless chargers and returning the red shirt of my order in blue " * 5]
PAIRS = [("red shoe", "red shoes"), ("", "mug"), ("steel mug", ""), ("usb cable 2m", "Wireless charger, black"),
         ("a phone case for my phone with a black case and a charger of the order", "phone"),
         ("shirt", "the red shirt with the blue shoes and the black case in size xxl and a refund for the parcel order"),
         ("steel " * 40, "mug " * 40), ("steel " * 3, "mug " * 90)]
KEYBOARD = {"title": "Kestrin K78 Mechanical Keyboard, Brown Switches, US Layout", "brand": "Kestrin"}
RECORDS = [({"title": "Steel mug", "brand": "acme", "price": 12.50}, {"title": "mug, steel", "price": 12.5}),
           ({"title": "usb cable", "brand": ""}, {"brand": "abc", "title": "cable usb"}),
           ({"title": "phone case black " * 8}, {"title": "case", "brand": "the brand"}),
           ({"color": "red", "brand": "acme"}, {"title": "shirt"}),
           # The pairs of examples/cpp/score_pairs.cc.
           (KEYBOARD, {"title": "kestrin k78 75% mechanical keyboard tactile brown us", "brand": "kestrin"}),
           (KEYBOARD, {"title": "kestrin x200 wireless mouse graphite", "price": "47.50"})]
TEMPLATE = {"fields": [["title", "COL title VAL "], ["brand", "COL brand VAL "], ["price", "COL price VAL "]],
            "separator": " "}


def randomize(model, seed):
    """Weights large enough that no tensor could be swapped, transposed or left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 1 and name.endswith(("LayerNorm.weight", "norm.weight")):
                p.copy_(1 + 0.2 * noise)
            elif p.dim() == 1:
                p.copy_(0.2 * noise)
            elif "embeddings." in name:
                p.copy_(0.5 * noise)
            else:
                p.copy_(1.2 * noise / p.shape[1] ** 0.5)
    return model.eval()


def bert_config(**more):
    return BertConfig(vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                      intermediate_size=64, max_position_embeddings=MAX_POSITIONS, attn_implementation="eager", **more)


def save_tokenizer(folder, json_file=True):
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    settings = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True, "unk_token": "[UNK]",
                "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]",
                "model_max_length": MAX_POSITIONS, "tokenizer_class": "BertTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    if json_file:
        TOKENIZER.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def save(model, name, tokenizer_json=True, **options):
    folder = fresh(name)
    model.save_pretrained(folder, **options)
    save_tokenizer(folder, tokenizer_json)
    return folder


def write_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def render(content):
    if isinstance(content, str):
        return content
    pieces = [prefix + str(content[field]) for field, prefix in TEMPLATE["fields"] if content.get(field, "") != ""]
    return TEMPLATE["separator"].join(pieces)


def numbers(tensor):
    """The shortest decimals that read back as the same float32."""
    return [float(str(np.float32(v))) for v in tensor.tolist()]


def golden_rows(inputs, max_tokens, forward, tokenizer=None):
    """`forward` maps (ids [1, n], types [1, n]) to {"logits": ...} or {"embedding": ...}."""
    tokenizer = tokenizer or TOKENIZER
    rows = []
    for item in inputs:
        if isinstance(item, tuple):
            row, texts = {"left": item[0], "right": item[1]}, (render(item[0]), render(item[1]))
        else:
            row, texts = {"text": item}, (render(item),)
        # As lists of one: a single call takes an empty second text for none at all.
        lists = [[text] for text in texts]
        whole = tokenizer(*lists)
        cut = tokenizer(*lists, truncation="longest_first", max_length=max_tokens)
        types = cut.get("token_type_ids", [[0] * len(cut["input_ids"][0])])
        with torch.no_grad():
            output = forward(torch.tensor(cut["input_ids"]), torch.tensor(types))
        rows.append({"input": row, "ids": cut["input_ids"][0], "types": types[0],
                     "truncated": len(whole["input_ids"][0]) > max_tokens,
                     **{key: numbers(value) for key, value in output.items()}})
    return rows


def case(folder, task, kind, rows, backbone="", normalize=False):
    return {"folder": folder, "backbone": backbone, "task": task, "kind": kind, "normalize": normalize, "rows": rows}


def pooled(encoder, pooling, normalize=False):
    def forward(ids, types):
        hidden = encoder(input_ids=ids, token_type_ids=types).last_hidden_state[0]
        vector = hidden.mean(0) if pooling == "mean" else hidden[0]
        return {"embedding": vector / vector.norm() if normalize else vector}
    return forward


def classifier(model, types_used=True):
    def forward(ids, types):
        more = {"token_type_ids": types} if types_used else {}
        return {"logits": model(input_ids=ids, **more).logits[0]}
    return forward


def make_bert():
    model = randomize(BertModel(bert_config(), add_pooling_layer=False), 1)
    save(model, "bert")
    return [case("bert", "embedding", "embedding", golden_rows(TEXTS, MAX_POSITIONS, pooled(model, "mean")))]


def make_bert_classifier():
    labels = ["order_status", "refund", "product_search", "other"]
    model = randomize(BertForSequenceClassification(bert_config(
        id2label=dict(enumerate(labels)), label2id={l: i for i, l in enumerate(labels)})), 2)
    save(model, "bert_classifier")
    rows = golden_rows(TEXTS, MAX_POSITIONS, classifier(model))
    cases = [case("bert_classifier", "classification", "multiclass", rows)]
    save(model, "bert_sharded", max_shard_size="40KB")
    cases.append(case("bert_sharded", "classification", "multiclass", rows))
    for name, dtype in [("bert_f16", torch.float16), ("bert_bf16", torch.bfloat16)]:
        folder = fresh(name)
        shutil.copytree(HERE / "bert_classifier", folder, dirs_exist_ok=True)
        weights = load_file(folder / "model.safetensors")
        rounded = {key: value.to(dtype) for key, value in weights.items()}
        save_file(rounded, folder / "model.safetensors", metadata={"format": "pt"})
        model.load_state_dict({key: value.float() for key, value in rounded.items()})
        cases.append(case(name, "classification", "multiclass", golden_rows(TEXTS, MAX_POSITIONS, classifier(model))))
    return cases


def make_distilbert_classifier():
    # 36 and 72 are no multiples of a vector, and three heads of 12 need padding too; only vocab.txt as tokenizer.
    model = randomize(DistilBertForSequenceClassification(DistilBertConfig(
        vocab_size=len(VOCABULARY), dim=36, n_layers=2, n_heads=3, hidden_dim=72, max_position_embeddings=MAX_POSITIONS,
        problem_type="multi_label_classification", id2label={0: "clothing", 1: "electronics", 2: "kitchen"},
        label2id={"clothing": 0, "electronics": 1, "kitchen": 2}, attn_implementation="eager")), 3)
    save(model, "distilbert_classifier", tokenizer_json=False)
    return [case("distilbert_classifier", "classification", "multilabel",
                 golden_rows(TEXTS, MAX_POSITIONS, classifier(model, types_used=False)))]


# Sizes of the families below: 36 and 44 are no multiples of a vector, nor are three heads of 12.
SMALL = {"hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 44, "attn_implementation": "eager"}
LABELS = {"id2label": {0: "order", 1: "refund", 2: "search"}, "label2id": {"order": 0, "refund": 1, "search": 2}}
LONG = TEXTS[-1] * 3


def save_with(model, tokenizer, name):
    folder = fresh(name)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_electra():
    """Embeddings narrower than the layers."""
    model = randomize(ElectraForSequenceClassification(ElectraConfig(
        vocab_size=len(VOCABULARY), embedding_size=20, num_hidden_layers=2, max_position_embeddings=MAX_POSITIONS, **SMALL, **LABELS)), 8)
    save(model, "electra_classifier")
    return [case("electra_classifier", "classification", "multiclass", golden_rows(TEXTS, MAX_POSITIONS, classifier(model)))]


def make_roberta():
    """Byte pairs; positions behind the padding's; one token type."""
    tokenizer = tiny_tokenizers.roberta(TEXTS, MAX_POSITIONS)
    model = randomize(RobertaForSequenceClassification(RobertaConfig(
        vocab_size=len(tokenizer), num_hidden_layers=2, max_position_embeddings=MAX_POSITIONS + 2, type_vocab_size=1,
        layer_norm_eps=1e-5, **SMALL, **LABELS)), 9)
    save_with(model, tokenizer, "roberta_classifier")
    return [case("roberta_classifier", "classification", "multiclass",
                 golden_rows(TEXTS, MAX_POSITIONS, classifier(model, types_used=False), tokenizer))]


def make_xlm_roberta():
    """A cross-encoder on Unigram pieces."""
    tokenizer = tiny_tokenizers.xlm_roberta(TEXTS, MAX_POSITIONS)
    model = randomize(XLMRobertaForSequenceClassification(XLMRobertaConfig(
        vocab_size=len(tokenizer), num_hidden_layers=2, max_position_embeddings=MAX_POSITIONS + 2, type_vocab_size=1,
        layer_norm_eps=1e-5, num_labels=1, **SMALL)), 10)
    folder = save_with(model, tokenizer, "xlm_roberta_cross_encoder")
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.1.0"}
    write_json(folder / "config.json", config)
    return [case("xlm_roberta_cross_encoder", "classification", "binary",
                 golden_rows(PAIRS, MAX_POSITIONS, classifier(model, types_used=False), tokenizer))]


def make_camembert():
    """RoBERTa under another name; two token types, which its tokenizer gives; one head of 32, as the tiles take it."""
    tokenizer = tiny_tokenizers.two_types(TEXTS, MAX_POSITIONS)
    sizes = {**SMALL, "hidden_size": 64, "num_attention_heads": 2}
    model = randomize(CamembertForSequenceClassification(CamembertConfig(
        vocab_size=len(tokenizer), num_hidden_layers=2, max_position_embeddings=MAX_POSITIONS + 2, type_vocab_size=2,
        layer_norm_eps=1e-5, num_labels=1, **sizes)), 14)
    save_with(model, tokenizer, "camembert_pairs")
    task = {"name": "same", "kind": "binary", "input": "pair", "labels": ["same"]}
    write_json(HERE / "camembert_pairs" / "tasks.json", {"tasks": [task]})
    return [case("camembert_pairs", "same", "binary", golden_rows(PAIRS, MAX_POSITIONS, classifier(model), tokenizer))]


def make_mpnet():
    """Texts beyond the distance from which on relative positions are all the same, 128."""
    longest = 180
    tokenizer = tiny_tokenizers.mpnet(VOCABULARY[5:], longest)
    model = randomize(MPNetForSequenceClassification(MPNetConfig(
        vocab_size=len(tokenizer), num_hidden_layers=2, max_position_embeddings=longest + 2, **SMALL, **LABELS)), 11)
    save_with(model, tokenizer, "mpnet_classifier")
    return [case("mpnet_classifier", "classification", "multiclass",
                 golden_rows(TEXTS + [LONG], longest, classifier(model, types_used=False), tokenizer))]


def make_modernbert():
    """Layers 0 and 3 attend to all tokens, 1 and 2 to eight on each side; and an adapter on the fused layers of that encoder."""
    longest = 160
    tokenizer = tiny_tokenizers.modernbert(TEXTS, longest)
    model = randomize(ModernBertForSequenceClassification(ModernBertConfig(
        vocab_size=len(tokenizer), num_hidden_layers=4, max_position_embeddings=longest, local_attention=16, classifier_pooling="mean",
        pad_token_id=tokenizer.pad_token_id, cls_token_id=tokenizer.cls_token_id, sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id, eos_token_id=tokenizer.sep_token_id, **SMALL, **LABELS)), 12)
    folder = save_with(model, tokenizer, "modernbert_classifier")
    cases = [case("modernbert_classifier", "classification", "multiclass",
                  golden_rows(TEXTS + [LONG], longest, classifier(model, types_used=False), tokenizer))]

    encoder = ModernBertModel.from_pretrained(folder, attn_implementation="eager")
    adapted = save_adapter(encoder, "modernbert_lora", ["Wqkv", "Wi", "Wo"], torch.Generator().manual_seed(13))
    tasks = [{"name": "vector", "kind": "embedding", "input": "pair", "pooling": "cls", "normalize": True, "max_tokens": 100}]
    write_json(HERE / "modernbert_lora" / "tasks.json", {"tasks": tasks})

    def forward(ids, types):
        vector = adapted(input_ids=ids).last_hidden_state[0][0]
        return {"embedding": vector / vector.norm()}
    cases.append(case("modernbert_lora", "vector", "embedding", golden_rows(PAIRS, 100, forward, tokenizer),
                      backbone="modernbert_classifier", normalize=True))
    return cases


def make_sentence_transformer():
    model = randomize(BertModel(bert_config(), add_pooling_layer=True), 4)
    folder = save(model, "sentence_transformer")
    write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    write_json(folder / "1_Pooling" / "config.json", {
        "word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    return [case("sentence_transformer", "embedding", "embedding", golden_rows(TEXTS, 48, pooled(model, "mean", True)),
                 normalize=True)]


def make_cross_encoder():
    model = randomize(BertForSequenceClassification(bert_config(num_labels=1)), 5)
    folder = save(model, "cross_encoder")
    config = json.loads((folder / "config.json").read_text())
    config["sentence_transformers"] = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "5.1.0"}
    write_json(folder / "config.json", config)
    return [case("cross_encoder", "classification", "binary", golden_rows(PAIRS, MAX_POSITIONS, classifier(model)))]


def save_adapter(encoder, name, targets, generator):
    """A random LoRA on the encoder, saved into a fresh folder; returns the adapted model."""
    folder = fresh(name)
    torch.manual_seed(6)
    model = get_peft_model(encoder, LoraConfig(r=4, lora_alpha=6, target_modules=targets, task_type="FEATURE_EXTRACTION"))
    with torch.no_grad():
        for parameter, p in model.named_parameters():
            if "lora_" in parameter:
                p.copy_(0.25 * torch.randn(p.shape, generator=generator))
    model.eval().save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    adapter = json.loads((folder / "adapter_config.json").read_text())
    adapter["base_model_name_or_path"] = "tiny-" + encoder.config.model_type
    adapter["target_modules"] = sorted(adapter["target_modules"])
    write_json(folder / "adapter_config.json", adapter)
    return model


def make_multi_task():
    """A PEFT adapter and five tasks on the backbone in bert/."""
    encoder = BertModel.from_pretrained(HERE / "bert", add_pooling_layer=False, attn_implementation="eager")
    generator = torch.Generator().manual_seed(7)
    model = save_adapter(encoder, "multi_task", ["query", "key", "value", "dense"], generator)
    folder = HERE / "multi_task"

    intents = ["order_status", "refund", "product_search", "small_talk", "other"]
    tags = ["urgent", "polite", "question"]
    common = {"truncation": "longest_first", "max_tokens": 40}
    tasks = [
        {"name": "duplicate", "kind": "binary", "input": "pair", "pooling": "mean", "labels": ["duplicate"],
         "threshold": -0.68, "template": TEMPLATE, **common},
        {"name": "intent", "kind": "multiclass", "input": "text", "pooling": "mean", "labels": intents,
         "temperature": 1.5, "out_of_scope": {"score": "logsumexp", "below": 1.5}, **common},
        {"name": "tags", "kind": "multilabel", "input": "text", "pooling": "cls", "labels": tags, "threshold": 0.25, **common},
        {"name": "urgency", "kind": "regression", "input": "text", "pooling": "mean", **common},
        {"name": "vector", "kind": "embedding", "input": "text", "pooling": "cls", "normalize": True, **common}]
    outputs = {"duplicate": 1, "intent": len(intents), "tags": len(tags), "urgency": 1}
    heads = {}
    for task, n in outputs.items():
        heads[task + ".weight"] = torch.randn(n, 32, generator=generator) / 4
        heads[task + ".bias"] = torch.randn(n, generator=generator) / 4
    save_file(heads, folder / "heads.safetensors")
    write_json(folder / "tasks.json", {"backbone": {"sha256": sha256(HERE / "bert" / "model.safetensors")}, "tasks": tasks})

    cases = []
    for task in tasks:
        vector = pooled(model, task["pooling"], task.get("normalize", False))
        def forward(ids, types, name=task["name"], vector=vector):
            if name not in outputs:
                return vector(ids, types)
            return {"logits": heads[name + ".weight"] @ vector(ids, types)["embedding"] + heads[name + ".bias"]}
        inputs = PAIRS + RECORDS if task["input"] == "pair" else TEXTS
        cases.append(case("multi_task", task["name"], task["kind"], golden_rows(inputs, task["max_tokens"], forward),
                          backbone="bert", normalize=task.get("normalize", False)))
    return cases


def sha256(path):
    import hashlib
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main():
    global TOKENIZER
    torch.set_num_threads(1)
    vocabulary = HERE / "vocab.txt"
    vocabulary.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    TOKENIZER = BertTokenizerFast(vocab=str(vocabulary), do_lower_case=True)
    vocabulary.unlink()
    assert len(set(VOCABULARY)) == len(VOCABULARY) == TOKENIZER.vocab_size
    cases = (make_bert() + make_bert_classifier() + make_distilbert_classifier() + make_sentence_transformer()
             + make_cross_encoder() + make_multi_task() + make_electra() + make_roberta() + make_xlm_roberta() + make_mpnet()
             + make_modernbert() + make_camembert())
    lines = [json.dumps(c, ensure_ascii=False) for c in cases]
    (HERE / "golden.json").write_text(f'{{"torch": "{torch.__version__}",\n "cases": [\n' + ",\n".join(lines) + "]}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
