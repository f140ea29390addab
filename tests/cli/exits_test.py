"""Adaptive depth on the command line: exits_test.py TILEWISE.

Three models of one checkpoint tell what is due: one whose exits answer everything, one without exits, and the one that is
tested, whose exits are certain of about half of the rows.
"""
import csv
import io
import json
import math
import statistics

from harness import (DONE, EXIT_TEMPERATURE, LAYERS, WRONG_COMMAND_LINE, TestCase, certainty, exit_rows, from_lines, main, model, model_that_exits,
                     model_with_exits, run, to_lines)

TASKS = ("duplicate", "intent")
TEMPERATURE = {"duplicate": 1, "intent": 1.5}  # of the tasks


def ask(path, task, rows, *flags):
    done = run("predict", path, "--task", task, *flags, stdin=to_lines(rows))
    assert done.returncode == DONE, done.stderr.decode()
    return from_lines(done.stdout)


def without(answer, *names):
    return {name: value for name, value in answer.items() if name not in names}


def decision(answer):
    if "labels" not in answer:
        return answer["label"]
    return None if answer.get("out_of_scope") else answer["labels"][0]["label"]


class Predict(TestCase):
    def test_each_row_leaves_where_its_answer_is_certain(self):
        for task in TASKS:
            rows = exit_rows(task)
            early, late = ask(model_that_exits(), task, rows), ask(model(), task, rows)
            answers = ask(model_with_exits(), task, rows)
            sure = {id: certainty(answer) for id, answer in enumerate(early)}
            leave = [answer["depth"] == 1 for answer in answers]
            self.assertIn(sum(leave), range(15, 46), task)
            self.assertGreater(min(sure[i] for i, left in enumerate(leave) if left), max(sure[i] for i, left in enumerate(leave) if not left))
            for answer, at_exit, at_end in zip(answers, early, late):
                self.assertEqual(at_exit["depth"], 1)
                self.assertEqual(answer, at_exit if answer["depth"] == 1 else {**at_end, "depth": LAYERS})

    def test_logits_of_exits_fit_the_tasks_temperature(self):
        # What a reader makes of the logits with the task's temperature is the exit's probability.
        for answer in ask(model_that_exits(), "intent", exit_rows("intent"), "--logits", "--top", "0"):
            powers = [math.exp(logit / TEMPERATURE["intent"]) for logit in answer["logits"]]
            self.assertAlmostEqual(max(powers) / sum(powers), answer["labels"][0]["score"], places=5)
        for answer in ask(model_that_exits(), "duplicate", exit_rows("duplicate"), "--logits"):
            self.assertAlmostEqual(1 / (1 + math.exp(-answer["logits"][0])), answer["score"], places=5)
            self.assertEqual(answer["label"], "duplicate" if answer["logits"][0] >= -0.68 else None)

    def test_full_depth(self):
        for task in TASKS:
            rows = exit_rows(task)
            for path in (model_with_exits(), model_that_exits()):
                full = ask(path, task, rows, "--full-depth")
                self.assertEqual({answer["depth"] for answer in full}, {LAYERS})
                self.assertEqual([without(answer, "depth") for answer in full], ask(model(), task, rows))

    def test_neighbours_do_not_matter(self):
        rows = [{"id": i, **row} for i, row in enumerate(exit_rows("intent"))]
        answers = ask(model_with_exits(), "intent", rows)
        self.assertEqual(ask(model_with_exits(), "intent", rows[::-1], "--replicas", "2"), answers[::-1])
        self.assertEqual([ask(model_with_exits(), "intent", [row])[0] for row in rows[:6]], answers[:6])

    def test_one_pass_for_several_tasks(self):
        rows = exit_rows("intent")
        alone, tags = ask(model_with_exits(), "intent", rows), ask(model(), "tags", rows)
        together = ask(model_with_exits(), "intent,tags", rows)
        self.assertEqual([answer["intent"] for answer in together], [without(answer, "id") for answer in alone])
        self.assertEqual([answer["tags"] for answer in together], [without(answer, "id") for answer in tags])

    def test_both_orders_are_their_mean(self):
        rows = exit_rows("duplicate")
        swapped = [{"left": row["right"], "right": row["left"]} for row in rows]
        there, back, both = (ask(model_with_exits(), "duplicate", asked, "--logits", *flags)
                             for asked, flags in ((rows, []), (swapped, []), (rows, ["--both-orders"])))
        for a, b, mean in zip(there, back, both):
            self.assertEqual(mean["depth"], (a["depth"] + b["depth"]) / 2)
            self.assertAlmostEqual(mean["logits"][0], (a["logits"][0] + b["logits"][0]) / 2, places=5)
        self.assertIn(1.5, {answer["depth"] for answer in both})

    def test_texts_on_the_command_line(self):
        answer, = from_lines(self.done("predict", model_that_exits(), "--task", "intent", "where is my parcel"))
        self.assertEqual(answer["depth"], 1)

    def test_without_exits_there_is_no_depth_and_no_flag(self):
        self.assertNotIn("depth", ask(model_with_exits(), "tags", exit_rows("intent"))[0])
        self.error(WRONG_COMMAND_LINE, "predict", model_with_exits(), "--task", "tags", "--full-depth", says=["--full-depth", "exits", "tags"])


class Batch(TestCase):
    def setUp(self):
        super().setUp()
        self.rows = self.write("rows.jsonl", to_lines(exit_rows("intent")) + b"bad\n")
        self.output = self.folder / "out"
        self.answers = ask(model_with_exits(), "intent", exit_rows("intent"))
        self.depth = statistics.fmean(answer["depth"] for answer in self.answers)

    def batch(self, *more, output=None):
        command = ("batch", model_with_exits(), "--task", "intent", "--input", self.rows, "--rows-per-part", "20", "--json")
        summary, = from_lines(self.done(*command, "--output", output or self.output, *more))
        return summary

    def manifest(self, output=None):
        return json.loads(((output or self.output) / "_manifest.json").read_text(encoding="utf-8"))

    def parts(self, output):
        return {path.name: path.read_bytes() for path in sorted(output.glob("part-*"))}

    def test_summary_and_manifest_say_the_mean(self):
        self.assertAlmostEqual(self.batch()["depth"]["intent"], self.depth, places=5)
        manifest = self.manifest()
        self.assertAlmostEqual(manifest["depth"]["intent"], self.depth, places=5)
        self.assertIs(manifest["settings"]["full_depth"], False)
        self.assertEqual(sum(part["layers"]["intent"] for part in manifest["parts"]), sum(answer["depth"] for answer in self.answers))

    def test_a_resumed_job_counts_all_of_its_answers(self):
        self.batch()
        before = self.parts(self.output)
        (self.output / "_SUCCESS").unlink()
        (self.output / "part-00001.jsonl").unlink()
        self.assertAlmostEqual(self.batch()["depth"]["intent"], self.depth, places=5)
        self.assertEqual(self.parts(self.output), before)
        self.assertAlmostEqual(self.manifest()["depth"]["intent"], self.depth, places=5)

    def test_without_answers_there_is_no_depth(self):
        self.rows = self.write("rows.jsonl", b"bad\nworse\n")
        summary = self.batch()
        self.assertEqual((summary["rows"], summary["rejected"]), (2, 2))
        self.assertNotIn("depth", summary)
        self.assertNotIn("depth", self.manifest())

    def test_another_depth_is_another_job(self):
        self.batch()
        self.error(WRONG_COMMAND_LINE, "batch", model_with_exits(), "--task", "intent", "--input", self.rows, "--rows-per-part", "20", "--full-depth",
                   "--output", self.output, says=["another job", "full_depth false", "full_depth true"])

    def test_scores_are_lent_at_the_same_depth_alone(self):
        self.batch()
        again, full, full_again = (self.folder / name for name in ("again", "full", "full-again"))
        self.assertEqual(self.batch("--since", self.output, output=again)["reused"], len(self.answers))
        self.assertEqual(self.parts(again), self.parts(self.output))
        self.assertAlmostEqual(self.manifest(again)["depth"]["intent"], self.depth, places=5)
        summary = self.batch("--full-depth", "--since", self.output, output=full)
        self.assertEqual((summary["reused"], summary["depth"]), (0, {"intent": LAYERS}))
        self.assertEqual(self.batch("--full-depth", "--since", full, output=full_again)["reused"], len(self.answers))
        self.assertEqual(self.parts(full_again), self.parts(full))

    def test_a_column(self):
        self.batch("--output-format", "csv")
        table = [row for part in self.parts(self.output).values() for row in csv.DictReader(io.StringIO(part.decode()))]
        self.assertEqual([float(row["depth"]) for row in table], [answer["depth"] for answer in self.answers])

    def test_without_exits_nothing_is_said(self):
        summary, = from_lines(self.done("batch", model_with_exits(), "--task", "tags", "--input", self.rows, "--output", self.output, "--json"))
        self.assertNotIn("depth", summary)
        manifest = self.manifest()
        self.assertFalse({"depth"} & set(manifest) or {"full_depth"} & set(manifest["settings"]) or {"layers"} & set(manifest["parts"][0]))


class Eval(TestCase):
    def measure(self, task, rows, *flags):
        path = self.write("labelled.jsonl", to_lines(rows))
        return json.loads(self.done("eval", model_with_exits(), "--task", task, "--input", path, "--json", *flags))

    def labelled(self, task):
        """Rows whose labels are the decisions at full depth, but for every third."""
        rows = exit_rows(task)
        full = ask(model_with_exits(), task, rows, "--full-depth")
        labels = [decision(answer) for answer in full]
        names = {"duplicate": ["duplicate", None], "intent": ["refund", "other", "small_talk"]}[task]
        return [{**row, "label": label if i % 3 else names[i % len(names)]} for i, (row, label) in enumerate(zip(rows, labels))]

    def test_depth_and_changed_decisions(self):
        for task in TASKS:
            rows = self.labelled(task)
            answers, full = ask(model_with_exits(), task, rows), ask(model_with_exits(), task, rows, "--full-depth")
            depth = self.measure(task, rows)["depth"]
            self.assertAlmostEqual(depth["mean"], statistics.fmean(answer["depth"] for answer in answers), places=5)
            self.assertEqual(depth["layers"], LAYERS)
            changed = statistics.fmean(decision(a) != decision(b) for a, b in zip(answers, full))
            self.assertAlmostEqual(depth["changed"], changed, places=5)
            self.assertGreater(changed, 0, "random heads agree by chance alone")
            self.assertEqual(self.measure(task, rows, "--full-depth")["depth"], {"mean": LAYERS, "layers": LAYERS, "changed": 0})

    def test_the_best_temperature_is_of_what_went_all_the_way(self):
        rows = self.labelled("duplicate")
        report = self.measure("duplicate", rows)
        answers = ask(model_with_exits(), "duplicate", rows, "--logits")
        signed = [(answer["logits"][0] if row["label"] else -answer["logits"][0], answer["depth"] == LAYERS) for answer, row in zip(answers, rows)]
        self.assertNotEqual(EXIT_TEMPERATURE, 1)

        def loss(temperature):
            return statistics.fmean(math.log1p(math.exp(-logit / (temperature if late else 1))) for logit, late in signed)

        self.assertAlmostEqual(report["log_loss"], loss(1), places=5)
        best = report["best_temperature"]
        self.assertAlmostEqual(report["best_log_loss"], loss(best), places=5)
        for factor in (0.5, 0.9, 0.99, 1.01, 1.1, 2):
            self.assertLess(loss(best), loss(best * factor))

    def test_for_people(self):
        path = self.write("labelled.jsonl", to_lines(self.labelled("duplicate")))
        text = self.done("eval", model_with_exits(), "--task", "duplicate", "--input", path).decode()
        for part in ("of 2 layers", "% of the decisions are others at full depth", "best temperature"):
            self.assertIn(part, text)


class Bench(TestCase):
    def bench(self, *more):
        report, = from_lines(self.done("bench", model_with_exits(), "--task", "intent", "--seconds", "0.05", "--warmup", "0.01", "--json", *more))
        return report

    def test_the_depth_is_that_of_the_rows(self):
        rows = self.write("rows.jsonl", to_lines(exit_rows("intent")))
        depths = [answer["depth"] for answer in ask(model_with_exits(), "intent", exit_rows("intent"))]
        for flags in (["--scenario", "offline"], ["--scenario", "single"]):
            report = self.bench("--input", rows, *flags)
            due = [depths[i % len(depths)] for i in range(report["rows"])]
            self.assertAlmostEqual(report["depth"]["mean"], statistics.fmean(due), places=4)
            self.assertEqual(report["depth"]["layers"], LAYERS)
            self.assertEqual(self.bench("--input", rows, *flags, "--full-depth")["depth"], {"mean": LAYERS, "layers": LAYERS})

    def test_tokens(self):
        self.assertTrue(1 <= self.bench("--tokens", "9", "--sequences", "40")["depth"]["mean"] <= LAYERS)
        self.assertEqual(self.bench("--tokens", "9", "--sequences", "4", "--full-depth")["depth"]["mean"], LAYERS)

    def test_a_task_without_exits_goes_all_the_way(self):
        rows = self.write("rows.jsonl", to_lines(exit_rows("intent")))
        report, = from_lines(self.done("bench", model_with_exits(), "--task", "intent,tags", "--input", rows, "--seconds", "0.05", "--warmup", "0.01", "--json"))
        self.assertEqual(report["depth"], {"mean": LAYERS, "layers": LAYERS})


if __name__ == "__main__":
    main()
