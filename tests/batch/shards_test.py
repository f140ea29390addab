"""Shards of a job are the job: shards_test.py TILEWISE."""
import json
import sys

from harness import (DONE, ROOT, TestCase, contents, from_lines, id_pairs, joined, main, manifest, model, records, run, said,
                     texts, to_lines, with_bad_lines, with_flag)

sys.path.append(str(ROOT / "tools"))
import xxh3  # noqa: E402

SHARDS = 3


class Shards(TestCase):
    def flags(self, path, task="intent", per_part=50):
        return [model(), "--task", task, "--input", path, "--rows-per-part", per_part, "--replicas", 1]

    def answers(self, name, flags):
        """The answers of a run, line by line."""
        output = self.folder / name
        done = run("batch", *flags, "--output", output)
        self.assertEqual(done.returncode, DONE, said(done))
        self.assertTrue((output / "_SUCCESS").exists())
        return joined(output).splitlines()

    def rejected(self, name):
        return [line for path in sorted((self.folder / name).glob("rejected/part-*")) for line in path.read_bytes().splitlines()]

    def shards(self, flags, name="shard", count=SHARDS):
        return [self.answers(f"{name}-{i}", [*flags, "--shard", f"{i}/{count}"]) for i in range(count)]

    def check_union(self, flags, least):
        """Every answer and every rejected row is in exactly one shard, in the order of the input, and every shard has work."""
        whole = self.answers("whole", flags)
        shards = self.shards(flags)
        self.assertEqual(sorted(line for shard in shards for line in shard), sorted(whole))
        for shard in shards:
            of_shard = set(shard)
            self.assertEqual(shard, [line for line in whole if line in of_shard])
            self.assertGreater(len(shard), least)
        rejected = [self.rejected(f"shard-{i}") for i in range(SHARDS)]
        self.assertEqual(sorted(line for each in rejected for line in each), sorted(self.rejected("whole")))
        return whole, shards

    def test_rows_with_ids(self):
        path = self.write("rows.jsonl", with_bad_lines(texts(300), [3, 80, 81, 200, 299]))
        whole, _ = self.check_union(self.flags(path), 60)
        self.assertEqual(len(whole), 300)
        self.assertEqual(len(self.rejected("whole")), 5)

    def test_rows_without_ids(self):
        """Their ids are the numbers of their lines in the whole input."""
        path = self.write("rows.jsonl", to_lines(texts(300, ids=False)))
        whole, _ = self.check_union(self.flags(path), 60)
        self.assertEqual([answer["id"] for answer in from_lines(b"\n".join(whole))], list(range(1, 301)))

    def test_id_pairs(self):
        catalog = records(40)
        catalog_path = self.write("catalog.jsonl", to_lines(catalog))
        path = self.write("pairs.jsonl", to_lines(id_pairs(300, catalog + records(1, prefix="nowhere"))))
        self.check_union([*self.flags(path, "duplicate"), "--catalog", catalog_path], 60)

    def test_written_pairs(self):
        generator = records(200)
        rows = [{"id": f"q{i}", "left": generator[i], "right": generator[i + 1]} for i in range(199)]
        self.check_union(self.flags(self.write("pairs.jsonl", to_lines(rows)), "duplicate"), 40)

    def test_rows_of_one_id_stay_together(self):
        rows = [{**row, "id": f"same{number % 20}"} for number, row in enumerate(texts(200))]
        _, shards = self.check_union(self.flags(self.write("rows.jsonl", to_lines(rows))), 0)
        ids = [{answer["id"] for answer in from_lines(b"\n".join(shard))} for shard in shards]
        self.assertEqual(sum(map(len, ids)), 20)

    def test_a_shard_stays_when_rows_are_added(self):
        """Also at the beginning, and whatever file they are in."""
        rows = texts(200)
        before = self.shards(self.flags(self.write("rows.jsonl", to_lines(rows))), "before")
        more = [{**row, "id": f"more{number}"} for number, row in enumerate(texts(100, seed=2))]
        first, second = self.write("a.jsonl", to_lines(more[:50] + rows[:77])
                                   ), self.write("b.jsonl", to_lines(rows[77:] + more[50:]))
        after = self.shards([*self.flags(first, per_part=33), "--input", second], "after")
        for old, new in zip(before, after):
            of_old = set(old)
            self.assertEqual(old, [line for line in new if line in of_old])

    def test_a_number_is_the_same_id_however_the_row_is_written(self):
        catalog = self.write("catalog.jsonl", to_lines([{"id": i, "title": f"steel mug {i}"} for i in range(30)]))
        flags = lambda path: [*self.flags(path, "duplicate"), "--catalog", catalog]
        numbers = self.write("numbers.jsonl", to_lines([{"left_id": i, "right_id": (i * 7 + 1) % 30} for i in range(30)]))
        strings = self.write("strings.jsonl", to_lines(
            [{"right_id": str((i * 7 + 1) % 30), "left_id": str(i)} for i in range(30)]))
        self.assertEqual(self.shards(flags(numbers), "numbers"), self.shards(flags(strings), "strings"))

    def test_the_documented_hash(self):
        """Other programs may know where a row is: XXH3-64 of its id as JSON, of LEFT~RIGHT, or of a line without an id."""
        rows = texts(60)
        lines = to_lines([{"text": row["text"]} for row in rows])
        catalog = records(20)
        pairs = id_pairs(60, catalog)
        catalog_flags = ["--catalog", self.write("catalog.jsonl", to_lines(catalog))]
        for name, content, keys, flags in (
                ("ids", to_lines(rows), [json.dumps(row["id"]) for row in rows], self.flags),
                ("lines", lines, lines.decode().splitlines(), self.flags),
                ("pairs", to_lines(pairs), [f"{pair['left_id']}~{pair['right_id']}" for pair in pairs],
                 lambda path: [*self.flags(path, "duplicate"), *catalog_flags])):
            with self.subTest(name):
                flags = flags(self.write(f"{name}.jsonl", content))
                whole = self.answers(f"{name}-whole", flags)
                due = [[] for _ in range(SHARDS)]
                for key, answer in zip(keys, whole, strict=True):
                    due[xxh3.xxh3_64(key.encode()) % SHARDS].append(answer)
                self.assertEqual(self.shards(flags, name), due)

    def test_one_shard_is_all(self):
        flags = self.flags(self.write("rows.jsonl", to_lines(texts(60))))
        self.assertEqual(self.answers("one", [*flags, "--shard", "0/1"]), self.answers("whole", flags))

    def test_more_shards_than_rows(self):
        """An empty shard is a complete job, too."""
        flags = self.flags(self.write("rows.jsonl", to_lines(texts(3))))
        shards = self.shards(flags, count=12)
        self.assertEqual(sorted(line for shard in shards for line in shard), sorted(self.answers("whole", flags)))

    def test_an_interrupted_shard_ends_like_an_undisturbed_one(self):
        flags = [*self.flags(self.write("rows.jsonl", with_bad_lines(texts(300), [9, 200])), per_part=20), "--shard", "1/3"]
        self.answers("whole", flags)
        due = contents(self.folder / "whole")
        output = self.folder / "again"
        self.batch(*flags, output=output)
        names = sorted(path.name for path in output.glob("part-*"))
        self.assertGreater(len(names), 3)
        (output / names[1]).unlink()
        (output / "_SUCCESS").unlink()
        self.batch(*flags, output=output)
        self.assert_same(output, due)

    def test_another_shard_does_not_mix(self):
        flags = self.flags(self.write("rows.jsonl", to_lines(texts(60))))
        self.batch(*flags, "--shard", "0/3")
        for other in ("1/3", "0/2"):
            self.refused(*flags, "--shard", other, says=["shard"])
        self.refused(*flags, says=["shard"])

    def test_replicas_do_not_matter(self):
        flags = [*self.flags(self.write("rows.jsonl", to_lines(texts(300)))), "--shard", "2/3"]
        one, three = self.answers("one", flags), self.answers("three", with_flag(flags, "--replicas", 3))
        self.assertEqual(one, three)

    def test_the_manifest_counts_this_shard_only(self):
        flags = self.flags(self.write("rows.jsonl", with_bad_lines(texts(100), [3, 50])))
        self.shards(flags)
        manifests = [manifest(self.folder / f"shard-{i}") for i in range(SHARDS)]
        self.assertEqual(sum(part["rows"] for each in manifests for part in each["parts"]), 102)

    def test_what_is_no_shard(self):
        flags = self.flags(self.write("rows.jsonl", to_lines(texts(3))))
        for text in (
    "3/3",
    "-1/3",
    "1/0",
    "0/0",
    "1",
    "a/b",
    "1/2/3",
    "/",
    "0/",
    "/3",
    "1.5/3",
    "0x1/3",
     "99999999999999999999/3"):
            with self.subTest(text):
                self.refused(*flags, f"--shard={text}", says=["hard"])
                self.assertFalse(self.output.exists())


if __name__ == "__main__":
    main()
