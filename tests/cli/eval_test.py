"""eval: measures against the same ones made here from `predict --logits`: eval_test.py TILEWISE."""
import csv
import io
import json
import math
import random
import statistics

from harness import BAD_INPUT, FAILED, WRONG_COMMAND_LINE, TestCase, main, model, to_lines

LABELS = ["order_status", "refund", "product_search", "small_talk", "other"]
TAGS = ["urgent", "polite", "question"]
WORDS = "where is my parcel refund the red shoes order black 42 please now".split()


def random_rows(count, label, seed=5):
    generator = random.Random(seed)
    text = lambda: " ".join(generator.choices(WORDS, k=generator.randint(1, 9)))
    return [{**({"left": {"title": text()}, "right": {"title": text()}} if label == "pair" else {"text": text()}),
             "label": generator.randint(0, 1) if label == "pair" else label(generator)} for _ in range(count)]


def f1(truths, answers):
    both = sum(truth and answer for truth, answer in zip(truths, answers))
    return 2 * both / max(1, sum(truths) + sum(answers))


class Measures(TestCase):
    def measure(self, task, rows, *flags):
        path = self.write("rows.jsonl", to_lines(rows))
        report = json.loads(self.done("eval", model(), "--task", task, "--input", path, "--json", *flags))
        self.assertEqual((report["task"], report["rows"], report["rejected"]), (task, len(rows), 0))
        answers = self.answers("predict", model(), "--task", task, "--logits", *(["--top", "0"] if task == "intent" else []), rows=rows)
        return report, answers

    def test_binary(self):
        rows = random_rows(300, "pair")
        report, answers = self.measure("duplicate", rows)
        truths = [row["label"] == 1 for row in rows]
        logits = [answer["logits"][0] for answer in answers]
        self.assertAlmostEqual(report["f1"], f1(truths, [logit >= -0.68 for logit in logits]), places=5)
        self.assertAlmostEqual(report["best_f1"], max(f1(truths, [logit >= least for logit in logits]) for least in logits), places=5)
        pairs = [(a > b) + (a == b) / 2 for a, is_a in zip(logits, truths) if is_a for b, is_b in zip(logits, truths) if not is_b]
        self.assertAlmostEqual(report["roc_auc"], statistics.fmean(pairs), places=5)
        loss = statistics.fmean(-math.log(answer["score"] if truth else 1 - answer["score"]) for answer, truth in zip(answers, truths))
        self.assertAlmostEqual(report["log_loss"], loss, places=4)
        again, _ = self.measure("duplicate", rows, "--threshold", str(report["best_threshold"]))
        self.assertAlmostEqual(again["f1"], report["best_f1"], places=5)

    def test_multiclass_and_out_of_scope(self):
        rows = random_rows(400, lambda generator: generator.choice([*LABELS, "oos"]))
        report, answers = self.measure("intent", rows)
        inside = [(row["label"], answer["labels"][0]["label"]) for row, answer in zip(rows, answers) if row["label"] != "oos"]
        self.assertAlmostEqual(report["accuracy"], statistics.fmean(due == best for due, best in inside), places=5)
        by_label = [f1([due == label for due, _ in inside], [best == label for _, best in inside]) for label in LABELS]
        self.assertAlmostEqual(report["macro_f1"], statistics.fmean(by_label), places=5)
        self.assertEqual([entry["label"] for entry in report["labels"]], LABELS)
        outside = report["out_of_scope"]
        rejected = [answer.get("out_of_scope", False) for answer in answers]
        is_outside = [row["label"] == "oos" for row in rows]
        self.assertEqual(outside["rows"], sum(is_outside))
        self.assertAlmostEqual(outside["recall"], sum(a and b for a, b in zip(rejected, is_outside)) / sum(is_outside), places=5)
        kept = 1 - sum(a and not b for a, b in zip(rejected, is_outside)) / len(inside)
        self.assertAlmostEqual(outside["in_scope_kept"], kept, places=5)
        energy = [math.log(sum(math.exp(logit) for logit in answer["logits"])) for answer in answers]
        kept = statistics.fmean(e >= outside["below_keeping_95"] for e, out in zip(energy, is_outside) if not out)
        self.assertTrue(0.95 <= kept + 1e-9 and kept < 0.96, kept)

    def test_multilabel(self):
        rows = random_rows(200, lambda generator: generator.sample(TAGS, generator.randint(0, 3)))
        report, answers = self.measure("tags", rows)
        due = [tag in row["label"] for row in rows for tag in TAGS]
        found = [logit >= 0.25 for answer in answers for logit in answer["logits"]]
        self.assertAlmostEqual(report["micro"]["f1"], f1(due, found), places=5)
        exact = [due[i:i + 3] == found[i:i + 3] for i in range(0, len(due), 3)]
        self.assertAlmostEqual(report["exact"], statistics.fmean(exact), places=5)

    def test_regression(self):
        rows = random_rows(100, lambda generator: round(generator.uniform(-2, 2), 3))
        report, answers = self.measure("urgency", rows)
        errors = [answer["value"] - row["label"] for answer, row in zip(answers, rows)]
        self.assertAlmostEqual(report["mean_absolute_error"], statistics.fmean(map(abs, errors)), places=4)
        self.assertAlmostEqual(report["root_mean_square_error"], math.sqrt(statistics.fmean(e * e for e in errors)), places=4)
        self.assertAlmostEqual(report["pearson"], statistics.correlation([answer["value"] for answer in answers], [row["label"] for row in rows]), places=4)


class Rows(TestCase):
    def test_csv_is_the_same(self):
        rows = random_rows(50, lambda generator: generator.choice(LABELS))
        table = io.StringIO()
        writer = csv.DictWriter(table, ["label", "text"])
        writer.writeheader()
        writer.writerows(rows)
        reports = [json.loads(self.done("eval", model(), "--task", "intent", "--input", self.write(name, content), "--json"))
                   for name, content in (("rows.csv", table.getvalue()), ("rows.jsonl", to_lines(rows)))]
        for report in reports:
            del report["seconds"]
        self.assertEqual(*reports)

    def test_bad_rows_are_left_out(self):
        rows = random_rows(20, lambda generator: generator.choice(LABELS))
        path = self.write("rows.jsonl", to_lines([*rows[:10], {"text": "no label"}, {"text": "a", "label": "unheard of"}, {"label": "refund"}, *rows[10:]]))
        report = json.loads(self.done("eval", model(), "--task", "intent", "--input", path, "--json"))
        self.assertEqual((report["rows"], report["rejected"]), (20, 3))
        self.done("eval", model(), "--task", "intent", "--input", path, "--max-rejected", "2", code=FAILED)

    def test_another_field(self):
        rows = [{"text": row["text"], "gold": row["label"]} for row in random_rows(20, lambda generator: generator.choice(LABELS))]
        path = self.write("rows.jsonl", to_lines(rows))
        self.assertIn("accuracy", self.done("eval", model(), "--task", "intent", "--input", path, "--label-field", "gold").decode())

    def test_for_people(self):
        path = self.write("rows.jsonl", to_lines(random_rows(60, "pair")))
        text = self.done("eval", model(), "--task", "duplicate", "--input", path).decode()
        for part in ("duplicate (binary)", "F1", "precision", "best threshold", "ROC AUC", "calibration error"):
            self.assertIn(part, text)

    def test_errors(self):
        rows = self.write("rows.jsonl", to_lines([{"text": "no label"}]))
        self.error(BAD_INPUT, "eval", model(), "--task", "intent", "--input", rows, says=["no row", "1 rejected"])
        self.error(WRONG_COMMAND_LINE, "eval", model(), "--task", "vector", "--input", rows, says=["embedding"])
        self.error(WRONG_COMMAND_LINE, "eval", model(), "--task", "intent,tags", "--input", rows, says=["one task"])
        self.error(BAD_INPUT, "eval", model(), "--task", "none", "--input", rows, says=["none"])
        self.error(BAD_INPUT, "eval", model(), "--task", "intent", "--input", self.folder / "missing", says=["missing"])


if __name__ == "__main__":
    main()
