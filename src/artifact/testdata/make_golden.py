#!/usr/bin/env python3
"""Writes golden_v1.bin by hand from FORMAT.md, for the tests of reader and writer: neither had a part in it.

    make_golden.py            writes it beside itself
    make_golden.py --check    fails if what lies there is something else
"""

import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "tools"))

from xxh3 import xxh3_64  # noqa: E402

METADATA = (
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
    '"provenance":{"architecture":"BertModel","sources":[{"file":"model.safetensors","sha256":"' + "0123456789abcdef" * 4 + '"}]}}'
).encode()

F32, BF16, BYTES = 1, 2, 3
ROWS, PANELS = 1, 2


def pattern(count):
    return bytes((7 * i + 3) % 256 for i in range(count))


# Name, type, layout, shape, data. Lengths that are no multiples of 64 call for zeros between the tensors.
TENSORS = [
    ("tokenizer", BYTES, ROWS, [70], pattern(70)),
    ("embeddings.word", BF16, ROWS, [3, 4], pattern(24)),
    ("\u00e9", F32, ROWS, [5], struct.pack("<5f", 0.0, 1.0, -2.5, 1e-38, 3e38)),
    # [33, 5] in bf16: 64 columns, 32 deep
    ("panels", BF16, PANELS, [33, 5], pattern(64 * 32 * 2)),
    # [1, 17] in f32: 32 columns, 32 deep
    ("panels.f32", F32, PANELS, [1, 17], pattern(32 * 32 * 4)),
]


def up(value):
    return (value + 63) // 64 * 64


def main():
    names = [name.encode() for name, *_ in TENSORS]
    table_offset = up(64 + len(METADATA))
    name_bytes = sum(map(len, names))
    data_offset = up(table_offset + 64 * len(TENSORS) + name_bytes)
    table, data = b"", b""
    for (_, kind, layout, shape, values), name in zip(TENSORS, names):
        data += bytes(up(len(data)) - len(data))
        offset = data_offset + len(data)
        rank, first, second = len(shape), shape[0], (shape + [0])[1]
        table += struct.pack("<QQQIIIIQQQ", offset, len(values), xxh3_64(values), len(name), kind, layout, rank, first, second, 0)
        data += values
    front = METADATA + bytes(table_offset - 64 - len(METADATA)) + table + b"".join(names)
    front += bytes(data_offset - 64 - len(front))
    magic = bytes([0x89]) + b"TWM\r\n\x1a\n"
    sizes = (1, len(TENSORS), data_offset + len(data), data_offset, len(METADATA), table_offset, name_bytes)
    header = magic + struct.pack("<IIQQQQQ", *sizes)
    header += struct.pack("<Q", xxh3_64(header + front))
    path = HERE / "golden_v1.bin"
    if "--check" not in sys.argv:
        path.write_bytes(header + front + data)
    elif path.read_bytes() != header + front + data:
        sys.exit(f"{path.name} is not what {pathlib.Path(__file__).name} writes")


if __name__ == "__main__":
    main()
