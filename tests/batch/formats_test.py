"""However rows are stored, their answers are the same: formats_test.py TILEWISE."""
import csv
import gzip
import io
import itertools
import json
import shutil
import subprocess
import zlib

from harness import (BAD_INPUT, DONE, WRONG_COMMAND_LINE, TestCase, contents, from_lines, id_pairs, joined, main, manifest, model,
                     records, run, said, texts, to_lines)

NASTY = ['a "red" mug', "steel, blue", "two\nlines", "cr\r\nlf", "tab\there", " space around ", "", "''", "ünïcödé 中文 𝄞", '"', '""',
         ",", "\\n", "=1+1", "null", "a;b", "#comment", "x" * 3000, "0", "NaN", "\u2028", "-"]


def table(rows, delimiter=",", line_end="\n", quoting=csv.QUOTE_MINIMAL):
    """CSV as Python writes it."""
    columns = list(rows[0])
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def zstd(content, *flags):
    return subprocess.run(["zstd", "-q", "-c", *flags], input=content, capture_output=True, check=True).stdout


class FormatCase(TestCase):
    def setUp(self):
        super().setUp()
        self.outputs = itertools.count()

    def answers(self, *inputs, task="intent", flags=(), stdin=b""):
        output = self.folder / f"out-{next(self.outputs)}"
        paths = [part for path in inputs for part in ("--input", path)]
        self.batch(model(), "--task", task, *paths, *flags, output=output, stdin=stdin)
        return joined(output)


class Texts(FormatCase):
    def setUp(self):
        super().setUp()
        self.rows = texts(60) + [{"id": f"nasty {number} {text[:20]}", "text": text} for number, text in enumerate(NASTY)]
        # An empty cell of CSV is a missing text.
        self.rows = [row for row in self.rows if row["text"]]
        self.lines = to_lines(self.rows)
        self.due = self.answers(self.write("due.jsonl", self.lines))

    def check(self, name, content, flags=()):
        with self.subTest(name):
            self.assertEqual(self.answers(self.write(name, content), flags=flags), self.due)

    def test_csv_in_all_its_forms(self):
        self.check("a.csv", table(self.rows))
        self.check("crlf.csv", table(self.rows, line_end="\r\n"))
        self.check("quoted.csv", table(self.rows, quoting=csv.QUOTE_ALL))
        self.check("bom.csv", b"\xef\xbb\xbf" + table(self.rows))
        self.check("no_last_line_end.csv", table(self.rows).rstrip(b"\n"))
        self.check("columns.csv", table(
            [{"other": "x,y", "text": row["text"], "more": "\n", "id": row["id"]} for row in self.rows]))
        self.check("flag.txt", table(self.rows), ["--input-format", "csv"])

    def test_tsv(self):
        self.check("a.tsv", table(self.rows, delimiter="\t"))
        self.check("flag.csv", table(self.rows, delimiter="\t"), ["--input-format", "tsv"])

    def test_json_lines_in_all_their_forms(self):
        escaped = "".join(json.dumps(row) + "\r\n" for row in self.rows).encode()
        self.check("escaped.jsonl", escaped)
        self.check("a.ndjson", self.lines)
        self.check("a.json", self.lines)
        self.check("bom.jsonl", b"\xef\xbb\xbf" + self.lines)
        self.check("no_last_line_end.jsonl", self.lines.rstrip(b"\n"))
        self.check("no_extension", self.lines)
        self.check("SHOUTING.JSONL", self.lines)

    def test_gzip(self):
        half = self.lines.index(b"\n", len(self.lines) // 2) - 5  # inside of a line
        self.check("a.jsonl.gz", gzip.compress(self.lines))
        self.check("members.jsonl.gz", gzip.compress(self.lines[:half]) + gzip.compress(b"") + gzip.compress(self.lines[half:]))
        self.check("a.csv.gz", gzip.compress(table(self.rows)))
        self.check("a.tsv.gz", gzip.compress(table(self.rows, delimiter="\t")))
        self.check("no_extension", gzip.compress(self.lines))
        self.check("lies.jsonl", gzip.compress(self.lines))
        self.check("plain.jsonl.gz", self.lines)

    def test_zstd(self):
        if shutil.which("zstd") is None:
            self.skipTest("there is no zstd program")
        half = len(self.lines) // 2
        self.check("a.jsonl.zst", zstd(self.lines))
        self.check("frames.jsonl.zst", zstd(self.lines[:half]) + zstd(self.lines[half:], "-19", "--no-check"))
        self.check("a.csv.zst", zstd(table(self.rows)))
        self.check("lies.jsonl", zstd(self.lines))

    def test_standard_input(self):
        for name, content, flags in (("lines", self.lines, ()), ("gzip", gzip.compress(self.lines), ()),
                                     ("csv", table(self.rows), ("--input-format", "csv")),
                                     ("csv.gz", gzip.compress(table(self.rows)), ("--input-format", "csv"))):
            with self.subTest(name):
                self.assertEqual(self.answers("-", flags=flags, stdin=content), self.due)

    def test_directories_and_globs(self):
        folder = self.folder / "many"
        lines = self.lines.splitlines(keepends=True)
        files = {"00/b.jsonl": b"".join(lines[20:40]), "00/a.jsonl": b"".join(lines[:20]), "02.csv": table(self.rows[50:]),
                 "01.jsonl.gz": gzip.compress(b"".join(lines[40:50]))}
        files |= {"_SUCCESS": b"x", "_old/a.jsonl": b"bad", ".hidden.jsonl": b"bad", "README.md": b"# not rows"}
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.assertEqual(self.answers(folder), self.due)
        self.assertEqual(self.answers(f"{folder}/"), self.due)
        self.assertEqual(self.answers(folder / "00" / "*.jsonl", folder / "0[12].*"), self.due)
        self.assertEqual(self.answers(folder / "00", folder / "01.jsonl.gz", folder / "0?.csv"), self.due)

    def test_what_is_not_there(self):
        empty = self.folder / "empty"
        empty.mkdir()
        for path in (self.folder / "nothing*.jsonl", empty, self.folder / "nowhere.csv"):
            with self.subTest(path):
                self.refused(model(), "--task", "intent", "--input", path, code=BAD_INPUT, says=[path])
                self.assertFalse(self.output.exists())


class Damaged(FormatCase):
    """A compressed file that is broken ends the job with the file's name, and never in success."""

    def setUp(self):
        super().setUp()
        self.lines = to_lines(texts(1000))
        self.due = self.answers(self.write("due.jsonl", self.lines))

    def check(self, name, good, bad):
        """Broken, and then whole again."""
        path = self.write(name, bytes(bad))
        flags = [model(), "--task", "intent", "--input", path, "--rows-per-part", 100]
        for _ in range(2):
            self.assertIn(str(path), self.batch(*flags, code=BAD_INPUT))
            self.assertFalse((self.output / "_SUCCESS").exists())
        path.write_bytes(good)
        return run("batch", *flags, "--output", self.output)

    def check_cut(self, name, good, size):
        """What came before the end is right, and is kept."""
        with self.subTest(name, size=size):
            done = self.check(name, good, good[:size])
            self.assertEqual(done.returncode, DONE, said(done))
            self.assertEqual(joined(self.output), self.due)
            shutil.rmtree(self.output)

    def check_flipped(self, name, good, at):
        """Only a checksum at the end may tell: parts that were made from wrong rows are found when the right ones come."""
        bad = bytearray(good)
        bad[at] ^= 0x55
        with self.subTest(name, at=at):
            done = self.check(name, good, bad)
            if done.returncode == DONE:
                self.assertEqual(joined(self.output), self.due)
            else:
                self.assertEqual(done.returncode, WRONG_COMMAND_LINE, said(done))
                self.assertIn("--overwrite", said(done))
            shutil.rmtree(self.output)

    def check_all(self, name, good):
        for size in (len(good) - 1, len(good) - 5, len(good) // 2, 20):
            self.check_cut(name, good, size)
        for at in (len(good) // 7, len(good) // 2, len(good) - 1):
            self.check_flipped(name, good, at)

    def test_gzip(self):
        self.check_all("rows.jsonl.gz", gzip.compress(self.lines))

    def test_zstd(self):
        if shutil.which("zstd") is None:
            self.skipTest("there is no zstd program")
        self.check_all("rows.jsonl.zst", zstd(self.lines, "--check"))

    def test_rows_of_csv(self):
        """A bad row is rejected alone."""
        good = [b"r1,where is my parcel\n", b'r2,"steel, mug"\n', b"r3,red\n", b"r4,case\n"]
        bad = [b"r5\n", b"r6,a,b\n", b"r7,\n"]
        path = self.write("rows.csv", b"id,text\n" + good[0] + bad[0] + good[1] + bad[1] + good[2] + bad[2] + good[3])
        self.batch(model(), "--task", "intent", "--input", path)
        self.assertEqual([answer["id"] for answer in from_lines(joined(self.output))], ["r1", "r2", "r3", "r4"])
        rejected = from_lines(contents(self.output)["rejected/part-00000.jsonl"])
        self.assertEqual([(row["file"], row["line"]) for row in rejected], [(str(path), 3), (str(path), 5), (str(path), 7)])


class Pairs(FormatCase):
    def setUp(self):
        super().setUp()
        self.catalog = [{**record,
    "title": f"{record['title']}, {NASTY[number % len(NASTY)]}"[:200]} for number,
     record in enumerate(records(40))]
        for record in self.catalog:
            record["price"] = str(record["price"])
        self.by_id = {record["id"]: {name: value for name, value in record.items() if name != "id"} for record in self.catalog}
        self.pairs = id_pairs(100, self.catalog)
        self.rows = [{"id": f"{pair['left_id']}~{pair['right_id']}",
    "left": self.by_id[pair["left_id"]],
     "right": self.by_id[pair["right_id"]]} for pair in self.pairs]
        self.due = self.answers(self.write("due.jsonl", to_lines(self.rows)), task="duplicate")

    def test_pairs_written_out(self):
        for mark in "._":
            flat = [{"id": row["id"],
    **{f"{side}{mark}{name}": value for side in ("left",
    "right") for name,
     value in row[side].items()}} for row in self.rows]
            self.assertEqual(self.answers(self.write("rows.csv", table(flat)), task="duplicate"), self.due)

    def test_plain_sides(self):
        rows = [{"id": f"r{i}", "left": NASTY[i], "right": NASTY[-1 - i]}
            for i in range(len(NASTY)) if NASTY[i] and NASTY[-1 - i]]
        due = self.answers(self.write("rows.jsonl", to_lines(rows)), task="duplicate")
        self.assertEqual(self.answers(self.write("rows.csv", table(rows)), task="duplicate"), due)

    def test_id_pairs_and_catalogues(self):
        """Any form of one against any form of the other gives what the pairs written out give."""
        catalogs = [self.write("catalog.jsonl", to_lines(self.catalog)), self.write("catalog.csv", table(self.catalog)),
                    self.write("catalog.tsv.gz", gzip.compress(table(self.catalog, delimiter="\t")))]
        pairs = [self.write("pairs.jsonl", to_lines(self.pairs)), self.write("pairs.csv", table(self.pairs, line_end="\r\n")),
                 self.write("pairs.tsv", table(self.pairs, delimiter="\t"))]
        for catalog, path in [*zip(catalogs, pairs), (catalogs[0], pairs[1]), (catalogs[1], pairs[0])]:
            with self.subTest(catalog.name, pairs=path.name):
                self.assertEqual(self.answers(path, task="duplicate", flags=["--catalog", catalog]), self.due)

    def test_a_catalogue_of_several_files_and_one_for_each_side(self):
        first, second = self.write("a.jsonl", to_lines(self.catalog[:15])), self.write("b.csv", table(self.catalog[15:]))
        pairs = self.write("pairs.jsonl", to_lines(self.pairs))
        self.assertEqual(self.answers(pairs, task="duplicate", flags=["--catalog", first, "--catalog", second]), self.due)
        whole = self.write("all.jsonl", to_lines(self.catalog))
        self.assertEqual(
    self.answers(
        pairs,
        task="duplicate",
        flags=[
            "--left-catalog",
            whole,
            "--right-catalog",
            first,
            second]),
             self.due)

    def test_rejected_records_and_pairs(self):
        """A record with a bad line, an id that another has, or none; pairs that name it are rejected, the others answered."""
        lines = to_lines(self.catalog).splitlines(keepends=True)
        lines[3] = b"bad\n"
        lines.append(to_lines([{**self.catalog[5], "title": "a second one"}]))
        lines.append(b'{"title":"no id"}\n')
        catalog = self.write("catalog.jsonl", b"".join(lines))
        pairs = self.write("pairs.jsonl", to_lines(self.pairs))
        self.batch(model(), "--task", "duplicate", "--catalog", catalog, "--input", pairs)
        without = [row["id"] for row in self.rows if "p3" not in row["id"].split("~")]
        self.assertEqual([answer["id"] for answer in from_lines(joined(self.output))], without)
        due = {answer["id"]: answer for answer in from_lines(self.due)}
        self.assertEqual(from_lines(joined(self.output)), [due[name] for name in without])
        rejected = from_lines(contents(self.output)["rejected/part-00000.jsonl"])
        self.assertEqual(len(rejected), len(self.rows) - len(without))
        self.assertEqual(len(from_lines(contents(self.output)["rejected/records.jsonl"])), 3)
        self.assertEqual(manifest(self.output)["catalogs"]["records"], 39)


class Output(FormatCase):
    def read_table(self, content, delimiter=","):
        return list(csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter=delimiter, strict=True))

    def both(self, path, task, *flags):
        lines = from_lines(self.answers(path, task=task, flags=flags))
        rows = self.read_table(self.answers(path, task=task, flags=[*flags, "--output-format", "csv"]))
        self.assertEqual([row["id"] for row in rows], [str(line["id"]) for line in lines])
        return lines, rows

    def setUp(self):
        super().setUp()
        self.path = self.write("rows.jsonl", to_lines(texts(40) + [{"id": text, "text": "mug"} for text in NASTY]))

    def test_binary(self):
        rows = [{"id": f"a,{i}", "left": record, "right": other}
            for i, (record, other) in enumerate(zip(records(40), records(40, seed=2)))]
        lines, cells = self.both(self.write("pairs.jsonl", to_lines(rows)), "duplicate", "--threshold", "0.5")
        self.assertEqual([(float(row["score"]), row["label"] or None)
                         for row in cells], [(line["score"], line["label"]) for line in lines])

    def test_multiclass(self):
        lines, rows = self.both(self.path, "intent", "--top", 3)
        for line, row in zip(lines, rows):
            names = [("label", "score"), ("label_2", "score_2"), ("label_3", "score_3")]
            self.assertEqual([{"label": row[label], "score": float(row[score])} for label, score in names], line["labels"])
            self.assertEqual(row["out_of_scope"], "true" if line.get("out_of_scope") else "false")
            self.assertEqual(row["truncated"], "true" if line.get("truncated") else "false")
        self.assertIn("true", {row["truncated"] for row in rows})

    def test_multilabel_regression_embedding(self):
        for task, column, field in (("tags", "labels", "labels"), ("urgency", "value",
                                    "value"), ("vector", "embedding", "embedding")):
            with self.subTest(task):
                lines, rows = self.both(self.path, task)
                self.assertEqual([json.loads(row[column]) for row in rows], [line[field] for line in lines])

    def test_several_tasks_and_logits(self):
        lines, rows = self.both(self.path, "urgency,intent", "--logits")
        for line, row in zip(lines, rows):
            self.assertEqual(float(row["urgency.value"]), line["urgency"]["value"])
            self.assertEqual(row["intent.label"], line["intent"]["labels"][0]["label"])
            self.assertEqual(json.loads(row["intent.logits"]), line["intent"]["logits"])

    def test_every_part_has_the_header(self):
        flags = ["--output-format", "csv", "--rows-per-part", 20]
        self.answers(self.path, flags=flags)
        output = self.folder / "out-0"
        parts = [content for name, content in sorted(contents(output).items()) if name.startswith("part-")]
        self.assertEqual(len(parts), 4)
        headers = {content.split(b"\n", 1)[0] for content in parts}
        self.assertEqual(len(headers), 1)
        self.assertEqual(sum(len(self.read_table(content)) for content in parts), 40 + len(NASTY))

    def test_compressed(self):
        due = self.answers(self.path)
        whole = self.answers(self.path, flags=["--compress", "gzip", "--rows-per-part", 20])
        self.assertEqual(gzip.decompress(whole), due)
        self.assertEqual(zlib.decompressobj(31).decompress(whole)[:10], due[:10])
        self.assertEqual(sorted(path.name for path in (self.folder / "out-1").glob("part*")),
                         [f"part-{i:05}.jsonl.gz" for i in range(4)])
        if shutil.which("zstd"):
            whole = self.answers(self.path, flags=["--compress", "zstd", "--rows-per-part", 20])
            self.assertEqual(subprocess.run(["zstd", "-dqc"], input=whole, capture_output=True, check=True).stdout, due)


if __name__ == "__main__":
    main()
