#!/usr/bin/env python3
"""Runs every ```sh block of the documents named here, in order, as a reader would: commands_test.py TILEWISE DOCUMENT...

They run in a scratch folder that looks like the repository after `./dev build`; whatever they write stays there. Servers get ports that are free.
"""
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "parity"))
from cli import backbone  # noqa: E402

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


def with_free_ports(block):
    """The block with other ports in the place of those that `tilewise serve` has by default."""
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in ("8080", "8081")}
    for name, free in sockets.items():
        block = re.sub(rf"\b{name}\b", str(free.getsockname()[1]), block)
        free.close()
    return block


def scratch_repository(folder, binary, backbone_folder):
    for entry in ROOT.iterdir():
        if entry.name not in ("build", ".git"):
            (folder / entry.name).symlink_to(entry)
    (folder / "build" / "release").mkdir(parents=True)
    (folder / "build" / "release" / "tilewise").symlink_to(binary)
    (folder / "build" / "models").mkdir()
    (folder / "build" / "models" / "all-minilm-l6-v2").symlink_to(backbone_folder)


def main():
    binary, documents = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    backbone_folder = pathlib.Path(backbone()).resolve()
    for document in documents:
        blocks = BLOCK.findall((ROOT / document).read_text(encoding="utf-8"))
        if not blocks:
            sys.exit(f"{document} has no ```sh block: nothing was tested")
        with tempfile.TemporaryDirectory() as folder:
            scratch_repository(pathlib.Path(folder), binary, backbone_folder)
            for block in blocks:
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", with_free_ports(block)], cwd=folder, capture_output=True, encoding="utf-8",
                                      env={key: value for key, value in os.environ.items() if not key.startswith("TILEWISE_ISA")})
                if done.returncode != 0:
                    sys.exit(f"{document}: a block ended with {done.returncode}:\n{block}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
            print(f"{document}: {len(blocks)} blocks ran")


if __name__ == "__main__":
    main()
