#!/usr/bin/env python3
"""Every relative link in the repository's Markdown leads to something that exists, docs/ARCHITECTURE.md names every folder of src/,
and what README.md quotes of examples/cpp stands there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def documents(root):
    return [path for path in sorted(root.rglob("*.md")) if "build" not in path.relative_to(root).parts]


def headings(text):
    """The anchors that a Markdown viewer makes of the headings."""
    titles = re.findall(r"^#+ +(.*)$", CODE_BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(path, text):
    for target in LINK.findall(CODE_BLOCK.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file) if file else path
        if not there.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in headings(there.read_text(encoding="utf-8")):
            yield f"{target}: no such heading"


def invented_lines(document, language, source):
    """Lines of the document's blocks in that language that `source` does not have."""
    quoted = "".join(re.findall(rf"^```{language}\n(.*?)^```", document, re.DOTALL | re.MULTILINE))
    real = {line.strip() for line in source.splitlines()}
    return [line for line in quoted.splitlines() if line.strip() not in real | {""}]


def self_test():
    here = pathlib.Path(__file__)
    assert list(broken_links(here, "[a](links_test.py) [b](#x)\n# X\n")) != []
    assert list(broken_links(here, "[a](links_test.py) [b](https://example.org/nothing)")) == []
    assert list(broken_links(here, "[a](missing.md)")) == ["missing.md: no such file"]
    assert invented_lines("```cpp\nint a;\nint b;\n```\n", "cpp", "  int a;\n") == ["int b;"]
    assert list(broken_links(here, "```\n[a](missing.md)\n```")) == []


def main():
    self_test()
    problems = [f"{path.relative_to(ROOT)}: {problem}" for path in documents(ROOT)
                for problem in broken_links(path, path.read_text(encoding="utf-8"))]
    architecture = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = sorted(path.parent.name for path in (ROOT / "src").glob("*/CMakeLists.txt"))
    problems += [f"docs/ARCHITECTURE.md does not link src/{folder}/" for folder in folders if f"src/{folder}/" not in architecture]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for language, file in (("cpp", "score_pairs.cc"), ("cmake", "CMakeLists.txt")):
        source = (ROOT / "examples" / "cpp" / file).read_text(encoding="utf-8")
        problems += [f"README.md: not in examples/cpp/{file}: {line}" for line in invented_lines(readme, language, source)]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(documents(ROOT))} documents: all links lead somewhere, quoted code exists")


if __name__ == "__main__":
    main()
