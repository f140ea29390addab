"""Writes one task of a checkpoint in every peer's own form, its rows as token ids, and PyTorch's fp32 logits of some rows.

  export_models.py SPEC: a JSON object {"checkpoint", "backbone", "task", "rows", "calibration", "checked", "peers", "folder"}

Into folder: encoder/ (Hugging Face, adapter merged) and head.npz, onnx.onnx and onnx.int8.onnx (fused; dynamic quantisation),
openvino.xml and openvino.int8.xml (NNCF, calibrated), ctranslate2/ and ctranslate2.int8/, rows.jsonl ({"ids", "types", "sides"}),
reference.json (logits of the rows whose numbers `checked` lists, one at a time, unpadded). What is there already stays; base_model()
makes a checkpoint of the shape of BERT-base with random weights.
"""
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "parity"))
from reference import merged_encoder, render  # noqa: E402

NAMES = ("input_ids", "attention_mask", "token_type_ids")


class WithHead(torch.nn.Module):
    """Encoder, mean over the real tokens, one linear head: what tilewise computes, over a padded batch."""

    def __init__(self, encoder, weight, bias):
        super().__init__()
        self.encoder, self.weight, self.bias = encoder, torch.nn.Parameter(weight), torch.nn.Parameter(bias)

    def forward(self, input_ids, attention_mask, token_type_ids):
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1) @ self.weight.T + self.bias


class Rows:
    """Rows of a data set as token ids, with the tokenizer and the template of a task."""

    def __init__(self, task, backbone):
        self.task = task
        self.tokenizer = Tokenizer.from_file(str(backbone / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(task["max_tokens"], strategy=task.get("truncation", "longest_first"))

    def encode(self, row):
        sides = [row["text"]] if self.task["input"] == "text" else [render(self.task, row["left"]), render(self.task, row["right"])]
        encoding = self.tokenizer.encode(*sides)
        return {"ids": encoding.ids, "types": encoding.type_ids, "sides": sides}


def inputs_of(rows, tensor):
    """Rows -> the model's three inputs for a batch of one, for each row."""
    for row in rows:
        yield {"input_ids": tensor([row["ids"]]), "attention_mask": tensor([[1] * len(row["ids"])]), "token_type_ids": tensor([row["types"]])}


def write_torch(model, backbone, max_tokens, folder):
    model.encoder.save_pretrained(folder / "encoder")
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(backbone / "tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
                                        sep_token="[SEP]", mask_token="[MASK]", model_input_names=list(NAMES))
    tokenizer.save_pretrained(folder / "encoder")
    (folder / "max_tokens.txt").write_text(str(max_tokens))


def write_onnx(model, folder):
    """The exporter and attention implementation whose graph the optimizer fuses wholly; fails when it did not."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer

    model.encoder.set_attn_implementation("eager")
    config, plain = model.encoder.config, folder / "plain.onnx"
    example = tuple(torch.ones(2, 8, dtype=torch.int64) for _ in NAMES)
    torch.onnx.export(model, example, str(plain), input_names=list(NAMES), output_names=["logits"], opset_version=17, dynamo=False,
                      dynamic_axes={name: {0: "batch", 1: "length"} for name in NAMES})
    fused = optimizer.optimize_model(str(plain), model_type="bert", num_heads=config.num_attention_heads, hidden_size=config.hidden_size, opt_level=0)
    counts = fused.get_fused_operator_statistics()
    if counts["Attention"] != config.num_hidden_layers or counts["EmbedLayerNormalization"] != 1:
        sys.exit(f"ONNX Runtime's optimizer did not fuse the whole graph: {counts}")
    fused.save_model_to_file(str(folder / "onnx.onnx"))
    quantize_dynamic(folder / "onnx.onnx", folder / "onnx.int8.onnx", weight_type=QuantType.QInt8, per_channel=True,
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})  # what fused operators give, shape inference does not know
    plain.unlink()


def write_openvino(model, calibration, folder):
    import nncf
    import openvino

    model.encoder.set_attn_implementation("sdpa")  # OpenVINO fuses it; as fast as "eager" or faster
    example = {name: torch.ones(2, 8, dtype=torch.int64) for name in NAMES}
    converted = openvino.convert_model(model, example_input=example)
    converted.reshape({name: [-1, -1] for name in NAMES})
    openvino.save_model(converted, folder / "openvino.xml", compress_to_fp16=False)
    examples = nncf.Dataset(list(inputs_of(calibration, lambda values: np.array(values, np.int64))))
    quantised = nncf.quantize(converted, examples, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(calibration))
    openvino.save_model(quantised, folder / "openvino.int8.xml", compress_to_fp16=False)


def write_ctranslate2(folder):
    from ctranslate2.converters import TransformersConverter

    for name, quantization in (("ctranslate2", None), ("ctranslate2.int8", "int8")):
        TransformersConverter(str(folder / "encoder")).convert(str(folder / name), quantization=quantization, force=True)


def load_encoder(checkpoint, backbone):
    if (checkpoint / "adapter_config.json").exists():
        return merged_encoder(checkpoint, backbone).eval()
    return BertModel.from_pretrained(backbone, add_pooling_layer=False, attn_implementation="eager").eval()


def base_model(folder, example, backbone):
    """BERT-base in shape, random weights; the example's tasks with random heads."""
    torch.manual_seed(20260101)
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(BertConfig(position_embedding_type="absolute"), add_pooling_layer=False).save_pretrained(folder / "backbone")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        if (backbone / name).exists():
            shutil.copy(backbone / name, folder / "backbone" / name)
    tasks = json.loads((example / "tasks.json").read_text())["tasks"]
    heads = load_file(example / "heads.safetensors")
    save_file({name: torch.randn(*(size if i == 0 else 768 for i, size in enumerate(head.shape))) * 0.5 if name.endswith("weight") else head
               for name, head in heads.items()}, folder / "heads.safetensors")
    (folder / "tasks.json").write_text(json.dumps({"tasks": tasks}))


def export(spec):
    checkpoint, backbone, folder = (pathlib.Path(spec[key]) for key in ("checkpoint", "backbone", "folder"))
    folder.mkdir(parents=True, exist_ok=True)
    task = next(task for task in json.loads((checkpoint / "tasks.json").read_text())["tasks"] if task["name"] == spec["task"])
    encode = Rows(task, backbone).encode
    rows = [encode(row) for row in spec["rows"]]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    heads = load_file(checkpoint / "heads.safetensors")
    model = WithHead(load_encoder(checkpoint, backbone), heads[spec["task"] + ".weight"], heads[spec["task"] + ".bias"]).eval()
    with torch.inference_mode():
        checked = [model(**one)[0].tolist() for one in inputs_of((rows[i] for i in spec["checked"]), torch.tensor)]
    (folder / "reference.json").write_text(json.dumps(checked))
    if not (folder / "encoder").exists():
        write_torch(model, backbone, task["max_tokens"], folder)
        np.savez(folder / "head.npz", weight=model.weight.detach().numpy(), bias=model.bias.detach().numpy())
    if "onnxruntime" in spec["peers"] and not (folder / "onnx.int8.onnx").exists():
        write_onnx(model, folder)
    if "openvino" in spec["peers"] and not (folder / "openvino.int8.xml").exists():
        write_openvino(model, [encode(row) for row in spec["calibration"]], folder)
    if "ctranslate2" in spec["peers"] and not (folder / "ctranslate2.int8").exists():
        write_ctranslate2(folder)


def main():
    torch.set_num_threads(1)
    spec = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    if spec.get("base_model"):
        base_model(*(pathlib.Path(path) for path in spec["base_model"]))
    else:
        export(spec)


if __name__ == "__main__":
    main()
