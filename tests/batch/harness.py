"""What the tests of batch jobs share: they run `tilewise batch` as a scheduler would, break it, and look at what it leaves."""
import contextlib
import dataclasses
import importlib.util
import json
import pathlib
import random
import shutil
import subprocess
import tempfile

CLI = pathlib.Path(__file__).resolve().parents[1] / "cli" / "harness.py"
specification = importlib.util.spec_from_file_location("cli_harness", CLI)
cli = importlib.util.module_from_spec(specification)
specification.loader.exec_module(cli)

ROOT, TILEWISE = cli.ROOT, cli.TILEWISE
DONE, FAILED, WRONG_COMMAND_LINE, BAD_INPUT, WRONG_MACHINE, INTERRUPTED = (
    cli.DONE, cli.FAILED, cli.WRONG_COMMAND_LINE, cli.BAD_INPUT, cli.WRONG_MACHINE, cli.INTERRUPTED)
environment, main, model, to_lines, from_lines, workplace = (
    cli.environment, cli.main, cli.model, cli.to_lines, cli.from_lines, cli.workplace)

FAULTS = pathlib.Path(TILEWISE).resolve().parent / "tests" / "batch" / "libbatch_faults.so"
PATIENCE = 120  # seconds before a test gives up: machines of tests are busy

WORDS = "where is my parcel refund the red shoes steel mug usb cable wireless charger black case size".split()

# What a run says about itself and not about its results.
OF_THIS_RUN = {"seconds", "rows_per_s", "tokens_per_s", "usd", "usd_per_million", "resumed_parts"}


# Inputs: made from a seed, so that each test knows what it gives.

def words(generator, most):
    return " ".join(generator.choices(WORDS, k=generator.randint(1, most)))


def texts(count, seed=1, ids=True):
    """Rows for the task `intent`; every fifth is cut at the model's limit."""
    generator = random.Random(seed)
    rows = [{"id": f"r{i}", "text": words(generator, 60 if i % 5 == 0 else 12)} for i in range(count)]
    return rows if ids else [{"text": row["text"]} for row in rows]


def records(count, seed=1, prefix="p"):
    generator = random.Random(seed)
    return [{"id": f"{prefix}{i}", "title": words(generator, 8), "brand": generator.choice(
        WORDS), "price": round(generator.uniform(1, 99), 2)} for i in range(count)]


def id_pairs(count, left, right=None, seed=1):
    generator = random.Random(seed)
    return [{"left_id": generator.choice(left)["id"], "right_id": generator.choice(right or left)["id"]} for _ in range(count)]


def with_bad_lines(rows, at):
    """The lines of `rows` with a bad one put in before each of these numbers (from 0)."""
    lines = to_lines(rows).splitlines(keepends=True)
    kinds = [b"bad\n", b'{"id":"no text"}\n', b'{"text":["no text"]}\n', b"\xff\xfe\n"]
    for number, place in enumerate(sorted(at, reverse=True)):
        lines.insert(place, kinds[number % len(kinds)])
    return b"".join(lines)


def with_flag(flags, name, value):
    """The flags with another value for this one."""
    at = flags.index(name)
    return [*flags[:at + 1], value, *flags[at + 2:]]


# Faults.

@dataclasses.dataclass
class Faults:
    """What goes wrong in a run; see faults.cc. Without `at` operations are only counted."""
    directory: pathlib.Path
    at: int = 0
    do: str = ""
    of: str = "writes"
    log: pathlib.Path = None

    def variables(self):
        variables = {
    "LD_PRELOAD": FAULTS,
    "FAULTS_DIRECTORY": self.directory,
    "FAULTS_OF": self.of,
    "FAULTS_AT": self.at,
     "FAULTS_DO": self.do}
        if self.log:
            variables["FAULTS_LOG"] = self.log
        return {name: str(value) for name, value in variables.items()}


@dataclasses.dataclass(frozen=True)
class Operation:
    number: int
    name: str
    path: pathlib.Path
    new_path: pathlib.Path

    def __str__(self):
        new_name = f" -> {self.new_path.name}" if self.new_path.name else ""
        return f"operation {self.number} ({self.name} {self.path.name}{new_name})"


def read_log(path):
    """The operations of a run, in their order."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    return [Operation(int(number), name, pathlib.Path(old), pathlib.Path(new)) for number, name, old, new in rows]


def no_faults_because():
    """Why faults cannot be injected here; None where they can."""
    if not FAULTS.exists():
        return f"there is no {FAULTS}"
    with tempfile.TemporaryDirectory() as folder:
        variables = {**environment(), **Faults(pathlib.Path(folder)).variables()}
        done = subprocess.run([TILEWISE, "--version"], env=variables, capture_output=True, timeout=PATIENCE)
    said = done.stderr.decode(errors="replace").strip()
    return f"LD_PRELOAD does not go with this build: {said}" if done.returncode or said else None


# Runs and what they leave.

def start(*arguments, faults=None, isa=None, variables=(), **more):
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    env = {**environment(isa), **dict(variables), **(faults.variables() if faults else {})}
    return subprocess.Popen([TILEWISE, *map(str, arguments)], env=env, **more)


def run(*arguments, stdin=b"", **more):
    process = start(*arguments, stdin=subprocess.PIPE, **more)
    output, error = process.communicate(stdin, PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, output, error)


def said(process):
    return process.stderr.decode(errors="replace")


def without(value, names):
    """A JSON value without these keys, at any depth."""
    if isinstance(value, dict):
        return {key: without(each, names) for key, each in value.items() if key not in names}
    return [without(each, names) for each in value] if isinstance(value, list) else value


def manifest(directory):
    return json.loads((directory / "_manifest.json").read_bytes())


def contents(directory):
    """Every file by its path in `directory`: its bytes, and what the manifest says about the results."""
    found = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if not path.is_dir()}
    if "_manifest.json" in found:
        found["_manifest.json"] = without(json.loads(found["_manifest.json"]), OF_THIS_RUN)
    return found


def parts(directory):
    return {name: content for name, content in sorted(contents(directory).items()) if name.startswith("part-")}


def joined(directory):
    return b"".join(parts(directory).values())


def temporary_files(directory):
    return [name for name in contents(directory) if ".tmp-" in name]


def differences(found, due):
    """A few words for people; empty where the two directories' contents are the same."""
    names = [f"{name} is missing" for name in due.keys() - found.keys()]
    names += [f"{name} should not be there" for name in found.keys() - due.keys()]
    for name in sorted(due.keys() & found.keys()):
        if due[name] != found[name]:
            names.append(f"{name} differs: {found[name]!r:.300} instead of {due[name]!r:.300}")
    return "; ".join(names)


class TestCase(cli.TestCase):
    """Each test has a folder of its own, self.folder, and a directory for results in it, self.output."""

    def setUp(self):
        super().setUp()
        self.output = self.folder / "out"

    def batch(self, *flags, output=None, code=DONE, **more):
        """Runs a job to the end and expects this exit code; returns what it said."""
        finished = run("batch", *flags, "--output", output or self.output, **more)
        self.assertEqual(finished.returncode, code, said(finished))
        return said(finished)

    def refused(self, *flags, code=WRONG_COMMAND_LINE, says=(), **more):
        """Expects one error line with all of `says`, and that nothing in the directory of results has changed."""
        output = more.get("output") or self.output
        before = {path: path.stat() for path in output.rglob("*")} if output.exists() else {}
        text = self.batch(*flags, code=code, **more)
        lines = [line for line in text.splitlines() if line.startswith("tilewise: error: ")]
        self.assertEqual(len(lines), 1, text)
        for part in says:
            self.assertIn(str(part), lines[0])
        after = {path: path.stat() for path in output.rglob("*")} if output.exists() else {}
        self.assertEqual({path: (info.st_ino, info.st_mtime_ns, info.st_size) for path, info in before.items() if path.is_file()},
                         {path: (info.st_ino, info.st_mtime_ns, info.st_size) for path, info in after.items() if path.is_file()})
        return lines[0]

    def assert_same(self, directory, due):
        """`due`: contents() of a directory."""
        self.assertEqual(differences(contents(directory), due), "")

    @contextlib.contextmanager
    def scratch(self):
        """A folder that goes at once: there are thousands of them."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        yield folder
        shutil.rmtree(folder, ignore_errors=True)
