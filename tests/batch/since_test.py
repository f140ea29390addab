"""A second run takes what has not changed from the first one, and is what a full run would be: since_test.py TILEWISE."""
import random
import shutil

from harness import (BAD_INPUT, DONE, TestCase, contents, differences, id_pairs, joined, main, manifest, model, parts, records, run,
                     said, texts, to_lines, with_bad_lines, with_flag, without)


class SinceCase(TestCase):
    def setUp(self):
        super().setUp()
        self.previous, self.full = self.folder / "previous", self.folder / "full"

    def check(self, before, after, reused):
        """Runs `before`, then `after` in full and since `before`: all results are the same, and `reused` rows were taken over."""
        self.batch(*before, output=self.previous)
        kept = contents(self.previous)
        self.batch(*after, output=self.full)
        self.batch(*after, "--since", self.previous)
        self.assert_equals_full()
        self.assertEqual(manifest(self.output)["reused"], reused)
        self.assertEqual(sum(part["reused"] for part in manifest(self.output)["parts"]), reused)
        self.assert_same(self.previous, kept)

    def assert_equals_full(self):
        """Every file is the same, but for what the manifests say of where scores came from."""
        self.assertEqual(differences(self.results(self.output), self.results(self.full)), "")

    def results(self, directory):
        found = contents(directory)
        found["_manifest.json"] = without(found["_manifest.json"], {"since", "reused", "tokens"})
        return found


class Rows(SinceCase):
    def flags(self, path, *more, task="intent"):
        return [model(), "--task", task, "--input", path, "--rows-per-part", 40, *more]

    def changed(self, rows, numbers):
        return [{**row, "text": f"a mug no {number} {row['text']}"}
            if number in numbers else row for number, row in enumerate(rows)]

    def test_some_rows_have_changed(self):
        rows = texts(150)
        after = self.changed(rows, {3, 50, 51, 140})
        self.check(self.flags(self.write("before.jsonl", with_bad_lines(rows, [7, 90]))),
                   self.flags(self.write("after.jsonl", with_bad_lines(after, [60]))), 146)

    def test_nothing_has_changed(self):
        path = self.write("rows.jsonl", to_lines(texts(100)))
        self.check(self.flags(path), self.flags(path), 100)

    def test_everything_has_changed(self):
        rows = texts(100)
        after = self.changed(rows, set(range(100)))
        self.check(self.flags(self.write("a.jsonl", to_lines(rows))), self.flags(self.write("b.jsonl", to_lines(after))), 0)

    def test_order_ids_parts_and_formats_do_not_matter(self):
        """What counts is the text that the model sees."""
        rows = texts(120)
        after = [{**row, "id": f"new-{row['id']}"} for row in rows] + texts(20, seed=9)
        random.Random(5).shuffle(after)
        seen = {row["text"] for row in rows}
        before = self.flags(self.write("a.jsonl", to_lines(rows)), "--compress", "gzip")
        after_flags = with_flag(self.flags(self.write("b.jsonl", to_lines(after))), "--rows-per-part", 33)
        after_flags += ["--output-format", "csv", "--top", 2]
        self.check(before, after_flags, sum(row["text"] in seen for row in after))

    def test_several_tasks_logits_and_every_kind(self):
        for task, more in (("intent,tags,urgency", ["--logits"]), ("vector", [])):
            with self.subTest(task):
                rows = texts(60)
                after = self.changed(rows, {1, 2, 3})
                self.check(self.flags(self.write("a.jsonl", to_lines(rows)), task=task),
                           self.flags(self.write("b.jsonl", to_lines(after)), *more, task=task), 57)
                for directory in (self.previous, self.full, self.output):
                    shutil.rmtree(directory)

    def test_a_chain_of_runs(self):
        """What was taken over can be taken over again."""
        rows = texts(100)
        outputs = []
        for day in range(4):
            rows = self.changed(rows, {day, day + 40})
            flags = self.flags(self.write(f"{day}.jsonl", to_lines(rows)))
            outputs.append(self.folder / f"day-{day}")
            self.batch(*flags, *(["--since", outputs[-2]] if day else []), output=outputs[-1])
        self.batch(*flags, output=self.full)
        self.assertEqual(parts(outputs[-1]), parts(self.full))
        self.assertEqual(manifest(outputs[-1])["reused"], 98)

    def test_texts_that_are_cut(self):
        """Two texts that differ only behind the limit have the same tokens; one that just fits is not one that was cut there."""
        long = " ".join(["mug"] * 60)
        fits = " ".join(["mug"] * 38)  # with the two special tokens the limit of 40
        before = self.write("a.jsonl", to_lines([{"id": "a", "text": long}]))
        after = self.write("b.jsonl", to_lines([{"id": "a", "text": long + " case"}, {"id": "b", "text": fits}]))
        self.batch(*self.flags(before), output=self.previous)
        self.batch(*self.flags(after), output=self.full)
        self.batch(*self.flags(after), "--since", self.previous)
        self.assert_equals_full()
        self.assertEqual(joined(self.output).count(b'"truncated":true'), 1)

    def test_an_interrupted_run_goes_on(self):
        rows = texts(150)
        before, after = self.write("a.jsonl", to_lines(rows)), self.write("b.jsonl", to_lines(self.changed(rows, {3, 50, 140})))
        self.check(self.flags(before), self.flags(after), 147)
        (self.output / "part-00001.jsonl").unlink()
        (self.output / "_SUCCESS").unlink()
        self.batch(*self.flags(after), "--since", self.previous)
        self.assert_equals_full()

    def test_shards_since_an_unsharded_run(self):
        rows = texts(120)
        before, after = self.write("a.jsonl", to_lines(rows)), self.write("b.jsonl", to_lines(self.changed(rows, {3, 50})))
        self.batch(*self.flags(before), output=self.previous)
        self.batch(*self.flags(after), output=self.full)
        lines, reused = [], 0
        for i in range(2):
            output = self.folder / f"shard-{i}"
            self.batch(*self.flags(after), "--shard", f"{i}/2", "--since", self.previous, output=output)
            lines += joined(output).splitlines()
            reused += manifest(output)["reused"]
        self.assertEqual(sorted(lines), sorted(joined(self.full).splitlines()))
        self.assertEqual(reused, 118)


class Pairs(SinceCase):
    def flags(self, catalog, pairs, *more):
        return [model(), "--task", "duplicate", "--catalog", catalog, "--input", pairs, "--rows-per-part", 100, *more]

    def setUp(self):
        super().setUp()
        self.catalog = [{**record, "title": f"{number} {record['title']}"} for number, record in enumerate(records(60))]
        self.pairs = id_pairs(400, self.catalog)
        self.changed = [{**record, "title": f"black case no {number}"} if number in (4, 33) else record
                        for number, record in enumerate(self.catalog)]

    def unchanged_pairs(self):
        return sum(not {pair["left_id"], pair["right_id"]} & {"p4", "p33"} for pair in self.pairs)

    def test_some_records_have_changed(self):
        pairs = self.write("pairs.jsonl", to_lines(self.pairs))
        self.check(self.flags(self.write("a.jsonl", to_lines(self.catalog)), pairs),
                   self.flags(self.write("b.jsonl", to_lines(self.changed)), pairs), self.unchanged_pairs())

    def test_both_orders(self):
        pairs = self.write("pairs.jsonl", to_lines(self.pairs))
        self.check(self.flags(self.write("a.jsonl", to_lines(self.catalog)), pairs, "--both-orders"),
                   self.flags(self.write("b.jsonl", to_lines(self.changed)), pairs, "--both-orders"), self.unchanged_pairs())

    def test_left_and_right_are_not_the_same(self):
        """A pair is no other pair because its records change sides."""
        turned = [{"left_id": pair["right_id"], "right_id": pair["left_id"]} for pair in self.pairs
                  if pair["left_id"] != pair["right_id"]]
        known = {(pair["left_id"], pair["right_id"]) for pair in self.pairs}
        catalog = self.write("catalog.jsonl", to_lines(self.catalog))
        self.check(self.flags(catalog, self.write("a.jsonl", to_lines(self.pairs))),
                   self.flags(catalog, self.write("b.jsonl", to_lines(turned))),
                   sum((pair["left_id"], pair["right_id"]) in known for pair in turned))

    def test_written_pairs_since_id_pairs(self):
        """The same pairs written out have the same tokens."""
        by_id = {record["id"]: {name: value for name, value in record.items() if name != "id"} for record in self.catalog}
        rows = [{"id": f"{pair['left_id']}~{pair['right_id']}", "left": by_id[pair["left_id"]], "right": by_id[pair["right_id"]]}
                for pair in self.pairs]
        written = [model(), "--task", "duplicate", "--input", self.write("rows.jsonl", to_lines(rows)), "--rows-per-part", 100]
        catalog, pairs = self.write("catalog.jsonl", to_lines(self.catalog)), self.write("pairs.jsonl", to_lines(self.pairs))
        self.batch(*self.flags(catalog, pairs), output=self.previous)
        self.batch(*written, output=self.full)
        self.batch(*written, "--since", self.previous)
        self.assert_equals_full()
        self.assertEqual(manifest(self.output)["reused"], 400)
        self.assertEqual(parts(self.output), parts(self.previous))


class Refusals(SinceCase):
    def setUp(self):
        super().setUp()
        self.rows = self.write("rows.jsonl", to_lines(texts(100)))
        self.flags = [model(), "--task", "intent", "--input", self.rows, "--rows-per-part", 40]
        self.since = [*self.flags, "--since", self.previous]

    def refuse(self, *flags, code=2, says=(), **more):
        self.refused(*flags, code=code, says=[self.previous.name, *says], **more)
        self.assertFalse((self.output / "_SUCCESS").exists())
        self.assertEqual(list(self.output.glob("part-*")), [])

    def test_an_unfinished_run(self):
        self.batch(*self.flags, output=self.previous)
        changed = (self.previous / "_manifest.json").read_text().replace('"complete"', '"running"')
        (self.previous / "_manifest.json").write_text(changed)
        (self.previous / "_SUCCESS").unlink()
        self.refuse(*self.since)

    def test_without_success(self):
        """Killed between the last manifest and the mark: all of it is there, or it is refused. Never a part."""
        self.batch(*self.flags, output=self.previous)
        (self.previous / "_SUCCESS").unlink()
        done = run("batch", *self.since, "--output", self.output)
        if done.returncode == DONE:
            self.assertEqual(parts(self.output), parts(self.previous))
        else:
            self.assertEqual(done.returncode, 2, said(done))

    def nothing_is_taken(self, says):
        """A job that is started every night goes on when its model is a new one: it says so and computes everything."""
        text = self.batch(*self.since)
        self.assertIn(f"nothing is taken from {self.previous}", text)
        self.assertIn(says, text)
        self.batch(*self.flags, output=self.full)
        self.assertEqual(manifest(self.output)["reused"], 0)
        self.assertEqual(parts(self.output), parts(self.full))

    def test_another_model(self):
        self.batch(model("bf16"), *self.flags[1:], output=self.previous)
        self.nothing_is_taken("model")

    def test_another_task(self):
        self.batch(model(), "--task", "tags", "--input", self.rows, output=self.previous)
        self.nothing_is_taken("task")

    def test_another_order_of_pairs(self):
        catalog, pairs = self.write(
    "catalog.jsonl", to_lines(
        records(20))), self.write(
            "pairs.jsonl", to_lines(
                id_pairs(
                    50, records(20))))
        flags = [model(), "--task", "duplicate", "--catalog", catalog, "--input", pairs]
        self.batch(*flags, output=self.previous)
        self.flags = [*flags, "--both-orders"]
        self.since = [*self.flags, "--since", self.previous]
        self.nothing_is_taken("both_orders")

    def test_another_instruction_set(self):
        self.batch(*self.flags, isa="portable", output=self.previous)
        self.batch(*self.flags, output=self.full)
        if manifest(self.full)["settings"]["isa"] == manifest(self.previous)["settings"]["isa"]:
            self.skipTest("this machine has only one")
        self.refuse(*self.since, says=["portable", "--allow-other-isa"])
        self.batch(*self.since, "--allow-other-isa")
        self.assertEqual(manifest(self.output)["reused"], 100)

    def test_no_scores(self):
        self.batch(*self.flags, "--no-scores", output=self.previous)
        self.assertFalse((self.previous / "_scores").exists())
        self.refuse(*self.since, says=["scores"])

    def test_damaged_scores(self):
        """A score that nobody can vouch for is not taken over."""
        self.batch(*self.flags, output=self.previous)
        path = self.previous / "_scores" / "part-00001.scores"
        good = path.read_bytes()
        for number, bad in enumerate((good[:-1], good[:50], b"", good[:200] + \
                                     bytes([good[200] ^ 1]) + good[201:], b"x" * len(good), good + b"x")):
            with self.subTest(number):
                path.write_bytes(bad)
                self.refuse(*self.since, code=BAD_INPUT, says=["part-00001.scores"])
        path.unlink()
        self.refuse(*self.since, code=BAD_INPUT, says=["part-00001.scores"])

    def test_no_job_at_all(self):
        self.refuse(*self.since, code=BAD_INPUT)
        self.previous.mkdir()
        done = run("batch", *self.since, "--output", self.output)
        self.assertIn(done.returncode, (2, BAD_INPUT), said(done))

    def test_itself(self):
        self.batch(*self.flags, output=self.previous)
        kept = contents(self.previous)
        for name in (self.previous, f"{self.previous}/", self.previous / ".." / "previous"):
            done = run("batch", *self.flags, "--since", name, "--overwrite", "--output", self.previous)
            self.assertEqual(done.returncode, 2, said(done))
            self.assert_same(self.previous, kept)


if __name__ == "__main__":
    main()
