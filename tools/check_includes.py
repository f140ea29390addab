#!/usr/bin/env python3
"""Checks every #include of src/ and include/ against cmake/folders.txt, which says who may include whom.

    tools/check_includes.py [ROOT]       prints FILE:LINE and the broken rule; exits 1 when there is one
    tools/check_includes.py --self-test  shows that each rule can fail

Rules:
  1. src/FOLDER includes "OTHER/file.h" only where folders.txt allows OTHER; base and model are open to all.
  2. "..." is only for files of src/, written from there ("folder/file.h"), and the file exists.
  3. include/tilewise includes only standard headers and <tilewise/...>.
  4. src/ includes <tilewise/...> only in api and cli; base may include <tilewise/status.h>.
"""
import pathlib
import re
import sys
import tempfile

OPEN_TO_ALL = {"base", "model"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
STANDARD = re.compile(r"^[a-z_0-9]+(\.h)?$")  # <vector>, <stdint.h>
SOURCES = {".h", ".cc", ".inc"}


def read_rules(path):
    rules = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        folder, _, allowed = line.partition(":")
        rules[folder.strip()] = set(allowed.split()) | OPEN_TO_ALL | {folder.strip()}
    # base is under everything, model only over base.
    if "base" in rules:
        rules["base"] = {"base"}
    unknown = set().union(*rules.values()) - set(rules)
    if unknown:
        raise SystemExit(f"{path}: no line for {', '.join(sorted(unknown))}")
    return rules


def includes_of(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := INCLUDE.match(line):
            yield number, match[1], match[2]


def source_files(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCES)


def broken_rule_of_source(root, rules, folder, bracket, target):
    if bracket == '"':
        other = target.split("/")[0]
        if "/" not in target or not (root / "src" / target).is_file():
            return f'no such file in src/: write "folder/file.h" for own headers, <...> for all others'
        if other not in rules[folder]:
            return f"{folder} may not include {other}; allowed: {', '.join(sorted(rules[folder]))}"
    elif target.startswith("tilewise/"):
        if folder in ("api", "cli") or (folder == "base" and target == "tilewise/status.h"):
            return None
        return "the public headers are for api and cli; everyone else has base/status.h"
    elif target.split("/")[0] in rules and (root / "src" / target).is_file():
        return f'own headers are included as "{target}"'
    return None


def check(root):
    """The broken rules as texts "FILE:LINE: what"."""
    rules = read_rules(root / "cmake/folders.txt")
    problems = []
    for path in source_files(root / "src"):
        name = path.relative_to(root)
        folder = name.parts[1]
        if folder not in rules:
            problems.append(f"{name}:1: cmake/folders.txt has no line for {folder}")
            continue
        for line, bracket, target in includes_of(path):
            if problem := broken_rule_of_source(root, rules, folder, bracket, target):
                problems.append(f"{name}:{line}: {target}: {problem}")
    for path in source_files(root / "include"):
        for line, bracket, target in includes_of(path):
            if bracket == '"' or not (target.startswith("tilewise/") or STANDARD.match(target)):
                problems.append(f"{path.relative_to(root)}:{line}: {target}: "
                                "public headers include only the standard library and <tilewise/...>")
    return problems


def self_test():
    rules = "base:\nmodel:\ntext:\nengine: text\napi: engine\n"
    good = {
        "src/base/status.h": "#include <string>\n#include <tilewise/status.h>\n",
        "src/model/model.h": '#include "base/status.h"\n',
        "src/text/tokenizer.h": '#include <utf8proc.h>\n#include "model/model.h"\n',
        "src/engine/engine.cc": '#include "text/tokenizer.h"\n',
        "src/api/api.cc": '#include <tilewise/tilewise.h>\n#include "engine/engine.h"\n',
        "src/engine/engine.h": "",
        "include/tilewise/tilewise.h": "#include <vector>\n#include <stdint.h>\n#include <tilewise/status.h>\n",
    }
    bad = {
        "an edge that is not in folders.txt": ("src/text/a.cc", '#include "engine/engine.h"\n', "text may not include engine"),
        "base includes model": ("src/base/a.cc", '#include "model/model.h"\n', "base may not include model"),
        "a path within the folder": ("src/text/a.cc", '#include "tokenizer.h"\n', "no such file in src/"),
        "a path upwards": ("src/text/a.cc", '#include "../model/model.h"\n', "no such file in src/"),
        "own header in angle brackets": ("src/text/a.cc", "#include <model/model.h>\n", "own headers are included"),
        "an unknown folder": ("src/utils/a.cc", "", "no line for utils"),
        "the public API inside": ("src/text/a.cc", "  #  include <tilewise/tilewise.h>\n", "public headers are for"),
        "base takes more than status.h": ("src/base/a.cc", "#include <tilewise/tilewise.h>\n", "public headers are for"),
        "a third-party header in include/": ("include/tilewise/a.h", "#include <fmt/core.h>\n", "public headers include only"),
        "an own header in include/": ("include/tilewise/a.h", '#include "base/status.h"\n', "public headers include only"),
    }

    def run(files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"cmake/folders.txt": rules, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return check(root)

    failures = [f"good files were refused: {problem}" for problem in run(good)]
    for title, (name, text, expected) in bad.items():
        problems = run({**good, name: text})
        if len(problems) != 1 or expected not in problems[0] or not problems[0].startswith(f"{name}:1: "):
            failures.append(f"{title}: expected one problem with '{expected}', found {problems}")
    return failures


def main(arguments):
    if arguments == ["--self-test"]:
        problems = self_test()
        done = "the include check notices what it should"
    elif len(arguments) <= 1:
        root = pathlib.Path(arguments[0]) if arguments else pathlib.Path(__file__).resolve().parent.parent
        problems = check(root)
        done = "every include keeps to cmake/folders.txt"
    else:
        raise SystemExit(__doc__)
    print("\n".join(problems) if problems else done)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
