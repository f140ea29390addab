#!/usr/bin/env python3
"""docs/BATCH.md says what `tilewise batch` does: batch_test.py TILEWISE

Its commands are run in order, as a reader would, and what they print is compared with what stands under them (how: serving_test.py). Flags and the
fields of the manifest are compared with what the program has, in both directions.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "BATCH.md"
sys.path.insert(0, str(ROOT / "tests" / "parity"))
sys.path.insert(0, str(ROOT / "tests" / "docs"))
from cli import backbone  # noqa: E402
from commands_test import scratch_repository  # noqa: E402
from serving_test import BLOCK, both_ways, compare, section  # noqa: E402


def run(block, folder):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TILEWISE_ISA")}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=folder, env={**variables, "LC_ALL": "C"}, capture_output=True,
                          encoding="utf-8", timeout=300)
    if done.returncode != 0:
        sys.exit(f"a block ended with {done.returncode}:\n{block}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def problems_of_blocks(blocks, folder):
    compared = 0
    for (language, block), (reply_language, reply) in zip(blocks, [*blocks[1:], ("", "")]):
        if language != "sh":
            continue
        found = run(block, folder)
        if reply_language in ("json", "console"):
            compared += 1
            for problem in compare(reply_language, reply, found):
                yield f"{block}{problem}"
    print(f"{compared} outputs compared")
    if compared == 0:
        yield "no output was compared"


def first_cells(text, title):
    """The first column of the section's tables."""
    return " ".join(line.split("|")[1] for line in section(text, title).splitlines() if line.startswith("| `"))


def problems_of_lists(text, tilewise, folder):
    help_text = subprocess.run([tilewise, "batch", "--help"], capture_output=True, encoding="utf-8", check=True).stdout
    flags = r"--[a-z][a-z-]*"
    options = [re.findall(rf"^ +(?:-\w,)?({flags})", line) for line in help_text.splitlines()]
    real = {flag for found in options for flag in found} - {"--log-level", "--version"}
    yield from both_ways(re.findall(flags, first_cells(text, "Flags")), real, "the flag")

    manifests = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / "build").glob("**/_manifest.json")]
    fields = {field for manifest in manifests for field in manifest}
    yield from both_ways(re.findall(r"`(\w+)`", first_cells(text, "The manifest")), fields, "the field of the manifest")


def main():
    tilewise = pathlib.Path(sys.argv[1]).resolve()
    backbone_folder = pathlib.Path(backbone()).resolve()
    text = DOCUMENT.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scratch_repository(folder, tilewise, backbone_folder)
        problems = list(problems_of_blocks(BLOCK.findall(text), folder))
        problems += problems_of_lists(text, tilewise, folder)
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
