#!/usr/bin/env python3
"""What a user of the installed package does: install, find_package(tilewise), build, compile a checkpoint, score pairs.

The scores are compared with PyTorch's (tests/data/checkpoint/golden.json). Python's standard library only.
"""
import argparse
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

# libtilewise.so offers the public API and nothing else.
PUBLIC = re.compile(r"tilewise::(version\(|compile\(std::|Status::message|Model::(open|tasks|isa|replicas|predict|score|run_tokens)(_columns)?\b)")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} exited with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def expected_scores(data):
    """The probabilities of the pairs that the example scores, from the logits in the golden file."""
    cases = json.loads((data / "golden.json").read_text())["cases"]
    rows = next(c["rows"] for c in cases if (c["folder"], c["task"]) == ("multi_task", "duplicate"))
    logits = [row["logits"][0] for row in rows
              if isinstance(row["input"]["left"], dict) and row["input"]["left"].get("title", "").startswith("Kestrin K78")]
    assert len(logits) == 2, logits
    return [(1 / (1 + math.exp(-logit)), "duplicate" if logit >= -0.68 else "different") for logit in logits]


def check_symbols(library):
    names = [line.split(" ", 2)[2] for line in run("nm", "-DC", "--defined-only", library).splitlines()]
    hidden = [name for name in names if not PUBLIC.match(name)]
    assert not hidden, f"{library} exports more than the public API: {hidden}"
    assert len(names) == 12, names


def check_output(lines, expected):
    assert len(lines) == len(expected) + 1, lines
    for line, (score, label) in zip(lines, expected):
        found = re.fullmatch(r"(\d\.\d\d)  (\w+)", line)
        assert found, line
        assert abs(float(found[1]) - score) < 5.1e-3, f"{line}: PyTorch has {score}"  # printed with two digits
        assert found[2] == label, line
    assert re.match(r"-     .*title", lines[-1]), lines[-1]  # the record without any field of the template


def main():
    parser = argparse.ArgumentParser()
    for flag in ["cmake", "generator", "compiler", "sanitize", "build", "source"]:
        parser.add_argument("--" + flag, required=True)
    args = parser.parse_args()
    source = pathlib.Path(args.source)
    data = source / "tests/data/checkpoint"
    with tempfile.TemporaryDirectory(prefix="tilewise-install-") as temporary:
        prefix, example = pathlib.Path(temporary, "prefix"), pathlib.Path(temporary, "example")
        run(args.cmake, "--install", args.build, "--prefix", prefix)
        library = next(prefix.glob("**/libtilewise.so"))
        if not args.sanitize:  # a sanitizer adds symbols of its own
            check_symbols(library)

        flags = [f"-DCMAKE_CXX_FLAGS=-fsanitize={args.sanitize}"] if args.sanitize else []
        run(args.cmake, "-S", source / "examples/cpp", "-B", example, "-G", args.generator, "-DCMAKE_BUILD_TYPE=Release",
            f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={args.compiler}", *flags)
        run(args.cmake, "--build", example)

        model = pathlib.Path(temporary, "model.tw")
        run(prefix / "bin/tilewise", "compile", data / "multi_task", "--backbone", data / "bert", "--precision", "fp32", "-o", model)
        check_output(run(example / "score_pairs", model).splitlines(), expected_scores(data))
    print("install.example: ok")


if __name__ == "__main__":
    main()
