"""Runs the program tokenizer_dump, which prints the ids that tilewise gives to texts."""
import os
import pathlib
import subprocess
import sys

SKIPPED = 77


def program_beside(tilewise):
    """tokenizer_dump of the build folder that `tilewise` lies in."""
    return pathlib.Path(tilewise).resolve().parent / "src" / "text" / "tokenizer_dump"


def backbone():
    """The folder of the real model; ends the script where there is none."""
    folder = os.environ.get("TILEWISE_BACKBONE", "")
    if not (pathlib.Path(folder) / "tokenizer.json").is_file():
        print("skipped: TILEWISE_BACKBONE names no folder with tokenizer.json", file=sys.stderr)
        sys.exit(SKIPPED)
    return folder


def dump(program, folder, texts, *arguments):
    """A line of ids for each of `texts` (bytes)."""
    blob = b"".join(b"%d\n%s" % (len(text), text) for text in texts)
    done = subprocess.run([program, folder, *arguments], input=blob, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\n")[:-1]


def numbers(values):
    return " ".join(map(str, values))


def count_differences(what, texts, found, expected):
    """Prints the first few."""
    assert len(found) == len(expected), f"{what}: {len(found)} answers to {len(expected)} texts"
    wrong = [i for i, (a, b) in enumerate(zip(found, expected)) if a != b]
    for i in wrong[:5]:
        print(f"{what}: {texts[i]!r}\n  tilewise   {found[i]}\n  tokenizers {expected[i]}", file=sys.stderr)
    return len(wrong)
