"""clusters: scored pairs of any form become the same groups: clusters_test.py TILEWISE."""
import csv
import gzip
import io
import itertools
import json
import random

from harness import BAD_INPUT, DONE, FAILED, WRONG_COMMAND_LINE, TestCase, from_lines, main, model, run, to_lines


def scored(*pairs, threshold=0.5):
    return [{"id": f"{left}~{right}", "score": score, "label": "duplicate" if score >= threshold else None} for left, right, score in pairs]


PAIRS = scored(("c", "b", 0.9), ("a", "b", 0.8), ("x", "y", 0.7), ("y", "z", 0.1), ("p", "q", 0.6))


def members(groups):
    return [group["members"] for group in groups]


class ClustersCase(TestCase):
    def groups(self, *arguments, **more):
        return from_lines(self.done("clusters", *arguments, **more))

    def report(self, *arguments):
        path = self.folder / "report.json"
        self.done("clusters", *arguments, "--report", path, "--output", self.folder / "ignored")
        return json.loads(path.read_text())


class Groups(ClustersCase):
    def test_matches_join_records(self):
        path = self.write("scored.jsonl", to_lines(PAIRS))
        self.assertEqual(self.groups(path), [
            {"id": "a", "members": ["a", "b", "c"], "weakest": 0.8, "density": 0.6666667},
            {"id": "p", "members": ["p", "q"], "weakest": 0.6, "density": 1},
            {"id": "x", "members": ["x", "y"], "weakest": 0.7, "density": 1}])

    def test_a_threshold_replaces_the_label(self):
        path = self.write("scored.jsonl", to_lines(PAIRS))
        self.assertEqual(members(self.groups(path, "--threshold", "0.8")), [["a", "b", "c"]])
        self.assertEqual(members(self.groups(path, "--threshold", "0.05")), [["a", "b", "c"], ["p", "q"], ["x", "y", "z"]])
        self.assertEqual(self.groups(path, "--threshold", "0.95"), [])

    def test_order_of_the_rows_does_not_matter(self):
        generator = random.Random(3)
        rows = scored(*((generator.randrange(80), generator.randrange(80), generator.randrange(10) / 10) for _ in range(120)))
        due = self.done("clusters", self.write("scored.jsonl", to_lines(rows)))
        for _ in range(3):
            generator.shuffle(rows)
            self.assertEqual(self.done("clusters", "-", stdin=to_lines(rows)), due)

    def test_records_of_a_catalogue_that_nothing_matches(self):
        catalog = self.write("catalog.jsonl", to_lines([{"id": name, "title": "t"} for name in "azbw"]))
        path = self.write("scored.jsonl", to_lines(PAIRS))
        self.assertEqual(members(self.groups(path, "--catalog", catalog)), [["a", "b", "c"], ["p", "q"], ["w"], ["x", "y"], ["z"]])
        self.assertEqual(self.report(path, "--catalog", catalog)["singles"], 2)

    def test_two_catalogues_may_use_the_same_ids(self):
        path = self.write("scored.jsonl", to_lines(scored(("1", "2", 0.9), ("2", "1", 0.9), ("2", "3", 0.8))))
        self.assertEqual(members(self.groups(path)), [["1", "2", "3"]])
        self.assertEqual(self.groups(path, "--two-catalogs"), [
            {"id": "1", "left": ["1"], "right": ["2"], "weakest": 0.9, "density": 1},
            {"id": "2", "left": ["2"], "right": ["1", "3"], "weakest": 0.8, "density": 1}])

    def test_nothing_in_nothing_out(self):
        self.assertEqual(self.groups("-", stdin=b""), [])


class Forms(ClustersCase):
    def test_csv_compression_and_several_files(self):
        due = self.done("clusters", self.write("scored.jsonl", to_lines(PAIRS)))
        text = io.StringIO()
        writer = csv.DictWriter(text, ["id", "score", "label"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(PAIRS)
        self.assertEqual(self.done("clusters", self.write("scored.csv", text.getvalue())), due)
        self.assertEqual(self.done("clusters", self.write("scored.jsonl.gz", gzip.compress(to_lines(PAIRS)))), due)
        files = [self.write(f"{i}.jsonl", to_lines([row])) for i, row in enumerate(PAIRS)]
        self.assertEqual(self.done("clusters", *files), due)
        self.done("clusters", *files, "--output", self.folder / "groups.jsonl.gz")
        self.assertEqual(gzip.decompress((self.folder / "groups.jsonl.gz").read_bytes()), due)

    def test_one_of_several_tasks(self):
        rows = [{"id": row["id"], "same": {key: row[key] for key in ("score", "label")}, "other": {"value": 1}} for row in PAIRS]
        path = self.write("scored.jsonl", to_lines(rows))
        self.assertEqual(self.groups(path, "--task", "same"), self.groups(self.write("plain.jsonl", to_lines(PAIRS))))

    def test_output_of_batch(self):
        records = [{"id": f"r{i}", "title": title} for i, title in enumerate(["red shoes", "red shoes", "blue hat", "my parcel"])]
        catalog = self.write("catalog.jsonl", to_lines(records))
        rows = [{"left_id": a["id"], "right_id": b["id"]} for a, b in itertools.combinations(records, 2)]
        pairs, output = self.write("pairs.jsonl", to_lines(rows)), self.folder / "scores"
        for form in ("jsonl", "csv"):
            self.done("batch", model(), "--task", "duplicate", "--catalog", catalog, "--input", pairs, "--output", output,
                      "--rows-per-part", "2", "--output-format", form, "--overwrite")
            scores = {answer["id"]: answer for answer in self.answers(
                "predict", model(), "--task", "duplicate",
                rows=[{"id": f"{a['id']}~{b['id']}", "left": a, "right": b} for a, b in itertools.combinations(records, 2)])}
            middle = sorted(answer["score"] for answer in scores.values())[3]
            due = self.groups("-", "--threshold", middle, stdin=to_lines(scores.values()))
            self.assertTrue(due)
            self.assertEqual(self.groups(output, "--threshold", middle), due)
        (output / "_SUCCESS").unlink()
        self.error(BAD_INPUT, "clusters", output, says=["_SUCCESS"])


class Ids(ClustersCase):
    def test_ids_of_records_come_first(self):
        rows = [{"id": "p1", "left_id": "a~b", "right_id": "c", "score": 0.9, "label": "same"},
                {"id": "p2", "left_id": "c", "right_id": 17, "score": 0.9, "label": "same"}]
        self.assertEqual(members(self.groups("-", stdin=to_lines(rows))), [["17", "a~b", "c"]])

    def test_ids_with_a_tilde_need_the_pairs(self):
        pairs = [("a~b", "c"), ("a", "b~c"), ("x", "y"), ("x", "z")]
        rows = scored(*((left, right, 0.9) for left, right in pairs))
        path = self.write("scored.jsonl", to_lines(rows))
        done = run("clusters", path)
        self.assertEqual((done.returncode, members(from_lines(done.stdout))), (DONE, [["x", "y", "z"]]))
        self.assertIn("--pairs", done.stderr.decode())
        listed = self.write("pairs.jsonl", to_lines([{"left_id": left, "right_id": right} for left, right in pairs]))
        self.assertEqual(members(self.groups(path, "--pairs", listed)), [["a", "b~c"], ["a~b", "c"], ["x", "y", "z"]])

    def test_one_id_for_two_pairs_of_which_one_has_no_answer(self):
        listed = self.write("pairs.jsonl", to_lines([{"left_id": "a~b", "right_id": "c"}, {"left_id": "a", "right_id": "b~c"}]))
        path = self.write("scored.jsonl", to_lines(scored(("a", "b~c", 0.9))))
        self.error(BAD_INPUT, "clusters", path, "--pairs", listed, says=["a~b~c", "found 1 without one"])

    def test_pairs_of_which_some_were_rejected_or_scored_elsewhere(self):
        pairs = [{"left_id": f"l{i}", "right_id": f"r{i}", "id": i} for i in range(60)]
        listed = self.write("pairs.jsonl", to_lines(pairs))
        rows = [{"id": i, "score": 0.9, "label": "same"} for i in range(60) if i % 7]
        one = self.write("one.jsonl", to_lines(rows[::2]))
        other = self.write("other.jsonl", to_lines(rows[1::2]))
        due = sorted([f"l{row['id']}", f"r{row['id']}"] for row in rows)
        self.assertEqual(members(self.groups(one, other, "--pairs", listed)), due)

    def test_other_pairs_are_refused(self):
        path = self.write("scored.jsonl", to_lines(PAIRS))
        listed = self.write("pairs.jsonl", to_lines([{"left_id": "c", "right_id": "b"}]))
        self.error(BAD_INPUT, "clusters", path, "--pairs", listed, says=["scored.jsonl:2", "--pairs"])


class Reports(ClustersCase):
    def test_sizes_and_chains(self):
        chain = [(f"n{i}", f"n{i + 1}", 0.9) for i in range(9)] + [("n9", "n10", 0.6)]
        clique = [(a, b, 0.8) for a, b in itertools.combinations(["k1", "k2", "k3", "k4"], 2)]
        path = self.write("scored.jsonl", to_lines(scored(*chain, *clique, ("x", "y", 0.7), ("s", "t", 0.1))))
        report = self.report(path)
        self.assertEqual((report["rows"], report["matches"], report["groups"], report["records"]), (18, 17, 3, 17))
        self.assertEqual(report["sizes"], {"2": 1, "3-4": 1, "5-8": 0, "9-16": 1})
        self.assertEqual([(group["id"], group["size"]) for group in report["largest"]], [("n0", 11), ("k1", 4), ("x", 2)])
        self.assertEqual(report["loose"], 1)
        loosest, = report["loosest"]
        self.assertEqual((loosest["id"], loosest["weakest"]), ("n0", 0.6))
        self.assertAlmostEqual(loosest["density"], 10 / 55, places=5)
        self.assertIn("look like chains", run("clusters", path).stderr.decode())

    def test_bad_rows_cost_only_themselves(self):
        lines = to_lines(PAIRS).splitlines(keepends=True)
        extra = [b"{\n", b'{"id":"one","score":1,"label":"x"}\n', b'{"id":"a~b"}\n', b'{"id":"a~z","score":0.5}\n']
        path = self.write("scored.jsonl", b"".join(lines[:2] + extra + lines[2:]))
        done = run("clusters", path)
        self.assertEqual(done.returncode, DONE)
        self.assertEqual(done.stdout, self.done("clusters", self.write("clean.jsonl", to_lines(PAIRS))))
        for number in range(3, 7):
            self.assertIn(f"scored.jsonl:{number}", done.stderr.decode())
        self.done("clusters", path, "--max-rejected", "3", code=FAILED)

    def test_wrong_command_lines(self):
        path = self.write("scored.jsonl", to_lines(PAIRS))
        self.error(BAD_INPUT, "clusters", self.folder / "missing.jsonl", says=["missing.jsonl"])
        self.error(WRONG_COMMAND_LINE, "clusters", path, "--report", "-", says=["--output"])
        self.error(WRONG_COMMAND_LINE, "clusters", path, "--catalog", path, "--two-catalogs", says=["--catalog"])


if __name__ == "__main__":
    main()
