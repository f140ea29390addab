#!/usr/bin/env python3
"""Writes golden_v1.bin to golden_v3.bin by hand from FORMAT.md, for the tests of reader and writer: neither had a part in it.

    make_golden.py            writes them beside itself
    make_golden.py --check    fails if what lies there is something else
"""

import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tools"))

from xxh3 import xxh3_64  # noqa: E402

DIGITS = "0123456789abcdef" * 4

METADATA_V1 = (
    '{"compiler":"by hand","precision":"bf16","encoder":{"family":"bert","vocab_size":3,"hidden":4,"layers":1,'
    '"heads":2,"intermediate":8,"max_positions":16,"token_types":2,"activation":"gelu_erf","norm_epsilon":1e-12},'
    '"tasks":[{"name":"duplicate","kind":"binary","input":"pair","pooling":"mean","labels":["dupliqu\u00e9 \\"1\\"\\n\\u0001"],'
    '"max_tokens":16,"truncation":"longest_first","template":{"fields":[["title","COL title VAL "]],"separator":" "},'
    '"threshold":-0.6787,"temperature":1.5,"out_of_scope":null,"normalize":false,"dense":"tanh"},'
    '{"name":"intent","kind":"multiclass","input":"text","pooling":"cls","labels":["\u6ce8\u6587","\U0001f4e6"],'
    '"max_tokens":8,"truncation":"only_first","template":{"fields":[],"separator":""},"threshold":null,"temperature":1,'
    '"out_of_scope":{"score":"logsumexp","below":9.99},"normalize":false,"dense":null},'
    '{"name":"vector","kind":"embedding","input":"text","pooling":"mean","labels":[],"max_tokens":16,'
    '"truncation":"longest_first","template":{"fields":[],"separator":" "},"threshold":null,"temperature":1,'
    '"out_of_scope":null,"normalize":true,"dense":null}],'
    '"numerics":[{"operators":"linear","stored_as":"bf16"},{"operators":"heads","stored_as":"fp32"}],'
    '"provenance":{"architecture":"BertModel","sources":[{"file":"model.safetensors","sha256":"' + DIGITS + '"}]}}'
)

LINEARS = (
    '"linears":[{"layer":"layers.0.qkv","precision":"int8","smoothed":true,"input_floor":null,"error":0.0123},'
    '{"layer":"layers.0.attention_output","precision":"bf16","smoothed":false,"input_floor":null,"error":0.25},'
    '{"layer":"layers.0.ffn_up","precision":"int8","smoothed":false,"input_floor":null,"error":null},'
    '{"layer":"layers.0.ffn_down","precision":"int8","smoothed":false,"input_floor":-0.17,"error":0}],'
    '"calibration":[{"task":"intent","rows":2,"sha256":"' + DIGITS + '","error":0.02},'
    '{"task":"vector","rows":1,"sha256":null,"error":0}],'
)
METADATA_V2 = METADATA_V1.replace('"precision":"bf16"', '"precision":"int8"').replace('"provenance"', LINEARS + '"provenance"')
METADATA_V3 = (
    METADATA_V1.replace('"layers":1', '"layers":3')
    .replace('"norm_epsilon":1e-12', '"norm_epsilon":1e-12,"embedding_size":6,"norm_placement":"pre","gated":true,"positions":"rotary",'
             '"rotary_base":160000,"rotary_base_local":10000.5,"window":5,"global_every":2,"relative_buckets":8,"relative_distance":20')
    .replace('"dense":"tanh"}', '"dense":"tanh","dense_norm":true,"exits":[{"after_layer":2,"confidence":0.975,"temperature":0.8,"below":null}]}')
    .replace('"normalize":false,"dense":null}', '"normalize":false,"dense":null,"dense_norm":false,"exits":[{"after_layer":1,"confidence":0.9,"temperature":1,"below":9.25},'
             '{"after_layer":2,"confidence":1,"temperature":1.3,"below":-0.5}]}')
    .replace('"normalize":true,"dense":null}', '"normalize":true,"dense":null,"dense_norm":false,"exits":[]}')
)

F32, BF16, BYTES, S8, S32 = 1, 2, 3, 4, 5
ROWS, PANELS = 1, 2


def pattern(count):
    return bytes((7 * i + 3) % 256 for i in range(count))


# Name, type, layout, shape, data. Lengths that are no multiples of 64 call for zeros between the tensors.
TENSORS_V1 = [
    ("tokenizer", BYTES, ROWS, [70], pattern(70)),
    ("embeddings.word", BF16, ROWS, [3, 4], pattern(24)),
    ("\u00e9", F32, ROWS, [5], struct.pack("<5f", 0.0, 1.0, -2.5, 1e-38, 3e38)),
    # [33, 5] in bf16: 64 columns, 32 deep
    ("panels", BF16, PANELS, [33, 5], pattern(64 * 32 * 2)),
    # [1, 17] in f32: 32 columns, 32 deep
    ("panels.f32", F32, PANELS, [1, 17], pattern(32 * 32 * 4)),
]
TENSORS_V2 = [
    ("tokenizer", BYTES, ROWS, [70], pattern(70)),
    # [33, 65] in s8: 64 columns, 128 deep
    ("panels", S8, PANELS, [33, 65], pattern(64 * 128)),
    ("sums", S32, ROWS, [3], struct.pack("<3i", 1, -(2**31), 2**31 - 1)),
    ("bytes", S8, ROWS, [3, 5], pattern(15)),
]


def up(value):
    return (value + 63) // 64 * 64


def artifact(version, metadata, tensors):
    metadata = metadata.encode()
    names = [name.encode() for name, *_ in tensors]
    table_offset = up(64 + len(metadata))
    name_bytes = sum(map(len, names))
    data_offset = up(table_offset + 64 * len(tensors) + name_bytes)
    table, data = b"", b""
    for (_, kind, layout, shape, values), name in zip(tensors, names):
        data += bytes(up(len(data)) - len(data))
        offset = data_offset + len(data)
        rank, first, second = len(shape), shape[0], (shape + [0])[1]
        table += struct.pack("<QQQIIIIQQQ", offset, len(values), xxh3_64(values), len(name), kind, layout, rank, first, second, 0)
        data += values
    front = metadata + bytes(table_offset - 64 - len(metadata)) + table + b"".join(names)
    front += bytes(data_offset - 64 - len(front))
    magic = bytes([0x89]) + b"TWM\r\n\x1a\n"
    sizes = (version, len(tensors), data_offset + len(data), data_offset, len(metadata), table_offset, name_bytes)
    header = magic + struct.pack("<IIQQQQQ", *sizes)
    header += struct.pack("<Q", xxh3_64(header + front))
    return header + front + data


def main():
    for version, metadata, tensors in ((1, METADATA_V1, TENSORS_V1), (2, METADATA_V2, TENSORS_V2), (3, METADATA_V3, TENSORS_V1)):
        path, written = HERE / f"golden_v{version}.bin", artifact(version, metadata, tensors)
        if "--check" not in sys.argv:
            path.write_bytes(written)
        elif path.read_bytes() != written:
            sys.exit(f"{path.name} is not what {pathlib.Path(__file__).name} writes")


if __name__ == "__main__":
    main()
