#!/usr/bin/env python3
"""Computes the logits of reference_outputs.jsonl anew, after the example's model has been trained again: make_reference_outputs.py BACKBONE.

Needs PyTorch. Texts, ids and order stay as they are; that the ids are still those of the texts is checked.
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from cli import EXAMPLE, read_rows, to_lines
from reference import Reference

FILE = pathlib.Path(__file__).with_name("reference_outputs.jsonl")


def main():
    reference, rows = Reference(EXAMPLE / "model", sys.argv[1]), read_rows(FILE)
    for row in rows:
        sides = {"text": row["text"]} if "text" in row else {"left": row["text_a"], "right": row["text_b"]}
        ids, types = reference.encode(row["task"], sides)
        assert ids == row["input_ids"] and types == row["token_type_ids"], row["id"]
        row["logits"] = [float(f"{value:.7g}") for value in reference.logits(row["task"], [(ids, types)])[0].tolist()]
    FILE.write_text(to_lines(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
