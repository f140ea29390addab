#!/usr/bin/env python3
"""docs/SERVING.md says what `tilewise serve` does: serving_test.py TILEWISE

Its curl lines are run, as a reader would, against a server of the models that its first block compiles, and their output is compared with the reply
under them: JSON by value, a ```console reply by line. In a reply, "..." stands for anything: within a text, as a value, as the last element of an
array for whatever follows, and as a member's name for all members that are not named. Flags, metrics, endpoints and the fields of the access log
are compared with what the program has, in both directions.
"""
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "SERVING.md"
sys.path.insert(0, str(ROOT / "tests" / "parity"))
sys.path.insert(0, str(ROOT / "tests" / "docs"))
from cli import backbone, skip  # noqa: E402
from commands_test import scratch_repository  # noqa: E402

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
ADDRESS = "localhost:8080"
# Scores are those of one instruction set. Another moves a bf16 logit by up to 0.13 (real_model_test.py), so a probability by up to a quarter of that.
TOLERANCE = 0.03
PATIENCE_S = 120


def text_fits(expected, found):
    return re.fullmatch(".*".join(map(re.escape, expected.split("..."))), found, re.DOTALL) is not None


def differences(expected, found, where="reply"):
    """What of `found` is not as `expected` says."""
    if expected == "...":
        return
    if isinstance(expected, bool) or expected is None or isinstance(found, bool):
        equal = expected is found
    elif isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        whole = isinstance(expected, int) and isinstance(found, int)
        equal = expected == found if whole else abs(expected - found) <= TOLERANCE * max(1, abs(expected))
    elif isinstance(expected, str) and isinstance(found, str):
        equal = text_fits(expected, found)
    elif isinstance(expected, list) and isinstance(found, list):
        is_open = expected[-1:] == ["..."]
        named = expected[:-1] if is_open else expected
        equal = len(found) >= len(named) if is_open else len(found) == len(named)
        for i, (one, other) in enumerate(zip(named, found)):
            yield from differences(one, other, f"{where}[{i}]")
    elif isinstance(expected, dict) and isinstance(found, dict):
        equal = True
        for name in expected.keys() - {"..."} | (set() if "..." in expected else found.keys()):
            if name not in found or name not in expected:
                yield f"{where}: member {name!r} only in the {'document' if name in expected else 'reply'}"
            else:
                yield from differences(expected[name], found[name], f"{where}.{name}")
    else:
        equal = False
    if not equal:
        yield f"{where}: expected {json.dumps(expected)[:300]}, found {json.dumps(found)[:300]}"


def values(text):
    """The JSON values that stand one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(text) and text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        found.append(value)
    return found


def compare(language, expected, found):
    if language == "console":
        wanted, lines = expected.splitlines(), [line for line in re.sub(r"\}(?=\")", "}\n", found).splitlines() if line]
        if len(wanted) != len(lines) or not all(map(text_fits, wanted, lines)):
            yield f"expected\n{expected}found\n{found}"
        return
    yield from differences(values(expected), values(found))


def section(text, title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)[1]


def only_in(one, other, what, where):
    return [f"{what} {name} is {where}" for name in sorted(set(one) - set(other))]


def both_ways(documented, real, what):
    return only_in(real, documented, what, "not in the document") + only_in(documented, real, what, "only in the document")


def called(block):
    """(method, path) of each curl line of a block."""
    for line in re.split(r"\bcurl\b", block)[1:]:
        path = re.search(rf"{ADDRESS}(/[^\s\"'?]*)", line)[1]
        posts = "-X POST" in line or re.search(r"(?<!\S)(-d|--data-binary)\b", line)
        yield "POST" if posts else "GET", path


def fits(pattern, path):
    return re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(pattern)), path) is not None


def self_test():
    assert not list(differences([{"a": 0.5, "...": "..."}, "..."], [{"a": 0.51, "b": 1}, 2, 3]))
    assert list(differences({"a": 1}, {"a": 2})) and list(differences({"a": 1}, {"a": 1, "b": 1})) and list(differences([1], [1, 2]))
    assert list(differences({"a": 0.5}, {"a": 0.6})) and list(differences("x...", "yx")) and list(differences({"a": 1}, {}))
    assert list(differences(True, 1)) and list(differences(None, 0)) and list(compare("console", "a\n", "b\n"))
    assert values('{"a":1}[2]\n3') == [{"a": 1}, [2], 3]
    assert not list(compare("console", "200\n{}\nx...\n", "200\n{}xy\n".replace("{}", "{}\n")))


class Server:
    """`tilewise serve` as the document starts it, on ports of its own and with time for a busy machine."""

    def __init__(self, command, folder):
        words = command.split()
        self.log = folder / "access.log"
        self.process = subprocess.Popen([*words, "--address", "127.0.0.1", "--port", "0", "--grpc-port", "0", "--deadline-ms", "60000",
                                         "--access-log", str(self.log)], cwd=folder, stderr=subprocess.PIPE, encoding="utf-8")
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"listening on http://\S+:(\d+) and grpc://\S+:(\d+); (\d+) replicas? of (.*)", line):
                self.port, self.grpc_port, self.models = found[1], found[2], found[4]
                return
        sys.exit("the server did not start: " + "".join(self.lines))

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE_S) as reply:
            return reply.read().decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, rest = self.process.communicate(timeout=PATIENCE_S)
        if self.process.returncode != 0:
            sys.exit(f"the server ended with {self.process.returncode}: {''.join(self.lines)}{rest}")


def run(block, server, folder):
    script = block.replace(ADDRESS, f"127.0.0.1:{server.port}" if server else ADDRESS)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=folder, capture_output=True, encoding="utf-8", timeout=300,
                          env={key: value for key, value in os.environ.items() if key != "TILEWISE_API_KEY"})
    if done.returncode != 0:
        sys.exit(f"a block ended with {done.returncode}:\n{block}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def problems_of_replies(blocks, server, folder):
    count = 0
    for (language, block), (reply_language, reply) in zip(blocks, [*blocks[1:], ("", "")]):
        if language == "python" and importlib.util.find_spec("tritonclient"):
            printed = subprocess.run([sys.executable, "-c", block, f"127.0.0.1:{server.grpc_port}"], capture_output=True, encoding="utf-8", check=True)
            if printed.stdout.strip() != re.search(r"#\s*(\[.*\])", block)[1]:
                yield f"{block}\n{printed.stdout}"
        if language != "sh" or "curl " not in block:
            continue
        if reply_language not in ("json", "console"):
            yield f"no reply stands under\n{block}"
            continue
        count += 1
        found = run(block, server, folder)
        for problem in compare(reply_language, reply, found):
            yield f"{block}{problem}"
    print(f"{count} blocks ran")


def problems_of_lists(text, server, tilewise):
    help_text = subprocess.run([tilewise, "serve", "--help"], capture_output=True, encoding="utf-8", check=True).stdout
    rows = [line.split("|")[1] for line in section(text, "Flags").splitlines() if line.startswith("| `--")]
    yield from both_ways(re.findall(r"--[a-z][a-z-]*", " ".join(rows)), re.findall(r"--[a-z][a-z-]*", help_text), "the flag")

    families = re.findall(r"^# TYPE (\S+) \S+$", server.get("/metrics"), re.MULTILINE)
    yield from both_ways(re.findall(r"`((?:tilewise|process)_[a-z_]+)`", text), families, "the metric")
    cells = " ".join(line.rsplit("|", 2)[0] for line in section(text, "Metrics").splitlines())
    yield from only_in(families, re.findall(r"`(\w+)`", cells), "the metric", "not in the table")

    paths = json.loads(server.get("/openapi.json"))["paths"]
    real = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    named = re.findall(r"`(GET|POST) (/[^`]*)`", text)
    yield from both_ways([" ".join(one) for one in named], [" ".join(one) for one in real], "the endpoint")
    calls = [call for language, block in BLOCK.findall(text) if language == "sh" for call in called(block)]
    for method, path in real:
        # A path that is named literally is no example of one with a name in it.
        if not any(method == by and fits(path, to) and (to in paths) == (path == to) for by, to in calls):
            yield f"the endpoint {method} {path} has no curl line"

    line = json.loads(server.log.read_text(encoding="utf-8").splitlines()[0])
    table = re.search(r"The access log has.*?\n\n(.*?)\n\n", text, re.DOTALL)[1]
    fields = re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()))
    yield from both_ways(fields, [*line, "dropped"], "the field of the access log")


def main():
    self_test()
    tilewise = pathlib.Path(sys.argv[1]).resolve()
    if not shutil.which("curl"):
        skip("there is no curl")
    backbone_folder = pathlib.Path(backbone()).resolve()
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        scratch_repository(folder, tilewise, backbone_folder)
        run(blocks[0][1], None, folder)
        command = re.search(r"^\$ (build/release/tilewise serve .*)$", text, re.MULTILINE)[1]
        server = Server(command, folder)
        try:
            problems = list(problems_of_replies(blocks, server, folder))
            problems += problems_of_lists(text, server, tilewise)
            if f"of {server.models}\n" not in text:
                problems.append(f"the first line of the server ends with {server.models}")
        finally:
            server.stop()
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
