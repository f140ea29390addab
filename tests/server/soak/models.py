"""The models of the soak test: variants of one checkpoint whose answers are known, and which of them may answer when."""
import json
import pathlib
import random
import shutil
import struct
import threading
import time

from harness import DONE, cli, workplace

CHECKPOINT = cli.CHECKPOINTS / "multi_task"
VARIANTS = 6
TEXT_TASKS = ("intent", "tags", "urgency", "vector")
LABELS = ("order_status", "refund", "product_search", "small_talk", "other")


def to_floats(values):
    """The numbers of an answer as the bytes of float32, which is what "the same" means."""
    return struct.pack(f"<{len(values)}f", *values)


# ---- what is asked ----

def words():
    lines = (cli.CHECKPOINTS / "bert" / "vocab.txt").read_text(encoding="utf-8").split()
    return [line for line in lines if len(line) > 2 and line.isalpha()]


def make_texts(source, count, longest):
    vocabulary = words()
    texts = ["", "中 black ?"]
    while len(texts) < count:
        texts.append(" ".join(source.choices(vocabulary, k=source.randint(1, longest))))
    return texts


def make_pairs(source, count):
    vocabulary = words()

    def side(is_record):
        title = " ".join(source.choices(vocabulary, k=source.randint(1, 3 if is_record else 8)))
        return {"title": title} if is_record else title

    return [{"left": side(i % 2 == 1), "right": side(i % 2 == 1)} for i in range(count)]


class Questions:
    """What the honest clients ask: few enough that every answer is known, and that the cache has something to do."""

    def __init__(self):
        source = random.Random(1)
        self.texts = make_texts(source, 80, 25)
        self.pairs = make_pairs(source, 30)


# ---- what is answered ----

def write_variant(folder, variant):
    """The checkpoint with other heads; embeddings have none, so every other variant pools in another way."""
    shutil.copytree(CHECKPOINT, folder)
    heads = folder / "heads.safetensors"
    data = heads.read_bytes()
    size, = struct.unpack_from("<Q", data)
    count = (len(data) - 8 - size) // 4
    source = random.Random(variant)
    heads.write_bytes(data[:8 + size] + to_floats([source.uniform(-0.5, 0.5) for _ in range(count)]))
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    for task in tasks["tasks"]:
        if task["name"] == "vector":
            task["pooling"] = ("cls", "mean")[variant % 2]
    (folder / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")


class Variant:
    """An artifact, and what `tilewise predict` answers with it."""

    def __init__(self, number, questions):
        self.number = number
        self.path = workplace() / f"variant-{number}.tw"
        folder = workplace() / f"variant-{number}"
        write_variant(folder, number)
        done = cli.run("compile", folder, "--backbone", cli.CHECKPOINTS / "bert", "--precision", "bf16", "-o", self.path)
        assert done.returncode == DONE, done.stderr.decode()
        self.of_texts = self._predict(",".join(TEXT_TASKS), [{"text": text} for text in questions.texts], "--top", 0)
        self.of_pairs = self._predict("duplicate", questions.pairs)

    def _predict(self, tasks, rows, *flags):
        done = cli.run("predict", self.path, "--task", tasks, "--logits", *flags, stdin=cli.to_lines(rows))
        assert done.returncode == DONE, done.stderr.decode()
        answers = cli.from_lines(done.stdout)
        assert len(answers) == len(rows)
        for answer in answers:
            del answer["id"]
        return answers

    def text(self, task, i):
        return self.of_texts[i][task]

    def numbers(self, task, i):
        """KServe's first output: logits, or the embedding."""
        answer = self.of_pairs[i] if task == "duplicate" else self.of_texts[i][task]
        return answer["embedding"] if task == "vector" else answer["logits"]

    def scores(self, task, i):
        """KServe's scores, where the command line has all of them."""
        if task == "duplicate":
            return [self.of_pairs[i]["score"]]
        by_label = {each["label"]: each["score"] for each in self.of_texts[i]["intent"]["labels"]}
        return [by_label[label] for label in LABELS]


# ---- who may answer ----

class Served:
    """What stands under one name of the directory. A version may answer from just before its file is put in place until
    another one was seen to be served. Thread-safe."""

    def __init__(self, name, root, variants):
        self.name, self.folder, self.variants = name, pathlib.Path(root) / name, variants
        self.version = 0
        self.lock = threading.Lock()
        self.turns = []   # [version, variant, from, until]
        self.absent = []  # [from, until]: nobody need answer

    def begin(self, version, variant):
        with self.lock:
            self.turns.append([version, variant, time.monotonic(), None])

    def settle(self, version, variant):
        """This one was seen to be served: no other is any more."""
        now = time.monotonic()
        with self.lock:
            for turn in self.turns:
                if turn[3] is None and turn[:2] != [version, variant]:
                    turn[3] = now

    def leave(self):
        with self.lock:
            self.absent.append([time.monotonic(), None])

    def come_back(self):
        with self.lock:
            self.absent[-1][1] = time.monotonic()

    def candidates(self, begin, end):
        """(version, variant) of who may have answered a request that took this time."""
        with self.lock:
            return {(version, variant) for version, variant, since, until in self.turns
                    if since <= end and (until is None or until >= begin)}

    def may_be_absent(self, begin, end):
        with self.lock:
            return any(since <= end and (until is None or until >= begin) for since, until in self.absent)

    # What changes the directory.

    def put(self, version, variant):
        """The artifact is renamed into place, as documented."""
        self.folder.mkdir(exist_ok=True)
        hidden = self.folder / ".new"
        shutil.copyfile(self.variants[variant].path, hidden)
        self.begin(version, variant)
        hidden.rename(self.folder / f"{version}.tw")

    def put_bytes(self, version, data):
        hidden = self.folder / ".new"
        hidden.write_bytes(data)
        hidden.rename(self.folder / f"{version}.tw")

    def remove(self, version):
        (self.folder / f"{version}.tw").unlink()
