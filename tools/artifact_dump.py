#!/usr/bin/env python3
"""Reads an artifact by the letter of src/artifact/FORMAT.md and nothing else, and prints what it holds.

    artifact_dump.py FILE            header, metadata, tensors; every rule of the format is checked
    artifact_dump.py FILE --tensor T the values of one tensor as JSON rows, unpacked

It shares no code with tilewise, so the tests use it to check what the compiler writes.
"""

import argparse
import json
import struct
import sys

from xxh3 import xxh3_64

MAGIC = bytes.fromhex("8954574d0d0a1a0a")
TYPES = {1: ("f32", 4), 2: ("bf16", 2), 3: ("bytes", 1), 4: ("s8", 1), 5: ("s32", 4)}
NEW_IN_2 = ("s8", "s32")
LAYOUTS = {1: "rows", 2: "panels"}
# What an encoder of an older version is.
ENCODER_OF_3 = {"embedding_size": 0, "norm_placement": "post", "gated": False, "positions": "learned", "rotary_base": 0,
                "rotary_base_local": 0, "window": 0, "global_every": 1, "relative_buckets": 0, "relative_distance": 128}


class Broken(Exception):
    """A rule of the format that the file does not keep."""


def require(condition, rule):
    if not condition:
        raise Broken(rule)


def up(value, multiple):
    return -(-value // multiple) * multiple


def parse_header(data):
    require(len(data) >= 64 and data[:8] == MAGIC, "64 bytes that begin with the magic")
    names = ("version", "tensor_count", "file_bytes", "data_offset", "metadata_bytes", "table_offset", "name_bytes", "checksum")
    header = dict(zip(names, struct.unpack_from("<IIQQQQQQ", data, 8)))
    require(header["version"] in (1, 2, 3), "version 1 to 3")
    require(header["file_bytes"] == len(data), "file_bytes is the size of the file")
    require(header["table_offset"] == up(64 + header["metadata_bytes"], 64), "the table follows the metadata")
    names_end = header["table_offset"] + 64 * header["tensor_count"] + header["name_bytes"]
    require(header["data_offset"] == up(names_end, 64), "the data follow the names")
    require(not any(data[64 + header["metadata_bytes"] : header["table_offset"]]), "zeros behind the metadata")
    require(not any(data[names_end : header["data_offset"]]), "zeros behind the names")
    checksum = xxh3_64(data[:56] + data[64 : header["data_offset"]])
    require(header["checksum"] == checksum, "the checksum of the front")
    return header


class Number(str):
    """A JSON number with the spelling that it has in the file."""


def canonical(value):
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(k)}:{canonical(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def parse_metadata(data, header):
    text = data[64 : 64 + header["metadata_bytes"]].decode("utf-8")
    spelled = json.loads(text, parse_float=Number, parse_int=Number)
    require(canonical(spelled) == text, "canonical JSON")
    metadata = json.loads(text)
    is_int8 = metadata["precision"] == "int8"
    is_3 = (any(task.get("exits") or task.get("dense_norm") for task in metadata["tasks"])
            or any(metadata["encoder"].get(key, default) != default for key, default in ENCODER_OF_3.items()))
    require(header["version"] == (3 if is_3 else 2 if is_int8 else 1), "the lowest version that can express it")
    require(all(("exits" in task) == ("dense_norm" in task) == is_3 for task in metadata["tasks"]), "exits for version 3 alone")
    require(all((key in metadata["encoder"]) == is_3 for key in ENCODER_OF_3), "keys of the encoder for version 3 alone")
    require(("linears" in metadata) == ("calibration" in metadata) == is_int8, "linears and calibration for int8 alone")
    return metadata


def size_of(type_bytes, layout, shape):
    if layout == "rows":
        count = 1
        for dimension in shape:
            count *= dimension
        return count * type_bytes
    rows, depth = shape
    return up(rows, 32) * up(depth * type_bytes, 64)


def parse_tensors(data, header):
    tensors = []
    name_at = header["table_offset"] + 64 * header["tensor_count"]
    end = header["data_offset"]
    for i in range(header["tensor_count"]):
        entry = struct.unpack_from("<QQQIIIIQQQ", data, header["table_offset"] + 64 * i)
        offset, size, checksum, name_bytes, kind, layout, rank, first, second, reserved = entry
        name = data[name_at : name_at + name_bytes].decode("utf-8")
        name_at += name_bytes
        require(kind in TYPES and layout in LAYOUTS and rank in (1, 2) and reserved == 0, f"{name}: known fields")
        require(first > 0 and (second > 0) == (rank == 2), f"{name}: shape")
        shape = [first, second][:rank]
        type_name, type_bytes = TYPES[kind]
        require(header["version"] >= 2 or type_name not in NEW_IN_2, f"{name}: a type of version 1")
        require(size == size_of(type_bytes, LAYOUTS[layout], shape), f"{name}: data_bytes")
        require(offset == up(end, 64) and offset % 64 == 0, f"{name}: data_offset")
        require(not any(data[end:offset]), f"{name}: zeros before it")
        end = offset + size
        require(xxh3_64(data[offset:end]) == checksum, f"{name}: checksum")
        tensors.append({"name": name, "type": type_name, "layout": LAYOUTS[layout], "shape": shape, "offset": offset, "bytes": size})
    require(end == header["file_bytes"], "the last tensor ends the file")
    require(len({t["name"] for t in tensors}) == len(tensors), "each name once")
    return tensors


def expected_tensors(metadata):
    """The table "Tensors" of FORMAT.md, but for the tokenizer's length."""
    encoder = {**ENCODER_OF_3, **metadata["encoder"]}
    width, inner, positions = encoder["hidden"], encoder["intermediate"], encoder["max_positions"]
    embedding = encoder["embedding_size"] or width
    is_pre, is_rotary = encoder["norm_placement"] == "pre", encoder["positions"] == "rotary"
    section = up(width, 32)
    kind = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}[metadata["precision"]]
    stored = {layer["layer"]: layer for layer in metadata.get("linears", [])}

    def linear(name, type_name, outputs, inputs):
        return [(f"{name}.weight", type_name, "panels", [outputs, inputs]), (f"{name}.bias", "f32", "rows", [up(outputs, 32)])]

    def encoder_linear(name, outputs, inputs):
        if stored.get(name, {}).get("precision") != "int8":
            return linear(name, kind, outputs, inputs)
        padded = [up(outputs, 32)]
        smooth = [(f"{name}.smooth", "f32", "rows", [up(inputs, 64)])] if stored[name]["smoothed"] else []
        return [(f"{name}.weight", "s8", "panels", [outputs, inputs]), (f"{name}.scale", "f32", "rows", padded), (f"{name}.sums", "s32", "rows", padded),
                *smooth, (f"{name}.bias", "f32", "rows", padded)]

    def norm(name, size=width):
        return [(f"{name}.gain", "f32", "rows", [size]), (f"{name}.bias", "f32", "rows", [size])]

    def rotary(name):
        return [(f"{name}.{part}", "f32", "rows", [positions, width // encoder["heads"] // 2]) for part in ("cosines", "sines")]

    result = [("embeddings.word", kind, "rows", [encoder["vocab_size"], embedding])]
    if not is_rotary:
        result.append(("embeddings.position", "f32", "rows", [positions, embedding]))
    if encoder["token_types"]:
        result.append(("embeddings.type", "f32", "rows", [encoder["token_types"], embedding]))
    result += norm("embeddings.norm", embedding)
    if encoder["embedding_size"]:
        result += linear("embeddings.projection", kind, width, embedding)
    if encoder["relative_buckets"]:
        result.append(("attention.relative_bias", "f32", "rows", [encoder["heads"], 2 * up(positions, 32)]))
    if is_rotary:
        result += rotary("rotary.global")
        if encoder["window"]:
            result += rotary("rotary.local")
    for i in range(encoder["layers"]):
        layer = f"layers.{i}."
        result += encoder_linear(layer + "qkv", 3 * section, width) + encoder_linear(layer + "attention_output", width, section)
        if i > 0 or not is_pre:
            result += norm(layer + "attention_norm")
        result += encoder_linear(layer + "ffn_up", 2 * inner if encoder["gated"] else inner, width)
        result += encoder_linear(layer + "ffn_down", width, inner) + norm(layer + "ffn_norm")
    if is_pre:
        result += norm("final_norm")
    for task in metadata["tasks"]:
        outputs = {"binary": 1, "regression": 1, "embedding": 0}.get(task["kind"], len(task["labels"]))
        if task["dense"]:
            result += linear(f"heads.{task['name']}.dense", "f32", width, width)
        if task.get("dense_norm"):
            result += norm(f"heads.{task['name']}.dense.norm")
        if outputs:
            result += linear(f"heads.{task['name']}.output", "f32", outputs, width)
        for exit in task.get("exits", []):
            result += linear(f"heads.{task['name']}.exit{exit['after_layer']}", "f32", outputs, width)
    return result


def check_tensors(tensors, metadata):
    require(tensors[0]["name"] == "tokenizer" and tensors[0]["type"] == "bytes", "the tokenizer is the first tensor")
    found = [(t["name"], t["type"], t["layout"], t["shape"]) for t in tensors[1:]]
    require(found == expected_tensors(metadata), "the tensors that the metadata call for, in order")
    names = [t["name"].removesuffix(".weight") for t in tensors if t["name"].startswith("layers.") and t["name"].endswith(".weight")]
    require("linears" not in metadata or [layer["layer"] for layer in metadata["linears"]] == names, "linears for every linear layer, in order")


def values_of(data, tensor):
    """The tensor's rows, as floats (integers for bytes, s8 and s32); padding must be zero."""
    raw = data[tensor["offset"] : tensor["offset"] + tensor["bytes"]]
    if tensor["type"] == "bytes":
        return [list(raw)]
    if tensor["type"] == "s8":
        flat = list(struct.unpack(f"<{len(raw)}b", raw))
    elif tensor["type"] == "s32":
        flat = list(struct.unpack(f"<{len(raw) // 4}i", raw))
    elif tensor["type"] == "f32":
        flat = list(struct.unpack(f"<{len(raw) // 4}f", raw))
    else:
        halves = struct.unpack(f"<{len(raw) // 2}H", raw)
        flat = list(struct.unpack(f"<{len(halves)}f", struct.pack(f"<{len(halves)}I", *(h << 16 for h in halves))))
    rows, depth = (tensor["shape"] + [1])[:2]
    if len(tensor["shape"]) == 1:
        return [flat]
    if tensor["layout"] == "rows":
        return [flat[r * depth : (r + 1) * depth] for r in range(rows)]
    element = dict(TYPES.values())[tensor["type"]]
    per_step = 4 // element
    padded_rows, padded_depth = up(rows, 32), up(depth, 64 // element)
    table = [[0] * padded_depth for _ in range(padded_rows)]
    for c in range(padded_rows):
        for i in range(padded_depth):
            step = (c // 32) * (padded_depth // per_step) + i // per_step
            table[c][i] = flat[step * 32 * per_step + (c % 32) * per_step + i % per_step]
    require(not any(any(row) for row in table[rows:]), f"{tensor['name']}: zero rows behind the last")
    require(not any(any(row[depth:]) for row in table), f"{tensor['name']}: zero columns behind the last")
    return [row[:depth] for row in table[:rows]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file")
    parser.add_argument("--tensor", help="print this tensor's values")
    parser.add_argument("--layout-only", action="store_true", help="do not ask for the tensors that the metadata call for")
    arguments = parser.parse_args()
    with open(arguments.file, "rb") as file:
        data = file.read()
    try:
        header = parse_header(data)
        metadata = parse_metadata(data, header)
        tensors = parse_tensors(data, header)
        if not arguments.layout_only:
            check_tensors(tensors, metadata)
        if arguments.tensor:
            tensor = next(t for t in tensors if t["name"] == arguments.tensor)
            json.dump(values_of(data, tensor), sys.stdout)
        else:
            header["checksum"] = f"{header['checksum']:016x}"
            json.dump({"header": header, "metadata": metadata, "tensors": tensors}, sys.stdout, ensure_ascii=False, indent=1)
        print()
    except Broken as rule:
        sys.exit(f"{arguments.file}: not an artifact of format version 1 to 3: it lacks {rule}")


if __name__ == "__main__":
    main()
