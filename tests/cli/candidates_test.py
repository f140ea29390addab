"""candidates: which pairs come out, in which order, of one catalogue and of two: candidates_test.py TILEWISE."""
import csv
import gzip
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

from harness import (BAD_INPUT, DONE, FAILED, INTERRUPTED, ROOT, TILEWISE, WRONG_COMMAND_LINE, WRONG_MACHINE, TestCase, environment,
                     from_lines, main, model, run, to_lines, workplace)

WORDS = "red green small large wireless optical mouse keyboard shoes camera lens kit black white office home edition".split()
EXAMPLE = ROOT / "examples" / "product-search" / "data"


def records(count, seed=1, prefix="r"):
    generator = random.Random(seed)
    rows = []
    for i in range(count):
        row = {"id": f"{prefix}{i}", "title": " ".join(generator.choices(WORDS, k=generator.randint(1, 6))),
               "price": round(generator.uniform(1, 900), 2)}
        if generator.random() < 0.7:
            row["brand"] = generator.choice(["Acme", "Kestrin", "Nordhaus"])
        if generator.random() < 0.3:
            row["title"] += f" XK-{generator.randint(10, 40)}{generator.choice('AB')}"
        rows.append(row)
    return rows


class CandidatesCase(TestCase):
    def candidates(self, *more, precision="fp32"):
        return ["candidates", model(precision), "--task", "vector", *more]

    def pairs(self, *more, **options):
        return from_lines(self.done(*self.candidates(*more), **options))

    def report(self, *more):
        path = self.folder / "report.json"
        self.done(*self.candidates(*more, "--report", path, "--output", self.folder / "ignored"))
        return json.loads(path.read_text())

    def embeddings(self, rows, fields=("title", "brand", "price")):
        """Unit vectors, by the program's own predict."""
        texts = [{"text": " ".join(str(row[name]) for name in fields if row.get(name))} for row in rows]
        answers = self.answers("predict", model(), "--task", "vector", rows=texts)
        return [answer["embedding"] for answer in answers]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class OneCatalogue(CandidatesCase):
    def test_finds_the_nearest_of_all(self):
        rows = records(60)
        path = self.write("records.jsonl", to_lines(rows))
        found = self.pairs(path, "--top", "4", "--no-keys")
        vectors = self.embeddings(rows)
        due = {}
        for i, one in enumerate(vectors):
            nearest = sorted(((dot(one, other), -j) for j, other in enumerate(vectors) if j != i), reverse=True)
            for similarity, j in nearest[:4]:
                due[min(i, -j), max(i, -j)] = similarity
        # Records of the same text are equally near: which of them comes is not compared.
        place = {row["id"]: i for i, row in enumerate(rows)}
        for pair in found:
            key = place[pair["left_id"]], place[pair["right_id"]]
            self.assertLess(key[0], key[1])
            self.assertAlmostEqual(pair["similarity"], dot(vectors[key[0]], vectors[key[1]]), places=4)
        self.assertAlmostEqual(len(found), len(due), delta=len(due) * 0.05)
        self.assertGreater(sum((place[pair["left_id"]], place[pair["right_id"]]) in due for pair in found), 0.9 * len(due))

    def test_each_pair_once_in_the_order_of_the_input(self):
        rows = records(150)
        path = self.write("records.jsonl", to_lines(rows))
        place = {row["id"]: i for i, row in enumerate(rows)}
        keys = [(place[pair["left_id"]], place[pair["right_id"]]) for pair in self.pairs(path, "--top", "6")]
        self.assertEqual(keys, sorted(set(keys)))
        self.assertTrue(all(left < right for left, right in keys))

    def test_replicas_do_not_matter(self):
        path = self.write("records.jsonl", to_lines(records(700)))
        for search in ("--exact", "--hnsw"):
            results = {self.done(*self.candidates(path, search, "--top", "5", "--replicas", replicas, precision="bf16"))
                       for replicas in (1, 2, 3)}
            self.assertEqual(len(results), 1)

    def test_graphs_find_nearly_what_all_products_find(self):
        path = self.write("records.jsonl", to_lines(records(800)))
        exact, approximate = ({(pair["left_id"], pair["right_id"]) for pair in self.pairs(path, search, "--no-keys", "--top", "10")}
                              for search in ("--exact", "--hnsw"))
        self.assertGreater(len(exact & approximate), 0.8 * len(exact))  # many texts are equal, and so equally near

    def test_output_is_the_input_of_batch(self):
        path = self.write("records.jsonl", to_lines(records(40)))
        pairs, scores = self.folder / "pairs.jsonl", self.folder / "scores"
        self.assertEqual(self.done(*self.candidates(path, "--top", "3", "--output", pairs)), b"")
        self.done("batch", model(), "--task", "duplicate", "--catalog", path, "--input", pairs, "--output", scores)
        rows = from_lines(pairs.read_bytes())
        answers = from_lines((scores / "part-00000.jsonl").read_bytes())
        self.assertEqual([answer["id"] for answer in answers], [f"{row['left_id']}~{row['right_id']}" for row in rows])


class Keys(CandidatesCase):
    def test_a_shared_model_number_makes_a_pair(self):
        rows = [{"id": "a", "title": "Kestrin X200-B mouse", "brand": "Kestrin"},
                {"id": "b", "title": "mouse kestrin x200b", "brand": "KESTRIN "},
                {"id": "c", "title": "toner for x200b", "brand": "Acme"},
                {"id": "d", "title": "something else", "brand": "Kestrin"}]
        path = self.write("records.jsonl", to_lines(rows))
        self.assertEqual(self.pairs(path, "--top", "0"), [{"left_id": "a", "right_id": "b", "key": "x200b"}])
        everyone = self.pairs(path, "--top", "0", "--keys", "none_such")
        self.assertEqual([(pair["left_id"], pair["right_id"]) for pair in everyone], [("a", "b"), ("a", "c"), ("b", "c")])
        both, = (pair for pair in self.pairs(path, "--top", "3") if (pair["left_id"], pair["right_id"]) == ("a", "b"))
        self.assertEqual(set(both), {"left_id", "right_id", "similarity", "key"})

    def test_numbers_of_a_field_of_their_own(self):
        rows = [{"id": "a", "title": "mouse", "gtin": "4006381333931"}, {"id": "b", "title": "rodent", "gtin": 4006381333931}]
        path = self.write("records.jsonl", to_lines(rows))
        self.assertEqual(self.pairs(path, "--top", "0"), [])
        pair, = self.pairs(path, "--top", "0", "--number-fields", "title,gtin")
        self.assertEqual(pair["key"], "4006381333931")

    def test_numbers_that_many_share_make_no_pairs(self):
        rows = [{"id": i, "title": f"kit 100mm {word}"} for i, word in enumerate(WORDS[:9])]
        path = self.write("records.jsonl", to_lines(rows))
        self.assertEqual(len(self.pairs(path, "--top", "0")), 36)
        self.assertEqual(self.pairs(path, "--top", "0", "--largest-block", "8"), [])
        report = self.report(path, "--top", "0", "--largest-block", "8")
        self.assertEqual((report["key_blocks"], report["skipped_key_blocks"], report["largest_key_block"]), (1, 1, 9))


class TwoCatalogues(CandidatesCase):
    def setUp(self):
        super().setUp()
        self.left, self.right = records(40, 1, "l"), records(90, 2, "r")
        self.flags = ("--left-catalog", self.write("left.jsonl", to_lines(self.left)),
                      "--right-catalog", self.write("right.jsonl", to_lines(self.right)))

    def test_pairs_go_from_left_to_right(self):
        pairs = self.pairs(*self.flags, "--top", "5", "--no-keys")
        self.assertEqual(len(pairs), 40 * 5)
        self.assertTrue(all(pair["left_id"][0] == "l" and pair["right_id"][0] == "r" for pair in pairs))

    def test_both_ways_adds_the_neighbours_of_the_right(self):
        one = {(pair["left_id"], pair["right_id"]) for pair in self.pairs(*self.flags, "--top", "3", "--no-keys")}
        both = [(pair["left_id"], pair["right_id"]) for pair in self.pairs(*self.flags, "--top", "3", "--no-keys", "--both-ways")]
        self.assertEqual(len(both), len(set(both)))
        self.assertLess(one, set(both))
        for row in self.right:
            self.assertGreaterEqual(sum(right == row["id"] for _, right in both), 3)

    def test_equal_ids_on_both_sides_are_two_records(self):
        same = self.write("same.jsonl", to_lines(self.left))
        pairs = self.pairs("--left-catalog", same, "--right-catalog", same, "--top", "2", "--no-keys")
        self.assertEqual(len(pairs), 80)
        self.assertTrue(any(pair["left_id"] == pair["right_id"] for pair in pairs))

    def test_report_with_recall(self):
        found = self.pairs(*self.flags, "--top", "4")
        known = [{"left_id": pair["left_id"], "right_id": pair["right_id"]} for pair in found[:3]]
        listed = {(pair["left_id"], pair["right_id"]) for pair in found}
        missed = next({"left_id": one["id"], "right_id": other["id"]} for one in self.left for other in self.right
                      if (one["id"], other["id"]) not in listed)
        known += [missed, {"left_id": "l0", "right_id": "nobody"}, {"left_id": known[0]["right_id"], "right_id": known[0]["left_id"]}]
        matches = self.write("matches.jsonl", to_lines(known))
        report = self.report(*self.flags, "--top", "4", "--matches", matches)
        self.assertEqual((report["matches"], report["unknown_matches"], report["found_matches"]), (5, 1, 4))
        self.assertAlmostEqual(report["recall"], 0.8)
        self.assertEqual((report["left_records"], report["right_records"], report["pairs"]), (40, 90, len(found)))
        self.assertAlmostEqual(report["reduction_ratio"], 1 - len(found) / 3600, places=5)


class Input(CandidatesCase):
    def test_csv_and_compression_say_the_same(self):
        rows = records(50)
        path = self.write("records.jsonl", to_lines(rows))
        due = self.done(*self.candidates(path, "--top", "3"))
        text = io.StringIO()
        writer = csv.DictWriter(text, ["id", "title", "brand", "price"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        packed = self.write("records.csv.gz", gzip.compress(text.getvalue().encode()))
        self.assertEqual(self.done(*self.candidates(packed, "--top", "3")), due)
        self.done(*self.candidates(path, "--top", "3", "--output", self.folder / "pairs.jsonl.gz"))
        self.assertEqual(gzip.decompress((self.folder / "pairs.jsonl.gz").read_bytes()), due)

    def test_standard_input_and_several_files(self):
        rows = records(50)
        path = self.write("records.jsonl", to_lines(rows))
        due = self.done(*self.candidates(path, "--top", "3"))
        a, b = self.write("a.jsonl", to_lines(rows[:20])), self.write("b.jsonl", to_lines(rows[20:]))
        self.assertEqual(self.done(*self.candidates(a, b, "--top", "3")), due)
        self.assertEqual(self.done(*self.candidates("-", "--top", "3"), stdin=path.read_bytes()), due)

    def test_bad_records_cost_only_themselves(self):
        rows = records(30)
        lines = to_lines(rows).splitlines(keepends=True)
        extra = [b"{broken\n", b'{"id":"r3","title":"again"}\n', b'{"title":"nameless"}\n', b'{"id":"x","colour":"red"}\n',
                 b'{"id":"y","title":{"en":"nested"}}\n']
        path = self.write("records.jsonl", b"".join(lines[:10] + extra + lines[10:]))
        clean = self.write("clean.jsonl", to_lines(rows))
        done = run(*self.candidates(path, "--top", "3"))
        self.assertEqual(done.returncode, DONE)
        self.assertEqual(done.stdout, self.done(*self.candidates(clean, "--top", "3")))
        text = done.stderr.decode()
        for number in range(11, 16):
            self.assertIn(f"records.jsonl:{number}", text)
        self.done(*self.candidates(path, "--top", "3", "--max-rejected", "4"), code=FAILED)
        self.assertEqual(self.report(path)["rejected"], 5)

    def test_no_usable_record_is_an_error(self):
        path = self.write("records.jsonl", to_lines(records(5)))
        self.error(BAD_INPUT, *self.candidates(path, "--fields", "nosuch"), says=["no record", "5 rejected"])

    def test_bad_matches_are_said_before_the_work(self):
        path = self.write("records.jsonl", to_lines(records(5)))
        matches = self.write("matches.jsonl", b'{"left_id": "r1"}\n')
        self.error(BAD_INPUT, *self.candidates(path, "--matches", matches), says=["matches.jsonl:1"])

    def test_small_and_empty_catalogues(self):
        empty = self.write("empty.jsonl", b"")
        self.assertEqual(self.pairs(empty), [])
        one = self.write("one.jsonl", to_lines(records(1)))
        self.assertEqual(self.pairs(one), [])
        two = self.write("two.jsonl", to_lines(records(2)))
        self.assertEqual(len(self.pairs(two)), 1)
        self.assertEqual(len(self.pairs(two, "--hnsw")), 1)

    def test_ids_survive(self):
        names = ["a~b", 'quote"d', "back\\slash", "ä€", "17", "line\nbreak"]
        path = self.write("records.jsonl", to_lines([{"id": name, "title": "mouse"} for name in names]))
        pairs = self.pairs(path, "--top", "5")
        self.assertEqual({(pair["left_id"], pair["right_id"]) for pair in pairs},
                         {(a, b) for i, a in enumerate(names) for b in names[i + 1:]})


class Errors(CandidatesCase):
    def setUp(self):
        super().setUp()
        self.path = self.write("records.jsonl", to_lines(records(5)))

    def test_wrong_command_lines(self):
        self.error(WRONG_COMMAND_LINE, *self.candidates(), says=["catalogue"])
        self.error(WRONG_COMMAND_LINE, *self.candidates(self.path, "--left-catalog", self.path), says=["catalogue"])
        self.error(WRONG_COMMAND_LINE, *self.candidates(self.path, "--both-ways"), says=["--both-ways"])
        self.error(WRONG_COMMAND_LINE, *self.candidates(self.path, "--report", "-"), says=["--output"])
        self.error(WRONG_COMMAND_LINE, *self.candidates(self.path, "--input-format", "xml"), says=["jsonl"])
        self.error(WRONG_COMMAND_LINE, "candidates", model(), "--task", "duplicate", self.path, says=["embedding"])
        self.error(WRONG_COMMAND_LINE, *self.candidates(self.path, "--exact", "--hnsw"))

    def test_files_that_are_not_there(self):
        self.error(BAD_INPUT, *self.candidates(self.folder / "missing.jsonl"), says=["missing.jsonl"])
        self.error(BAD_INPUT, *self.candidates(self.path, "--matches", self.folder / "missing.jsonl"), says=["missing.jsonl"])

    def test_too_little_memory(self):
        self.error(WRONG_MACHINE, *self.candidates(self.path, "--memory", "1K"), says=["--memory"])

    def test_nothing_is_left_behind_when_it_fails(self):
        output = self.folder / "out"
        output.mkdir()
        bad = self.write("bad.jsonl", b'{"left_id":"a"}\n')
        self.error(BAD_INPUT, *self.candidates(self.path, "--output", output / "pairs.jsonl", "--matches", bad), says=["bad.jsonl:1"])
        self.assertEqual(list(output.iterdir()), [])

    def test_a_signal_ends_it(self):
        output = self.folder / "out"
        output.mkdir()
        process = subprocess.Popen([TILEWISE, *map(str, self.candidates("-", "--output", output / "pairs.jsonl"))], env=environment(),
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with process.stdin:
            process.stdin.write(to_lines(records(300)))
            process.stdin.flush()
            while not list(output.iterdir()):  # from then on it listens
                self.assertIsNone(process.poll())
                time.sleep(0.02)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), INTERRUPTED)
        self.assertEqual(list(output.iterdir()), [])


class Example(CandidatesCase):
    """The two shops of the example with the real backbone."""

    def test_recall(self):
        backbone = os.environ.get("TILEWISE_BACKBONE", "")
        if not pathlib.Path(backbone, "model.safetensors").exists() or not backbone:
            self.skipTest("TILEWISE_BACKBONE is not set (tools/fetch_backbone.sh DIR gets the backbone)")
        embedding = workplace() / "embedding.tw"
        self.done("compile", backbone, "-o", embedding)
        report = self.folder / "report.json"
        self.done("candidates", embedding, "--left-catalog", EXAMPLE / "northgate.jsonl", "--right-catalog", EXAMPLE / "quayside.jsonl",
                  "--top", "10", "--matches", EXAMPLE / "matches.jsonl", "--output", self.folder / "pairs.jsonl", "--report", report)
        report = json.loads(report.read_text())
        self.assertEqual((report["matches"], report["unknown_matches"]), (91, 0))
        self.assertGreaterEqual(report["recall"], 0.97)


if __name__ == "__main__":
    main()
