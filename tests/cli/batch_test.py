"""batch: parts, order, rejected rows, and what is left when it ends early: batch_test.py TILEWISE."""
import hashlib
import json
import os
import random
import resource
import signal
import subprocess
import time

from harness import (BAD_INPUT, FAILED, INTERRUPTED, TILEWISE, WRONG_COMMAND_LINE, TestCase, environment, from_lines, main, model, run,
                     to_lines)


def rows(count, seed=1):
    generator = random.Random(seed)
    words = "where is my parcel refund the red shoes".split()
    return [{"id": i, "text": " ".join(generator.choices(words, k=generator.randint(0, 30)))} for i in range(count)]


class BatchCase(TestCase):
    def setUp(self):
        super().setUp()
        self.output = self.folder / "out"

    def batch(self, *more, task="intent", precision="bf16"):
        return ["batch", model(precision), "--task", task, "--output", self.output, *more]

    def parts(self):
        return {path.name: path.read_bytes() for path in sorted(self.output.glob("part-*"))}

    def manifest(self):
        return json.loads((self.output / "_manifest.json").read_bytes())

    def joined(self):
        return b"".join(self.parts().values())


class Output(BatchCase):
    def test_equals_predict_in_the_order_of_the_input(self):
        path = self.write("rows.jsonl", to_lines(rows(700)))
        due = self.done("predict", model("bf16"), "--task", "intent,tags", "--logits", "--top", "2", stdin=path.read_bytes())
        self.assertEqual(self.done(*self.batch("--input", path, "--logits", "--top", "2", task="intent,tags")), b"")
        self.assertEqual(self.parts(), {"part-00000.jsonl": due})

    def test_parts_split_by_input_rows(self):
        content = to_lines(rows(250)).splitlines(keepends=True)
        content[105] = b"bad\n"
        path = self.write("rows.jsonl", b"".join(content))
        self.done(*self.batch("--input", path, "--rows-per-part", "100"))
        self.assertEqual({name: [answer["id"] for answer in from_lines(part)] for name, part in self.parts().items()},
                         {"part-00000.jsonl": list(range(100)), "part-00001.jsonl": [i for i in range(100, 200) if i != 105],
                          "part-00002.jsonl": list(range(200, 250))})

    def test_replicas_do_not_matter(self):
        path = self.write("rows.jsonl", to_lines(rows(600)))
        results = []
        for replicas in (1, 2, 3):
            self.done(*self.batch("--input", path, "--replicas", replicas, "--rows-per-part", "250", "--overwrite"))
            results.append(self.parts())
        self.assertTrue(results[0] == results[1] == results[2])

    def test_several_inputs_and_standard_input(self):
        a, b = self.write("a.jsonl", to_lines(rows(5))), self.write("b.jsonl", to_lines(rows(7, seed=2)))
        self.done(*self.batch("--input", a, b))
        together = self.joined()
        self.done(*self.batch("--input", a, "--input", b, "--overwrite"))
        self.assertEqual(self.joined(), together)
        self.done(*self.batch("--input", "-", "--overwrite"), stdin=a.read_bytes() + b.read_bytes())
        self.assertEqual(self.joined(), together)

    def test_limit(self):
        path = self.write("rows.jsonl", to_lines(rows(300)))
        self.done(*self.batch("--input", path, "--limit", "150"))
        self.assertEqual([answer["id"] for answer in from_lines(self.joined())], list(range(150)))

    def test_summary_with_price(self):
        path = self.write("rows.jsonl", to_lines(rows(300)) + b"bad\n")
        summary, = from_lines(self.done(*self.batch("--input", path, "--price", "0.36", "--json")))
        self.assertEqual((summary["rows"], summary["rejected"], summary["parts"]), (301, 1, 1))
        per_million = summary["seconds"] * 0.36 / 3600 / 300 * 1e6
        self.assertAlmostEqual(summary["usd_per_million"] / per_million, 1, places=4)
        done = run(*self.batch("--input", path, "--price", "0.36", "--overwrite"))
        self.assertRegex(done.stderr.decode(), r"301 rows \(1 rejected\) in .*; 1 part in .*USD per million rows at 0.36 USD an hour")

    def test_manifest(self):
        content = to_lines(rows(250)) + b"bad\n"
        path = self.write("rows.jsonl", content)
        self.done(*self.batch("--input", path, "--rows-per-part", "100", "--price", "0.36"))
        manifest = self.manifest()
        self.assertEqual((manifest["status"], manifest["rows"], manifest["rejected"]), ("complete", 251, 1))
        self.assertEqual(manifest["inputs"], [{"path": str(path), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}])
        self.assertEqual([part["rows"] for part in manifest["parts"]], [100, 100, 51])
        self.assertEqual([part["answers"]["bytes"] for part in manifest["parts"]], [len(part) for part in self.parts().values()])
        self.assertAlmostEqual(manifest["usd"], manifest["seconds"] / 3600 * 0.36, places=6)
        settings = manifest["settings"]
        self.assertEqual((settings["tasks"], settings["rows_per_part"], settings["top"], settings["threshold"]), ("intent", 100, 1, None))
        self.assertEqual((self.output / "_SUCCESS").read_bytes(), b"")
        self.assertEqual([json.loads(line)["line"] for line in (self.output / "rejected" / "part-00002.jsonl").read_text().splitlines()], [251])


class Refusals(BatchCase):
    def test_bad_input_is_said_before_the_output_is_touched(self):
        good = self.write("rows.jsonl", to_lines(rows(5)))
        self.error(BAD_INPUT, *self.batch("--input", good, self.folder / "nowhere.jsonl"), says=["nowhere.jsonl", "No such file"])
        self.error(BAD_INPUT, *self.batch("--input", good, task="nope"), says=["found nope"])
        self.assertFalse(self.output.exists())

    def test_unreadable_input(self):
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        path = self.write("rows.jsonl", to_lines(rows(5)))
        path.chmod(0)
        self.error(FAILED, *self.batch("--input", path), says=["Permission denied"])

    def test_compressed_input_that_breaks_off(self):
        path = self.write("rows.jsonl.gz", b"\x1f\x8b\x08\x00\x00")
        self.error(BAD_INPUT, *self.batch("--input", path), says=["compressed data ends too early", "rows.jsonl.gz, byte 5"])

    def test_results_are_not_mixed(self):
        path = self.write("rows.jsonl", to_lines(rows(5)))
        self.done(*self.batch("--input", path))
        before = self.parts()
        self.error(WRONG_COMMAND_LINE, *self.batch("--input", path, "--top", "2"), says=["another job", "top 1", "top 2", "--overwrite"])
        self.assertEqual(self.parts(), before)
        (self.output / "_manifest.json").unlink()
        self.error(WRONG_COMMAND_LINE, *self.batch("--input", path), says=["not empty", "--overwrite"])

    def test_a_damaged_manifest(self):
        path = self.write("rows.jsonl", to_lines(rows(5)))
        self.done(*self.batch("--input", path))
        (self.output / "_manifest.json").write_text('{"version": 1}')
        self.error(BAD_INPUT, *self.batch("--input", path), says=["_manifest.json, status", "damaged", "--overwrite"])
        self.done(*self.batch("--input", path, "--overwrite"))

    def test_flags_that_make_no_sense(self):
        path = self.write("rows.jsonl", to_lines(rows(5)))
        for flags, says in ((["--shard", "3/3"], "0 to N - 1"), (["--shard", "1"], "I/N"), (["--shard", "1/2x"], "I/N"),
                            (["--memory", "1M"], "--memory"), (["--catalog", path], "pair")):
            self.error(WRONG_COMMAND_LINE, *self.batch("--input", path, *flags), says=[says])
        for flags in (["--memory", "x"], ["--compress", "lzma"], ["--output-format", "xml"], ["--price", "-1"]):
            self.assertEqual(run(*self.batch("--input", path, *flags)).returncode, WRONG_COMMAND_LINE)
        self.assertFalse(self.output.exists())

    def test_output_that_cannot_be_a_directory(self):
        path = self.write("rows.jsonl", to_lines(rows(5)))
        self.error(FAILED, "batch", model(), "--task", "intent", "--input", path, "--output", path, says=["rows.jsonl"])

    def test_max_rejected(self):
        path = self.write("rows.jsonl", b'bad\n{"text":"a"}\n')
        self.error(FAILED, *self.batch("--input", path, "--max-rejected", "0"), says=["too many rows were rejected"])
        self.assertEqual(len(self.joined().splitlines()), 1)


class EarlyEnd(BatchCase):
    def test_a_full_disk_keeps_the_parts_that_are_whole(self):
        # The first part fits under the size limit of a file, the second does not: its rows have long ids.
        content = to_lines(rows(100)) + to_lines({"id": "x" * 2000, "text": "a"} for _ in range(100))
        path = self.write("rows.jsonl", content)
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        self.error(FAILED, *self.batch("--input", path, "--rows-per-part", "100"), preexec_fn=limit, says=["part-00001.jsonl", "File too large"])
        self.assertEqual(list(self.parts()), ["part-00000.jsonl"])
        self.assertEqual(len(self.joined().splitlines()), 100)

    def test_closed_standard_output_does_not_end_up_in_a_part(self):
        path = self.write("rows.jsonl", to_lines(rows(50)))
        self.error(FAILED, *self.batch("--input", path, "--json"), stdout=None, preexec_fn=lambda: os.close(1), says=["Bad file descriptor"])
        self.assertEqual([answer["id"] for answer in from_lines(self.joined())], list(range(50)))

    def test_an_interrupt_leaves_only_whole_parts(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.output = self.folder / str(number)
            command = [TILEWISE, *map(str, self.batch("--input", "-", "--rows-per-part", "100"))]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
            process.stdin.write(to_lines(rows(250)))
            process.stdin.flush()
            deadline = time.monotonic() + 60
            while not (self.output / "part-00001.jsonl").exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            process.send_signal(number)  # it has read 250 rows and waits for more
            self.assertEqual(process.wait(60), INTERRUPTED)
            _, error = process.communicate()
            self.assertIn(b"tilewise: error: stopped", error)
            self.assertEqual(list(self.parts()), ["part-00000.jsonl", "part-00001.jsonl"])
            self.assertEqual([json.loads(line)["id"] for line in self.joined().splitlines()], list(range(200)))
            self.assertEqual(self.manifest()["status"], "running")
            self.done(*self.batch("--input", "-", "--rows-per-part", "100"), stdin=to_lines(rows(250)))
            self.assertEqual([json.loads(line)["id"] for line in self.joined().splitlines()], list(range(250)))


if __name__ == "__main__":
    main()
