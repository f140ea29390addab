"""predict: answers, their forms, their order, and rows that cannot be answered: predict_test.py TILEWISE."""
import json
import math
import os
import random
import signal
import struct
import subprocess

from harness import (BAD_INPUT, DONE, FAILED, TILEWISE, WRONG_COMMAND_LINE, TestCase, environment, from_lines, golden_case, main, model, run,
                     to_lines)

TEXT_TASKS = ("intent", "tags", "urgency", "vector")
WORDS = "where is my parcel refund the red shoes xyzzy ! order black café 42".split()
# fp32 against PyTorch: a few dozen sums of at most 72 products of numbers around 1, 2^-24 each, with room.
TOLERANCE = 1e-4


def random_texts(count, seed=1):
    generator = random.Random(seed)
    return [" ".join(generator.choices(WORDS, k=generator.randint(0, 60))) for _ in range(count)]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


class Answers(TestCase):
    def close(self, found, due):
        self.assertEqual(len(found), len(due))
        for a, b in zip(found, due):
            self.assertLess(abs(a - b), TOLERANCE)

    def cases(self, task):
        # A record without any field of the template is refused (Rows.test_pair_rows).
        rows = [row for row in golden_case("multi_task", task)["rows"] if row["input"].get("left") != {"color": "red"}]
        flags = {"intent": ["--logits", "--top", "0"], "vector": []}.get(task, ["--logits"])
        answers = self.answers("predict", model(), "--task", task, *flags, rows=[row["input"] for row in rows])
        self.assertEqual([answer["id"] for answer in answers], list(range(1, len(rows) + 1)))
        for row, answer in zip(rows, answers):
            self.assertEqual(answer.get("truncated", False), row["truncated"])
            self.assertNotEqual(answer.get("truncated"), False, "it is said only where it is true")
        return zip(rows, answers)

    def test_binary(self):
        # Pairs of the fixture: scores from PyTorch's logits and the task's threshold, -0.68.
        for row, answer in self.cases("duplicate"):
            logit = row["logits"][0]
            self.assertEqual(set(answer) - {"truncated"}, {"id", "score", "label", "logits"})
            self.close(answer["logits"], row["logits"])
            self.close([answer["score"]], [sigmoid(logit)])
            self.assertEqual(answer["label"], "duplicate" if logit >= -0.68 else None)

    def test_multiclass(self):
        labels = ["order_status", "refund", "product_search", "small_talk", "other"]
        for row, answer in self.cases("intent"):
            exponentials = [math.exp(logit / 1.5) for logit in row["logits"]]  # temperature 1.5
            scores = {label: value / sum(exponentials) for label, value in zip(labels, exponentials)}
            best_first = sorted(scores, key=scores.get, reverse=True)
            self.assertEqual([entry["label"] for entry in answer["labels"]], best_first)
            self.close([entry["score"] for entry in answer["labels"]], [scores[label] for label in best_first])
            energy = math.log(sum(math.exp(logit) for logit in row["logits"]))
            self.assertEqual(answer.get("out_of_scope", False), energy < 1.5)
            self.assertNotEqual(answer.get("out_of_scope"), False)

    def test_multilabel(self):
        for row, answer in self.cases("tags"):
            due = {label: sigmoid(logit) for label, logit in zip(("urgent", "polite", "question"), row["logits"]) if logit >= 0.25}
            self.assertEqual({entry["label"] for entry in answer["labels"]}, set(due))
            for entry in answer["labels"]:
                self.close([entry["score"]], [due[entry["label"]]])

    def test_regression_and_embedding(self):
        for row, answer in self.cases("urgency"):
            self.close([answer["value"]], row["logits"])
        for row, answer in self.cases("vector"):
            self.assertEqual(set(answer) - {"truncated"}, {"id", "embedding"})
            self.close(answer["embedding"], row["embedding"])

    def test_floats_are_the_shortest_that_read_back_as_float32(self):
        for line in self.done("predict", model(), "--task", "vector", "where is my parcel").decode().splitlines():
            for text in line[line.index("[") + 1:line.index("]")].split(","):
                as_float32, = struct.unpack("f", struct.pack("f", float(text)))
                self.assertEqual(struct.pack("f", float(text)), struct.pack("f", as_float32))
                self.assertLessEqual(len(text), 15)

    def test_top(self):
        for top, count in ((None, 1), (1, 1), (3, 3), (0, 5), (99, 5)):
            more = [] if top is None else ["--top", top]
            answer, = self.answers("predict", model(), "--task", "intent", *more, "where is my parcel")
            self.assertEqual(len(answer["labels"]), count)

    def test_threshold_is_on_the_logit(self):
        pair = ["--task", "duplicate", "--logits", "red shoe", "red shoes"]
        logit = self.answers("predict", model(), *pair)[0]["logits"][0]
        for threshold, label in ((logit - 0.01, "duplicate"), (logit + 0.01, None), (-99, "duplicate")):
            self.assertEqual(self.answers("predict", model(), *pair, "--threshold", f"{threshold:.6f}")[0]["label"], label)

    def test_both_orders_give_the_mean(self):
        rows = [{"left": a, "right": b} for a, b in zip(random_texts(20, 2), random_texts(20, 3))]
        swapped = [{"left": row["right"], "right": row["left"]} for row in rows]
        ask = ["predict", model(), "--task", "duplicate", "--logits"]
        one, other = self.answers(*ask, rows=rows), self.answers(*ask, rows=swapped)
        both = self.answers(*ask, "--both-orders", rows=rows)
        for a, b, mean in zip(one, other, both):
            self.close(mean["logits"], [(a["logits"][0] + b["logits"][0]) / 2])
        self.assertEqual([answer["logits"] for answer in both], [answer["logits"] for answer in self.answers(*ask, "--both-orders", rows=swapped)])
        self.assertNotEqual([answer["logits"] for answer in one], [answer["logits"] for answer in both])

    def test_records_go_through_the_template(self):
        record = {"title": "red shoe", "brand": "acme", "color": "ignored", "price": 5.10, "size": None}
        rows = [{"left": record, "right": {"title": "red shoes", "brand": ""}},
                {"left": "COL title VAL red shoe COL brand VAL acme COL price VAL 5.10", "right": "COL title VAL red shoes"}]
        one, other = self.answers("predict", model(), "--task", "duplicate", "--logits", rows=rows)
        self.assertEqual(one["logits"], other["logits"])


class Together(TestCase):
    def test_batched_equals_single_line_by_line(self):
        rows = [{"id": i, "text": text} for i, text in enumerate(random_texts(300))]
        for precision in ("fp32", "bf16"):
            ask = ["predict", model(precision), "--task", "intent,vector", "--logits"]
            together = self.done(*ask, stdin=to_lines(rows)).splitlines()
            self.assertEqual(len(together), len(rows))
            for row in random.Random(4).sample(rows, 8):
                self.assertEqual(self.done(*ask, stdin=to_lines([row])).splitlines(), [together[row["id"]]])

    def test_replicas_do_not_matter(self):
        rows = to_lines({"text": text} for text in random_texts(500))
        one, two, three = (self.done("predict", model("bf16"), "--task", "intent", "--replicas", n, stdin=rows) for n in (1, 2, 3))
        self.assertTrue(one == two == three)

    def test_several_tasks_in_one_pass(self):
        rows = to_lines({"id": f"row {i}", "text": text} for i, text in enumerate(random_texts(50)))
        together = from_lines(self.done("predict", model("bf16"), "--task", ",".join(TEXT_TASKS), "--logits", stdin=rows))
        for task in TEXT_TASKS:
            more = ["--logits"] if task != "vector" else []
            alone = from_lines(self.done("predict", model("bf16"), "--task", task, *more, stdin=rows))
            for one, all_tasks in zip(alone, together, strict=True):
                self.assertEqual(one, {"id": all_tasks["id"], **all_tasks[task]})
        self.assertEqual(list(together[0]), ["id", *TEXT_TASKS])

    def test_texts_on_the_command_line(self):
        texts = ["where is my parcel", "", "-5 degrees", "café"]
        rows = self.done("predict", model(), "--task", "intent", stdin=to_lines({"text": text} for text in texts))
        self.assertEqual(self.done("predict", model(), "--task", "intent", "--", *texts), rows)
        pair = self.done("predict", model(), "--task", "duplicate", "red shoe", "red shoes")
        self.assertEqual(pair, self.done("predict", model(), "--task", "duplicate", stdin=to_lines([{"left": "red shoe", "right": "red shoes"}])))

    def test_one_task_needs_no_name(self):
        answer, = self.answers("predict", model(folder="bert_classifier", backbone=None), "a text")
        self.assertEqual(set(answer), {"id", "labels"})

    def test_limit(self):
        rows = to_lines({"text": text} for text in random_texts(300))
        whole = self.done("predict", model(), "--task", "tags", stdin=rows).splitlines()
        for limit in (1, 200, 1000):
            self.assertEqual(self.done("predict", model(), "--task", "tags", "--limit", limit, stdin=rows).splitlines(), whole[:limit])


class Rows(TestCase):
    def test_ids(self):
        rows = b'{"id":"a\\u00e9\\n","text":"x"}\n{"id":1.50,"text":"x"}\n\n{"text":"x"}\r\n{"text":"x"}'
        lines = self.done("predict", model(), "--task", "urgency", stdin=rows).decode().splitlines()
        self.assertEqual([line.split(",")[0] for line in lines], ['{"id":"a\u00e9\\n"', '{"id":1.50', '{"id":4', '{"id":5'])

    def test_bad_rows_are_reported_counted_and_left_out(self):
        bad = {b"not json": "not a JSON object", b'{"txt":"a"}': 'expected "text"', b'{"text":5}': "found a number", b'["text"]': "not a JSON object",
               b'{"text":{"title":"a"}}': "template", b'{"left":"a","right":"b"}': 'expected "text"', b'{"text":"a"': "not valid JSON",
               b'{"id":{},"text":"a"}': 'field "id"'}
        rows = b"".join(b'{"text":"good"}\n' + row + b"\n" for row in bad)
        done = run("predict", model(), "--task", "intent", stdin=rows)
        self.assertEqual(done.returncode, DONE)
        self.assertEqual([answer["id"] for answer in from_lines(done.stdout)], list(range(1, 2 * len(bad), 2)))
        warnings = [line for line in done.stderr.decode().splitlines() if "row rejected" in line]
        self.assertEqual(len(warnings), len(bad))
        for number, (warning, says) in enumerate(zip(warnings, bad.values())):
            self.assertIn(f"standard input:{2 * number + 2}", warning)
            self.assertIn(says, warning)

    def test_pair_rows(self):
        bad = {b'{"left":"a"}': 'expected "right"', b'{"left":{"title":["a"]},"right":"b"}': 'field "left.title"', b'{"text":"a"}': 'expected "left"',
               b'{"left":{"color":"red"},"right":{"title":"shirt"}}': "found color"}
        done = run("predict", model(), "--task", "duplicate", stdin=b"\n".join(bad))
        self.assertEqual((done.returncode, done.stdout), (DONE, b""))
        for warning, says in zip(done.stderr.decode().splitlines(), bad.values(), strict=True):
            self.assertIn(says, warning)

    def test_many_bad_rows_are_only_counted(self):
        done = run("predict", model(), "--task", "intent", stdin=b"bad\n" * 5000)
        self.assertEqual(done.returncode, DONE)
        self.assertLess(len(done.stderr.splitlines()), 15)
        self.assertIn("5,000 rows were rejected", done.stderr.decode())

    def test_max_rejected(self):
        rows = b'{"text":"a"}\nbad\nbad\n{"text":"a"}\n'
        for most, code in (("2", DONE), ("all", DONE), ("1", FAILED), ("0", FAILED)):
            done = run("predict", model(), "--task", "intent", "--max-rejected", most, stdin=rows)
            self.assertEqual(done.returncode, code)
            self.assertEqual(len(done.stdout.splitlines()), 2, "the rest is answered all the same")
            self.assertEqual(b"tilewise: error: too many rows were rejected" in done.stderr, code == FAILED)

    def test_empty_and_very_long_texts(self):
        empty, long, after = self.answers("predict", model(), "--task", "intent", rows=[{"text": ""}, {"text": "word " * 200_000}, {"text": "a"}])
        self.assertNotIn("truncated", empty)
        self.assertIs(long["truncated"], True)
        self.assertNotIn("truncated", after)

    def test_invalid_utf8_and_surrogates_become_replacement_characters(self):
        rows = b'{"text":"a \xff b"}\n{"text":"a \\ud800 b"}\n{"text":"a \xef\xbf\xbd b"}\n'
        values = [answer["value"] for answer in self.answers("predict", model(), "--task", "urgency", rows=rows)]
        self.assertEqual(len(set(values)), 1)

    def test_no_rows_no_answers(self):
        self.assertEqual(self.done("predict", model(), "--task", "intent", stdin=b""), b"")


class Refusals(TestCase):
    def test_unknown_task_lists_the_tasks(self):
        self.error(BAD_INPUT, "predict", model(), "--task", "sentiment", "a", says=["duplicate, intent, tags, urgency, vector", "found sentiment"])

    def test_tasks_that_cannot_share_a_pass(self):
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "intent,duplicate", "a", says=["intent and duplicate"])

    def test_no_task_where_there_are_several(self):
        self.error(WRONG_COMMAND_LINE, "predict", model(), "a", says=["no task is named", "duplicate, intent"])

    def test_flags_without_meaning_are_refused(self):
        for task, flag in (("tags", ["--top", "2"]), ("intent", ["--threshold", "0"]), ("vector", ["--logits"]), ("intent", ["--both-orders"])):
            self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", task, *flag, "a", says=[flag[0], task])

    def test_a_pair_takes_two_texts(self):
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "duplicate", "a", says=["expected two", "found 1"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "duplicate", "a", "b", "c", says=["found 3"])

    def test_no_model(self):
        self.error(BAD_INPUT, "predict", self.folder / "nowhere.tw", "--task", "a", "b", says=["nowhere.tw"])


class Pipes(TestCase):
    def start(self, *arguments, **more):
        command = [TILEWISE, "predict", str(model()), "--task", "urgency", *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), **more)

    def test_each_line_is_answered_at_once(self):
        with self.start() as process:
            for number in range(1, 6):
                process.stdin.write(b'{"text":"where is my parcel"}\n')
                process.stdin.flush()
                self.assertEqual(json.loads(process.stdout.readline())["id"], number)  # hangs if it is not
            process.stdin.close()
            self.assertEqual(process.wait(60), DONE)

    def test_a_reader_that_goes_away_ends_it_quietly(self):
        with self.start() as process:
            process.stdout.close()
            try:
                process.stdin.write(to_lines({"text": text} for text in random_texts(5000)))
                process.stdin.close()
            except BrokenPipeError:
                pass
            self.assertEqual(process.wait(60), DONE)
            self.assertEqual(process.stderr.read(), b"")

    def test_an_interrupted_run_has_answered_what_it_read(self):
        with self.start() as process:
            process.stdin.write(b'{"text":"a"}\n{"text":"b"}\n')
            process.stdin.flush()
            answers = [process.stdout.readline(), process.stdout.readline()]
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(60), 5)
            self.assertEqual([json.loads(answer)["id"] for answer in answers], [1, 2])
            self.assertEqual(process.stdout.read(), b"")
            self.assertIn(b"tilewise: error: stopped", process.stderr.read())
            try:
                process.stdin.close()
            except BrokenPipeError:
                pass

    def test_closed_streams(self):
        close_output = lambda: os.close(1)
        self.error(FAILED, "predict", model(), "--task", "urgency", "a", preexec_fn=close_output, stdout=None, says=["standard output", "Bad file descriptor"])
        done = run("predict", model(), "--task", "urgency", stdin=None, preexec_fn=lambda: os.close(0))
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"standard input", done.stderr)


if __name__ == "__main__":
    main()
