"""A BERT of two layers with random weights, as a Hugging Face folder with one pair task: it answers nonsense at the speed of a small model.

The tokenizer is that of a real backbone, so that the text costs what real text costs.
"""
import array
import json
import random
import shutil
import struct

LAYERS, HIDDEN, HEADS, INNER, POSITIONS = 2, 32, 1, 64, 128


def tensor_shapes(vocabulary):
    """(name, shape, standard deviation, mean)"""
    spread = HIDDEN**-0.5
    for name, size in (("word", vocabulary), ("position", POSITIONS), ("token_type", 2)):
        yield f"embeddings.{name}_embeddings.weight", [size, HIDDEN], 0.5, 0.0
    norms, linears = ["embeddings.LayerNorm"], []
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
        linears += [(f"{at}.attention.{part}", HIDDEN, HIDDEN) for part in ("self.query", "self.key", "self.value", "output.dense")]
        linears += [(f"{at}.intermediate.dense", INNER, HIDDEN), (f"{at}.output.dense", HIDDEN, INNER)]
    for name in norms:
        yield f"{name}.weight", [HIDDEN], 0.1, 1.0
        yield f"{name}.bias", [HIDDEN], 0.1, 0.0
    for name, rows, columns in linears:
        yield f"{name}.weight", [rows, columns], spread, 0.0
        yield f"{name}.bias", [rows], 0.1, 0.0


def write_safetensors(path, shapes, seed=1):
    generator, header, at, data = random.Random(seed), {}, 0, []
    for name, shape, spread, mean in shapes:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        data.append(array.array("f", (generator.gauss(mean, spread) for _ in range(count))).tobytes())
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def make(folder, backbone):
    """Writes the folder; `backbone`: where tokenizer.json and vocab.txt lie."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(backbone / name, folder / name)
    vocabulary = len((folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    config = {"model_type": "bert", "architectures": ["BertModel"], "vocab_size": vocabulary, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
              "num_attention_heads": HEADS, "intermediate_size": INNER, "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
              "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0}
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", tensor_shapes(vocabulary))
    write_safetensors(folder / "heads.safetensors", [("duplicate.weight", [1, HIDDEN], 1.0, 0.0), ("duplicate.bias", [1], 0.1, 0.0)], seed=2)
    task = {"name": "duplicate", "kind": "binary", "input": "pair", "pooling": "mean", "labels": ["duplicate"], "threshold": 0.0,
            "max_tokens": POSITIONS, "truncation": "longest_first",
            "template": {"fields": [["title", ""], ["brand", ""], ["price", ""]], "separator": " "}}
    (folder / "tasks.json").write_text(json.dumps({"tasks": [task]}))
