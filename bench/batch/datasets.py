"""Records and pairs for the measurements: real ones, and as many more as are needed, made from them. Equal arguments give equal files."""
import json
import pathlib
import random

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "examples" / "product-search" / "data"
CATALOGS = ["catalog/amazon-google.jsonl", "catalog/wdc-computers.jsonl", "catalog/wdc-cameras.jsonl"]
PAIRS = [f"pairs/{name}.{split}.jsonl" for name in ("amazon-google", "wdc-computers", "wdc-cameras") for split in ("train", "valid", "test")]
FIELDS = ("title", "brand", "price", "description")


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def write_lines(path, rows):
    """JSON lines; returns the path."""
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    return path


def load_records(data):
    """Every record of the public catalogues, or of the example's where `data` is None: (id, fields)."""
    files = [data / name for name in CATALOGS] if data else [SAMPLE / "northgate.jsonl", SAMPLE / "quayside.jsonl"]
    return [(str(record["id"]), {field: record[field] for field in FIELDS if field in record}) for path in files for record in read_lines(path)]


def load_pairs(data, count):
    """`count` pairs with both records written out; where there are fewer, they come again under other ids."""
    files = [data / name for name in PAIRS] if data else [SAMPLE / "pairs.jsonl"]
    pairs = [{"left": row["left"], "right": row["right"]} for path in files for row in read_lines(path)]
    random.Random(1).shuffle(pairs)
    for i in range(count):
        yield {"id": i, **pairs[i % len(pairs)]}


def variant(fields, number):
    """Another product: a word of the title is left out, a model number is added."""
    generator = random.Random(number)
    words = fields["title"].split()
    if len(words) > 2:
        del words[generator.randrange(len(words))]
    words.insert(generator.randrange(len(words) + 1), f"{generator.choice('abcdefgh')}{generator.randrange(1000)}")
    return {**fields, "title": " ".join(words)}


def many_records(data, count):
    """`count` records: the real ones, then variants of them, round after round."""
    real = load_records(data)
    for number in range(count):
        identifier, fields = real[number % len(real)]
        yield (identifier, fields) if number < len(real) else (f"v{number}", variant(fields, number))


def partners(count, pairs):
    """`pairs` pairs (i, j) over the records 0..count-1, grouped by i as a blocking step leaves them; every record stands in as many as any other."""
    a_record, rest = divmod(pairs, count)
    for i in range(count):
        for k in range(a_record + (i < rest)):
            yield i, (i + 1 + k * 104729) % count


def change(records, share):
    """The records with another price and one more word in the title for `share` of them, evenly spread."""
    step = round(1 / share)
    return [(identifier, {**fields, "title": fields["title"] + " refurbished", "price": "1.00"} if number % step == 0 else fields)
            for number, (identifier, fields) in enumerate(records)]


def write_catalog(path, records):
    return write_lines(path, ({"id": identifier, **fields} for identifier, fields in records))


def write_id_pairs(path, identifiers, pairs):
    """CSV, or JSON lines where the name ends so."""
    head, line = ("left_id,right_id\n", "{},{}\n") if path.suffix == ".csv" else ("", '{{"left_id":"{}","right_id":"{}"}}\n')
    with open(path, "w", encoding="utf-8") as file:
        file.write(head)
        for i, j in pairs:
            file.write(line.format(identifiers[i], identifiers[j]))
    return path


def write_full_pairs(path, records, pairs):
    """The same pairs with their records, and the ids that id pairs would have."""
    return write_lines(path, ({"id": f"{records[i][0]}~{records[j][0]}", "left": records[i][1], "right": records[j][1]} for i, j in pairs))
