"""The texts: rows in arrival order, and the rows that int8 is calibrated with (never the same, but for the small sample)."""
import dataclasses
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "examples" / "product-search" / "data"
CALIBRATION_ROWS = 300


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    task: str
    rows: list
    calibration: list


FILES = {"queries": ("clinc150", ["intents/clinc150"]), "pairs": ("duplicate", ["pairs/amazon-google", "pairs/wdc-computers"])}


def spread(path, count):
    """`count` rows spread evenly over the file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    count = min(count, len(lines))
    return [json.loads(lines[i * len(lines) // count]) for i in range(count)]


def in_turn(paths, count):
    """Rows of several files, one of each in turn."""
    parts = [spread(path, count // len(paths)) for path in paths]
    return [row for rows in zip(*parts) for row in rows]


def load(name, data, count):
    """name: queries or pairs; data: a folder with intents/ and pairs/, or None for the sample in examples/."""
    task, files = FILES[name]
    if data is None:
        sample = spread(SAMPLE / f"{name}.jsonl", 10**6)
        rows, calibration = (sample * (count // len(sample) + 1))[:count], sample[:CALIBRATION_ROWS]
    else:
        rows = in_turn([data / f"{file}.test.jsonl" for file in files], count)
        calibration = in_turn([data / f"{file}.valid.jsonl" for file in files], CALIBRATION_ROWS)
    keys = ("text",) if name == "queries" else ("left", "right")
    numbered = [{"id": i, **{key: row[key] for key in keys}} for i, row in enumerate(rows)]
    return Workload(name, task, numbered, [{key: row[key] for key in keys} for row in calibration])


def write_rows(rows, path):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
