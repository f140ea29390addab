"""A rerun finishes what is missing and refuses what does not belong together: resume_test.py TILEWISE."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

from harness import (BAD_INPUT, DONE, FAILED, INTERRUPTED, PATIENCE, WRONG_MACHINE, TestCase, contents, from_lines, id_pairs, joined, main,
                     manifest, model, parts, records, run, said, start, texts, to_lines, with_bad_lines, with_flag)

PER_PART = 25


class ResumeCase(TestCase):
    def setUp(self):
        super().setUp()
        self.lines = with_bad_lines(texts(90), [3, 30, 31]).splitlines(keepends=True)  # 93: 4 parts, the last one of 18
        self.path = self.write("rows.jsonl", b"".join(self.lines))
        self.flags = self.flags_of(self.path)

    def flags_of(self, path, task="intent,tags", precision="fp32"):
        return [model(precision), "--task", task, "--input", path, "--rows-per-part", PER_PART, "--replicas", 1]

    def finish(self, *more):
        self.batch(*self.flags, *more)
        return contents(self.output)

    def interrupt(self, after=2, output=None, flags=None, lines=None):
        """A job of which `after` parts are done when it is stopped."""
        output = output or self.output
        flags = ["-" if flag == self.path else flag for flag in flags or self.flags]
        process = start("batch", *flags, "--output", output, stdin=subprocess.PIPE)
        process.stdin.write(b"".join((lines or self.lines)[:after * PER_PART + 1]))
        process.stdin.flush()
        self.wait_for(lambda: (output / "_manifest.json").exists() and len(manifest(output)["parts"]) == after)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), INTERRUPTED)
        process.communicate()

    def wait_for(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def files(self):
        """What tells whether a file was written again."""
        return {str(path.relative_to(self.output)): (path.stat().st_ino, path.stat().st_mtime_ns)
                for path in self.output.rglob("*") if path.is_file() and ".tmp-" not in path.name}

    def assert_only(self, before, changed):
        """Of the files there before only these were written again."""
        after = self.files()
        self.assertEqual({name for name in before if after.get(name) != before[name]}, set(changed))


class WhatIsDoneStaysDone(ResumeCase):
    def test_a_complete_job_only_verifies(self):
        due = self.finish()
        before = self.files()
        self.batch(*self.flags)
        self.assert_only(before, [])
        self.assert_same(self.output, due)

    def test_an_interrupted_job_goes_on_from_another_kind_of_input(self):
        """Where the rows come from does not matter, only what they are: a file after standard input."""
        lines = [line for line in self.lines if line in to_lines(texts(90))]
        path = self.write("good.jsonl", b"".join(lines))
        self.flags = self.flags_of(path)
        due = self.finish()
        shutil.rmtree(self.output)
        self.interrupt(flags=self.flags_of("-"), lines=lines)
        before = self.files()
        self.batch(*self.flags)
        self.assert_only(before, ["_manifest.json"])
        self.assert_same(self.output, due)

    def test_part_by_part(self):
        due = self.finish()
        shutil.rmtree(self.output)
        for done in (1, 2, 3):
            process = start("batch", *self.flags_of("-"), "--output", self.output, stdin=subprocess.PIPE)
            process.stdin.write(b"".join(self.lines[:done * PER_PART + 1]))
            process.stdin.flush()
            self.wait_for(lambda: (self.output / "_manifest.json").exists() and len(manifest(self.output)["parts"]) == done)
            process.kill()
            process.communicate()
        before = self.files()
        self.batch(*self.flags_of("-"), stdin=b"".join(self.lines))
        self.assert_only(before, ["_manifest.json"])
        self.assertEqual(parts(self.output), {name: each for name, each in due.items() if name.startswith("part-")})

    def test_stale_temporary_files_go(self):
        due = self.finish()
        self.path.write_bytes(b"".join(self.lines))
        for place in ("part-00001.jsonl.tmp-abc123", "_manifest.json.tmp-zz09aa", "_scores/part-00000.scores.tmp-qwerty",
                      "rejected/part-00000.jsonl.tmp-aaaaaa", "_SUCCESS.tmp-bbbbbb"):
            (self.output / place).write_bytes(b"half of it")
        self.batch(*self.flags)
        self.assert_same(self.output, due)

    def test_two_jobs_in_one_directory(self):
        """The scheduler starts the next one while the last one still runs: the second is refused, the first finishes."""
        due = self.finish()
        shutil.rmtree(self.output)
        first = start("batch", *self.flags_of("-"), "--output", self.output, stdin=subprocess.PIPE)
        first.stdin.write(b"".join(self.lines[:PER_PART + 1]))
        first.stdin.flush()
        self.wait_for(lambda: (self.output / "_manifest.json").exists() and len(manifest(self.output)["parts"]) == 1)
        for more in ([], ["--overwrite"]):
            second = run("batch", *self.flags, *more, "--output", self.output)
            self.assertNotEqual(second.returncode, DONE)
            self.assertIn(str(self.output), said(second))
        _, error = first.communicate(b"".join(self.lines[PER_PART + 1:]), PATIENCE)
        self.assertEqual(first.returncode, DONE, error)
        self.assertEqual(parts(self.output), {name: each for name, each in due.items() if name.startswith("part-")})


class OddInputs(ResumeCase):
    """A job is not only what its author thought of."""

    def check(self, content, rows, rejected, name="odd.jsonl"):
        """It succeeds, and again; what it says of itself is JSON even where there is nothing to divide by."""
        flags = [*self.flags_of(self.write(name, content)), "--price", 1]
        shutil.rmtree(self.output, ignore_errors=True)
        for _ in range(2):
            summary, = from_lines(run("batch", *flags, "--json", "--output", self.output).stdout)
            self.assertEqual((summary["rows"], summary["rejected"]), (rows, rejected))
            told = json.loads((self.output / "_manifest.json").read_bytes(), parse_constant=self.fail)
            self.assertEqual((told["status"], told["rows"], told["rejected"]), ("complete", rows, rejected))
            self.assertTrue((self.output / "_SUCCESS").exists())
            self.assertEqual(len(from_lines(joined(self.output))), rows - rejected)

    def test_no_rows(self):
        self.check(b"", 0, 0)
        self.check(b"\n\n\n", 0, 0)
        self.check(b"id,text\n", 0, 0, "odd.csv")

    def test_no_good_rows(self):
        self.check(b"bad\n" * 30, 30, 30)

    def test_a_part_of_bad_rows_between_good_ones(self):
        lines = self.lines[:]
        lines[PER_PART:2 * PER_PART] = [b"bad\n"] * PER_PART
        bad = sum(line not in to_lines(texts(90)) for line in lines)
        self.check(b"".join(lines), len(lines), bad)

    def test_too_many_rejected_rows(self):
        """A rerun, which computes nothing, says it again."""
        for _ in range(2):
            self.assertIn("too many rows were rejected", self.batch(*self.flags, "--max-rejected", 2, code=FAILED))
        self.batch(*self.flags, "--max-rejected", 3)

    def test_other_replicas(self):
        """Another machine goes on, with more cores."""
        due = self.finish()
        shutil.rmtree(self.output)
        self.interrupt()
        self.batch(*with_flag(self.flags_of("-"), "--replicas", 3), stdin=b"".join(self.lines))
        self.assertEqual(parts(self.output), {name: each for name, each in due.items() if name.startswith("part-")})

    def test_stopped_while_the_catalogue_is_read(self):
        pairs = self.write("pairs.jsonl", to_lines(id_pairs(60, records(20))))
        process = start("batch", *self.flags_of(pairs, "duplicate"), "--catalog", "-", "--output", self.output, stdin=subprocess.PIPE)
        process.stdin.write(to_lines(records(20)))
        process.stdin.flush()
        self.wait_for(self.output.exists)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(PATIENCE), INTERRUPTED)
        process.communicate()
        self.batch(*self.flags_of(pairs, "duplicate"), "--catalog", "-", stdin=to_lines(records(20)))

    def test_the_directory_goes_while_it_runs(self):
        """What was done went with it, so it is no success; and another job that has begun there meanwhile is left alone."""
        for another in (False, True):
            process = start("batch", *self.flags_of("-"), "--output", self.output, stdin=subprocess.PIPE)
            process.stdin.write(b"".join(self.lines[:PER_PART + 1]))
            process.stdin.flush()
            self.wait_for(lambda: (self.output / "part-00000.jsonl").exists())
            self.output.rename(self.folder / f"gone-{another}")
            if another:
                self.batch(*self.flags_of(self.path, "tags"))
                other = contents(self.output)
            _, error = process.communicate(b"".join(self.lines[PER_PART + 1:]), PATIENCE)
            self.assertEqual(process.returncode, FAILED, error)
            self.assertIn(str(self.output).encode(), error)
        self.assert_same(self.output, other)

    def test_something_else_of_that_name(self):
        due = self.finish()
        for name in ("part-00001.jsonl", "_manifest.json", "_scores/part-00002.scores"):
            for make in (pathlib.Path.mkdir, os.mkfifo):
                with self.subTest(name, make=make.__name__):
                    kept = (self.output / name).read_bytes()
                    (self.output / name).unlink()
                    make(self.output / name)
                    self.assertIn(name, self.batch(*self.flags, code=FAILED))
                    (self.output / name).rmdir() if make is pathlib.Path.mkdir else (self.output / name).unlink()
                    (self.output / name).write_bytes(kept)
        self.batch(*self.flags)
        self.assert_same(self.output, due)


class WhatWasDamaged(ResumeCase):
    def damage(self, name):
        path = self.output / name
        content = bytearray(path.read_bytes())

        def flip():
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

        yield "edited", flip
        yield "cut", lambda: path.write_bytes(content[:-1])
        yield "longer", lambda: path.write_bytes(content + b"\n")
        yield "emptied", lambda: path.write_bytes(b"")
        yield "deleted", path.unlink

    def check(self, name, more=()):
        due = self.finish(*more)
        number = name.split("part-")[1][:5]
        of_part = {each for each in due if f"part-{number}" in each}
        for kind, damage in self.damage(name):
            with self.subTest(name, kind=kind):
                before = self.files()
                damage()
                self.batch(*self.flags, *more)
                self.assert_same(self.output, due)
                after = self.files()
                rewritten = {each for each in before if after.get(each) != before[each]}
                self.assertLessEqual(rewritten, of_part | {"_manifest.json", "_SUCCESS"}, "whole parts were made again")

    def test_parts(self):
        self.check("part-00001.jsonl")
        self.check("part-00003.jsonl")

    def test_rejected_rows(self):
        self.check("rejected/part-00001.jsonl")

    def test_scores(self):
        self.check("_scores/part-00002.scores")

    def test_a_compressed_part(self):
        self.check("part-00001.jsonl.gz", ["--compress", "gzip"])

    def test_several_at_once_in_an_unfinished_job(self):
        due = self.finish()
        shutil.rmtree(self.output)
        lines = self.lines
        self.interrupt(after=3, lines=lines)
        (self.output / "part-00000.jsonl").unlink()
        (self.output / "part-00002.jsonl").write_bytes(b"{}\n")
        self.batch(*self.flags_of("-"), stdin=b"".join(lines))
        self.assertEqual(parts(self.output), {name: each for name, each in due.items() if name.startswith("part-")})

    def test_success_alone(self):
        due = self.finish()
        (self.output / "_SUCCESS").unlink()
        self.batch(*self.flags)
        self.assert_same(self.output, due)


class WhatHasChanged(ResumeCase):
    """The input is another than that of the finished parts: nothing is mixed."""

    def setUp(self):
        super().setUp()
        self.whole = self.finish()

    def change(self, lines):
        self.path.write_bytes(b"".join(lines))

    def changed(self, number, old, new):
        lines = list(self.lines)
        self.assertIn(old, lines[number])
        lines[number] = lines[number].replace(old, new)
        return lines

    def test_a_row(self):
        self.change(self.changed(40, b'"text": "', b'"text": "the '))
        self.refused(*self.flags, says=["part-00001", "--overwrite"])

    def test_one_byte_that_no_answer_depends_on(self):
        self.change(self.changed(80, b'"text": "', b'"text":  "'))
        self.refused(*self.flags, says=["part-00003"])

    def test_two_rows_change_places(self):
        lines = list(self.lines)
        lines[10], lines[60] = lines[60], lines[10]
        self.change(lines)
        self.refused(*self.flags, says=["part-00000"])

    def test_a_row_less(self):
        self.change(self.lines[:5] + self.lines[6:])
        self.refused(*self.flags, says=["part-00000"])

    def test_the_end_is_missing(self):
        for rest in (80, 75, 50, 1, 0):
            self.change(self.lines[:rest])
            self.refused(*self.flags, says=["part"])

    def test_more_rows(self):
        self.change(self.lines + to_lines(texts(3, seed=9)).splitlines(keepends=True))
        self.refused(*self.flags, says=["part-00003"])

    def test_more_rows_after_a_full_part(self):
        """No part differs, but the job is not complete any more: it is either refused or finished, never called done."""
        lines = self.lines[:3 * PER_PART]
        self.change(lines)
        self.batch(*self.flags, "--overwrite")
        self.change(self.lines)
        done = run("batch", *self.flags, "--output", self.output)
        if done.returncode == DONE:
            self.assert_same(self.output, self.whole)
        else:
            self.assertEqual(done.returncode, 2, said(done))
            self.assertIn("--overwrite", said(done))

    def test_of_an_unfinished_job(self):
        shutil.rmtree(self.output)
        self.interrupt()
        self.change(self.changed(40, b'"text": "', b'"text": "the '))
        self.refused(*self.flags, says=["part-00001"])
        self.change(self.changed(70, b'"text": "', b'"text": "the '))  # of a part that is not there yet
        self.batch(*self.flags)

    def test_overwrite_takes_the_new_input(self):
        self.change(self.changed(40, b'"text": "', b'"text": "the steel '))
        self.batch(*self.flags, "--overwrite")
        answers = from_lines(joined(self.output))
        self.assertEqual(len(answers), 90)
        self.assertNotEqual(contents(self.output)["part-00001.jsonl"], self.whole["part-00001.jsonl"])


class OtherJobs(ResumeCase):
    """The same directory, another question."""

    def setUp(self):
        super().setUp()
        self.finish()

    def test_other_settings(self):
        flags = self.flags
        for what, other in {
                "model": [model("bf16"), *flags[1:]],
                "task": self.flags_of(self.path, "intent"),
                "order of tasks": self.flags_of(self.path, "tags,intent"),
                "rows": with_flag(flags, "--rows-per-part", 30),
                "logits": [*flags, "--logits"],
                "top": [*flags, "--top", 2],
                "format": [*flags, "--output-format", "csv"],
                "compress": [*flags, "--compress", "gzip"],
                "shard": [*flags, "--shard", "0/2"],
                "threshold": [*flags, "--threshold", 0.25],
                "limit": [*flags, "--limit", 60],
        }.items():
            with self.subTest(what):
                self.refused(*other, says=[str(self.output), "--overwrite"])

    def test_the_message_names_what_differs(self):
        for other, name in (([model("bf16"), *self.flags[1:]], "model"), (self.flags_of(self.path, "intent"), "task"),
                            (with_flag(self.flags, "--rows-per-part", 30), "rows"), ([*self.flags, "--compress", "gzip"], "compress")):
            self.assertIn(name, self.refused(*other))

    def test_overwrite_leaves_nothing_of_the_old_job(self):
        flags = [*with_flag(self.flags, "--rows-per-part", 60), "--compress", "gzip"]
        self.batch(*flags, "--overwrite")
        fresh = self.folder / "fresh"
        self.batch(*flags, output=fresh)
        self.assert_same(self.output, contents(fresh))

    def test_another_catalogue(self):
        catalog = self.write("catalog.jsonl", with_bad_lines(records(20), [4]))
        pairs = self.write("pairs.jsonl", to_lines(id_pairs(60, records(20))))
        flags = [*self.flags_of(pairs, "duplicate"), "--catalog", catalog]
        output = self.folder / "pairs"
        self.batch(*flags, output=output)
        changed = records(20)
        changed[7]["title"] = "another title"
        catalog.write_bytes(to_lines(changed) + b"bad\n")
        self.refused(*flags, output=output, says=["catalog", "--overwrite"])

    def test_another_instruction_set(self):
        for isa in ("portable", "avx2"):
            probe = run("batch", *self.flags, "--output", self.folder / isa, isa=isa)
            if probe.returncode == WRONG_MACHINE or manifest(self.folder / isa)["settings"] == manifest(self.output)["settings"]:
                continue
            with self.subTest(isa):
                self.refused(*self.flags, isa=isa, says=[isa, "--allow-other-isa"])
                (self.output / "part-00001.jsonl").unlink()
                self.batch(*self.flags, "--allow-other-isa", isa=isa)
                self.assertEqual(len(from_lines(joined(self.output))), 90)
                shutil.rmtree(self.output)
                self.finish()

    def test_files_that_are_not_ours(self):
        """They are neither mixed with results nor removed."""
        other = self.folder / "home"
        other.mkdir()
        (other / "thesis.txt").write_text("years of work")
        self.batch(*self.flags, output=other, code=2)
        self.batch(*self.flags, "--overwrite", output=other)
        self.assertEqual((other / "thesis.txt").read_text(), "years of work")


class Manifests(ResumeCase):
    def setUp(self):
        super().setUp()
        self.finish()
        self.manifest = self.output / "_manifest.json"
        self.good = manifest(self.output)

    def refuse(self, content):
        self.manifest.write_bytes(content)
        text = self.batch(*self.flags, code=BAD_INPUT)
        lines = [line for line in text.splitlines() if line.startswith("tilewise: error: ")]
        self.assertEqual(len(lines), 1, text)
        self.assertIn("_manifest.json", lines[0])
        self.assertEqual(self.manifest.read_bytes(), content)

    def test_damaged(self):
        text = self.manifest.read_bytes()
        for content in (b"", b"{}", b"[]", b"null", b"\x00" * 100, text[:len(text) // 2],
                        text[:-3], text + b"}", b'{"status":' * 5000):
            with self.subTest(content[:40]):
                self.refuse(content)

    def test_wrong_values(self):
        """Every value of every field becomes one of another kind: it is refused or harmless, and never a crash."""
        due = parts(self.output)
        for field in self.good:
            for value in (None, -1, 1e300, "x", [], {}, 2**64, [None], {"": 0}):
                with self.subTest(field, value=value):
                    self.manifest.write_text(json.dumps({**self.good, field: value}))
                    done = run("batch", *self.flags, "--output", self.output)
                    self.assertIn(done.returncode, (DONE, 2, BAD_INPUT), said(done))
                    if done.returncode == DONE:
                        self.assertEqual(parts(self.output), due)

    def test_wrong_values_of_a_part(self):
        due = parts(self.output)
        for field in self.good["parts"][1]:
            for value in (None, -1, 1e300, "x", [], {}, 2**64):
                with self.subTest(field, value=value):
                    changed = json.loads(json.dumps(self.good))
                    changed["parts"][1][field] = value
                    self.manifest.write_text(json.dumps(changed))
                    done = run("batch", *self.flags, "--output", self.output)
                    self.assertIn(done.returncode, (DONE, 2, BAD_INPUT), said(done))
                    if done.returncode == DONE:
                        self.assertEqual(parts(self.output), due)

    def test_other_lists_of_parts(self):
        """A part that is listed twice, or not in its place, is at worst made again."""
        due = parts(self.output)
        listed = self.good["parts"]
        for changed in (listed[:1] * 4, listed[::-1], listed + listed, [], listed[1:], [{**part, "part": part["part"] + 1} for part in listed],
                        [{**part, "part": 10**11} for part in listed], [{**listed[0], "input_rows": 10**11}]):
            self.manifest.write_text(json.dumps({**self.good, "parts": changed}))
            done = run("batch", *self.flags, "--output", self.output)
            self.assertIn(done.returncode, (DONE, 2, BAD_INPUT), said(done))
            if done.returncode == DONE:
                self.assertEqual(parts(self.output), due)
                self.assertEqual(len(manifest(self.output)["parts"]), 4)
            else:
                self.batch(*self.flags, "--overwrite")

    def test_missing(self):
        """Parts that nothing is known about are not taken over."""
        self.manifest.unlink()
        self.refused(*self.flags, says=[str(self.output), "--overwrite"])
        self.batch(*self.flags, "--overwrite")

    def test_what_it_says(self):
        self.assertEqual(self.good["status"], "complete")
        self.assertEqual(len(self.good["parts"]), 4)
        text = json.dumps(self.good)
        self.assertIn("rows.jsonl", text)
        self.assertIn(hashlib.sha256(self.path.read_bytes()).hexdigest(), text)


if __name__ == "__main__":
    main()
