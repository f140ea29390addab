"""Nothing lost, nothing done twice: jobs are killed, disks fill up and fail at every file operation, and a rerun ends as if
nothing had been: crash_test.py TILEWISE [--all] [--kills N] [--seed N].

Without --all a sample of the operations and faults is tried, evenly spread; --kills are SIGKILLs at random points in time."""
import argparse
import concurrent.futures
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

from harness import (DONE, FAILED, INTERRUPTED, PATIENCE, TILEWISE, Faults, TestCase, contents, differences, id_pairs,
                     main, manifest, model, no_faults_because, read_log, records, run, said, start, temporary_files,
                     texts, to_lines, with_bad_lines, with_flag, workplace)

ERRORS = {"ENOSPC": "No space left on device", "full": "No space left on device", "EIO": "Input/output error",
          "EINTR": "Interrupted system call"}
KILLS = ("kill", "kill_halfway")
WRITE_FAULTS = (*KILLS, *ERRORS, "short")
READ_FAULTS = ("EIO", "EINTR", "short")
TEMPORARY = "temporary"


class Scenario:
    """A job, and what an undisturbed run of it leaves. Its inputs lie in a folder of their own."""

    def __init__(self, name):
        self.name = name
        self.inputs = workplace() / "scenarios" / name
        self.inputs.mkdir(parents=True)
        self.flags = []

    def write(self, name, content):
        path = self.inputs / name
        path.write_bytes(content)
        return path

    def run(self, output, **more):
        return run("batch", *self.flags, "--output", output, **more)

    def finish(self):
        """Runs it undisturbed."""
        output = workplace() / "scenarios" / f"{self.name}-due"
        done = self.run(output)
        assert done.returncode == DONE, said(done)
        self.due = contents(output)
        shutil.rmtree(output)
        return self


def rows_scenario(name, *flags, per_part=25):
    """4 parts, two of which have rejected rows."""
    scenario = Scenario(name)
    path = scenario.write("rows.jsonl", with_bad_lines(texts(90), [3, 30, 31]))
    scenario.flags = [model(), "--task", "intent,tags", "--input", path, "--rows-per-part", per_part, "--replicas", 1, *flags]
    return scenario.finish()


def pairs_flags(scenario, catalog, pairs):
    return [model(), "--task", "duplicate", "--input", pairs, "--catalog", catalog, "--rows-per-part", 25, "--replicas", 1]


def pairs_scenario():
    """Id pairs against a catalogue; some name records that are not in it, or are in it but bad."""
    scenario = Scenario("pairs")
    catalog = records(20)
    path = scenario.write("catalog.jsonl", with_bad_lines(catalog, [5, 11]))
    pairs = scenario.write("pairs.jsonl", with_bad_lines(id_pairs(70, catalog + records(1, prefix="nowhere")), [60]))
    scenario.flags = pairs_flags(scenario, path, pairs)
    return scenario.finish()


def since_scenario():
    """A second run: three records have changed."""
    scenario = Scenario("since")
    catalog = records(20)
    path = scenario.write("catalog.jsonl", to_lines(catalog))
    pairs = scenario.write("pairs.jsonl", to_lines(id_pairs(70, catalog)))
    previous = workplace() / "scenarios" / "previous"
    done = run("batch", *pairs_flags(scenario, path, pairs), "--output", previous)
    assert done.returncode == DONE, said(done)
    for number in (2, 9, 17):
        catalog[number]["title"] = "another title"
    scenario.write("catalog.jsonl", to_lines(catalog))
    scenario.flags = pairs_flags(scenario, path, pairs) + ["--since", previous]
    return scenario.finish()


def make_scenarios():
    csv = ["--output-format", "csv", "--shard", "1/2"]
    return [rows_scenario("rows"), rows_scenario("gzip", "--compress", "gzip"), rows_scenario("csv", *csv, per_part=15),
            pairs_scenario(), since_scenario()]


class Case:
    """One fault in one run, and what follows from it."""

    def __init__(self, scenario, operation, fault, of="writes", prepare=None):
        self.scenario, self.operation, self.fault, self.of, self.prepare = scenario, operation, fault, of, prepare

    def __str__(self):
        return f"{self.scenario.name}, {self.fault} at {self.operation}"

    def problems(self, folder, directory=None):
        """Runs it in `folder`; the fault strikes below `directory` (default: where results go). What is wrong, as text."""
        output = folder / "out"
        if self.prepare:
            self.prepare(output)
        disturbed = self.scenario.run(output, **strike(folder, directory, at=self.operation.number, do=self.fault, of=self.of))
        found = self.wrong_end(disturbed) or self.wrong_wreck(output, disturbed.returncode)
        if found:
            return f"{self}: {found}"
        again = self.scenario.run(output)
        if again.returncode != DONE:
            return f"{self}: the rerun ended with {again.returncode}: {said(again)}"
        found = differences(contents(output), self.scenario.due)
        return f"{self}: after the rerun {found}" if found else ""

    def wrong_end(self, process):
        """A kill is a kill; everything else is survived, or said in one line."""
        text = said(process)
        if self.fault in KILLS:
            killed = process.returncode == -signal.SIGKILL
            return "" if killed else f"it was not killed but ended with {process.returncode}: {text}"
        if process.returncode == DONE:
            return ""
        # A call that a signal interrupts, or that does a part of its work, is no error.
        if self.fault == "short" or (self.fault == "EINTR" and self.operation.name in ("read", "write")):
            return f"it gave up with {process.returncode}: {text}"
        lines = [line for line in text.splitlines() if line.startswith("tilewise: error: ")]
        if process.returncode != FAILED or len(lines) != 1 or ERRORS[self.fault] not in lines[0]:
            return f"it ended with {process.returncode}: {text}"
        return ""

    def wrong_wreck(self, output, code):
        """What has its final name is whole and right at any time, for whoever looks at the directory now."""
        if not output.exists():
            return ""
        found = contents(output)
        if code == DONE or "_SUCCESS" in found:
            wrong = differences(without_temporary(found), self.scenario.due)
            if wrong:
                return f"with code {code} {wrong}"
        for name, content in found.items():
            if is_result(name) and content != self.scenario.due.get(name):
                return f"{name} is there but is not what it should be"
        may_stay = self.fault in KILLS or self.operation.name == "unlink"
        return "" if may_stay else "".join(f"{name} was left; " for name in temporary_files(output))


def strike(folder, directory=None, **faults):
    """What a run in `folder` is to meet; TEMPORARY: below the directory of temporary files."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    directory = {None: folder / "out", TEMPORARY: temporary}.get(directory, directory)
    return {"faults": Faults(directory, **faults), "variables": {"TMPDIR": str(temporary)}}


def is_result(name):
    return ".tmp-" not in name and name != "_manifest.json"


def without_temporary(found):
    return {name: content for name, content in found.items() if ".tmp-" not in name}


def applies(fault, operation):
    """Short reads and writes are what happens to reads and writes."""
    return operation.name in ("read", "write") or fault not in ("short", "kill_halfway")


class CrashCase(TestCase):
    @classmethod
    def setUpClass(cls):
        reason = no_faults_because()
        if reason:
            raise unittest.SkipTest(reason)

    def operations(self, scenario, of="writes", directory=None, prepare=None):
        """Those of an undisturbed run."""
        with self.scratch() as folder:
            if prepare:
                prepare(folder / "out")
            log = folder / "log"
            done = scenario.run(folder / "out", **strike(folder, directory, of=of, log=log))
            self.assertEqual(done.returncode, DONE, said(done))
            return read_log(log)

    def cases(self, scenario, faults, of="writes", directory=None, prepare=None):
        """Every operation with every fault that it can meet with."""
        return [Case(scenario, operation, fault, of, prepare)
                for operation in self.operations(scenario, of, directory, prepare)
                for fault in faults if applies(fault, operation)]

    def try_all(self, cases, directory=None, sample=40):
        """Tries about so many of them, evenly spread, or all with --all."""
        step = 1 if ARGUMENTS.all else max(1, len(cases) // sample)
        chosen = cases[ARGUMENTS.seed % step::step]

        def problems(case):
            with self.scratch() as folder:
                return case.problems(folder, directory)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = [text for text in pool.map(problems, chosen) if text]
        print(f"{len(chosen)} of {len(cases)} cases", end=" ", flush=True)
        self.assertFalse(found, f"{len(found)} of {len(chosen)} cases:\n" + "\n".join(found[:10]))


class EveryOperation(CrashCase):
    def test_writes(self):
        self.try_all([case for scenario in SCENARIOS for case in self.cases(scenario, WRITE_FAULTS)], sample=150)

    def test_reads_of_inputs(self):
        for scenario in SCENARIOS:
            self.try_all(self.cases(scenario, READ_FAULTS, "reads", scenario.inputs), scenario.inputs)

    def test_temporary_files(self):
        """Where catalogues and the index of the previous run lie."""
        cases = [case for scenario in SCENARIOS for case in self.cases(scenario, WRITE_FAULTS, "writes", TEMPORARY)]
        self.assertGreater(len(cases), 10)
        self.try_all(cases, TEMPORARY)

    def test_a_resumed_job(self):
        """Three parts are there, and one of them went away: verifying and making anew meet with faults, too."""
        cases = []
        for scenario in SCENARIOS:
            def prepare(output, wreck=self.make_wreck(scenario)):
                shutil.copytree(wreck, output)

            cases += self.cases(scenario, WRITE_FAULTS, prepare=prepare) + self.cases(scenario, READ_FAULTS, "reads", prepare=prepare)
        self.try_all(cases, sample=80)

    def make_wreck(self, scenario):
        """A job that was killed when its third part had got its name, and of which the first part went away after that."""
        output = self.folder / scenario.name
        third, = [each for each in self.operations(scenario)
                  if each.name == "rename" and each.new_path.name.startswith("part-00002.") and each.new_path.parent.name == "out"]
        killed = scenario.run(output, faults=Faults(output, third.number, "kill_halfway"))
        self.assertEqual(killed.returncode, -signal.SIGKILL, said(killed))
        next(output.glob("part-00000.*")).unlink()
        return output

    def test_a_finished_job_that_is_mended(self):
        """_SUCCESS never stands beside a part that is missing or damaged, from the first operation on."""
        scenario = SCENARIOS[0]
        whole = self.folder / "whole"
        self.assertEqual(scenario.run(whole).returncode, DONE)

        def prepare(output):
            shutil.copytree(whole, output)
            (output / "part-00001.jsonl").unlink()

        cases = self.cases(scenario, (*KILLS, "EIO"), prepare=prepare)
        self.try_all([case for case in cases if case.operation.number > 1])

    def test_overwriting_another_job(self):
        """An older job of another model with more parts lies in the directory: its parts never mix with the new ones."""
        scenario, old = SCENARIOS[0], self.folder / "old"
        done = run("batch", model("bf16"), *with_flag(scenario.flags[1:], "--rows-per-part", 10), "--output", old)
        self.assertEqual(done.returncode, DONE, said(done))
        old_contents = contents(old)
        cases = self.cases(Overwriting(scenario), (*KILLS, "EIO"), prepare=lambda output: shutil.copytree(old, output))
        for case in cases:
            case.wrong_wreck = lambda output, code: mixed(contents(output), old_contents, scenario.due)
        self.try_all(cases)


class Overwriting:
    """A scenario that is run with --overwrite."""

    def __init__(self, scenario):
        self.name, self.due, self.scenario = "overwriting", scenario.due, scenario

    def run(self, output, **more):
        return run("batch", *self.scenario.flags, "--overwrite", "--output", output, **more)


def mixed(found, old, new):
    """Whether _SUCCESS stands over results that are not all of one job."""
    if "_SUCCESS" not in found:
        return ""
    found = without_temporary(found)
    return "" if found in (old, new) else "_SUCCESS stands over " + differences(found, new)


class Order(CrashCase):
    """A power cut loses what was not synced. What the log says about that holds for any file system."""

    def setUp(self):
        super().setUp()
        self.log = self.folder / "log"
        self.scenario = SCENARIOS[0]
        done = self.scenario.run(self.folder / "new" / "out", faults=Faults(self.folder, log=self.log))
        self.assertEqual(done.returncode, DONE, said(done))
        self.operations = read_log(self.log)
        self.renames = [each for each in self.operations if each.name == "rename"]

    def test_nothing_gets_its_name_before_its_bytes_are_on_disk(self):
        for rename in self.renames:
            of_it = [each.name for each in self.operations[:rename.number - 1] if each.path == rename.path]
            self.assertEqual(of_it[-1], "fsync", f"{rename}: {of_it}")

    def test_nothing_follows_before_the_name_is_on_disk(self):
        for rename, following in zip(self.renames, [*self.renames[1:], None]):
            between = self.operations[rename.number:following.number - 1 if following else None]
            synced = [each.path for each in between if each.name == "fsync"]
            self.assertIn(rename.new_path.parent, synced, str(rename))

    def test_new_directories_are_on_disk_before_success(self):
        success = next(each for each in self.renames if each.new_path.name == "_SUCCESS")
        made_directories = [each for each in self.operations if each.name == "mkdir"]
        self.assertEqual({each.path.name for each in made_directories}, {"new", "out", "_scores", "rejected"})
        for made in made_directories:
            synced = [each.path for each in self.operations[made.number:success.number] if each.name == "fsync"]
            self.assertIn(made.path.parent, synced, str(made))

    def test_order_of_a_part(self):
        names = [str(each.new_path.relative_to(self.folder / "new" / "out")) for each in self.renames]
        self.assertEqual(names[-2:], ["_manifest.json", "_SUCCESS"])
        for number in range(4):
            part = names.index(f"part-{number:05}.jsonl")
            self.assertEqual(names[part + 1], "_manifest.json")
            scores = names.index(f"_scores/part-{number:05}.scores")
            self.assertLess(scores, part)
            if f"rejected/part-{number:05}.jsonl" in self.scenario.due:
                self.assertLess(names.index(f"rejected/part-{number:05}.jsonl"), scores)

    def test_every_file_of_the_result_was_renamed(self):
        """So no file goes past the faults, either."""
        renamed = {str(each.new_path.relative_to(self.folder / "new" / "out")) for each in self.renames}
        self.assertEqual(renamed, set(self.scenario.due))


class AnyMoment(TestCase):
    """A longer job on both cores."""

    @classmethod
    def setUpClass(cls):
        cls.longer = Scenario("longer")
        catalog = records(300, seed=7)
        paths = (cls.longer.write("catalog.jsonl", to_lines(catalog)),
                 cls.longer.write("pairs.jsonl", with_bad_lines(id_pairs(6000, catalog), range(50, 6000, 500))))
        cls.longer.flags = [model("bf16"), "--task", "duplicate", "--catalog", paths[0], "--input", paths[1],
                            "--rows-per-part", 200, "--compress", "gzip"]
        begin = time.monotonic()
        cls.longer.finish()
        cls.seconds = time.monotonic() - begin

    def test_kills(self):
        """One after the other in one directory, until the job is done; then again in a new one."""
        generator = random.Random(ARGUMENTS.seed)
        left, rounds = ARGUMENTS.kills, 0
        while left > 0:
            rounds += 1
            output = self.folder / f"round-{rounds}"
            while left > 0 and self.killed_after(generator.uniform(0, self.seconds), output):
                left -= 1
            done = self.longer.run(output)
            self.assertEqual(done.returncode, DONE, said(done))
            self.assert_same(output, self.longer.due)
            shutil.rmtree(output)
        print(f"{ARGUMENTS.kills} kills in {rounds} directories", end=" ", flush=True)

    def killed_after(self, seconds, output):
        process = start("batch", *self.longer.flags, "--output", output)
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        self.assertIn(process.returncode, (DONE, -signal.SIGKILL))
        return process.returncode != DONE

    def test_stop_signals(self):
        """The first one ends it with code 5, in time, with nothing unfinished left; a rerun finishes."""
        for number in (signal.SIGTERM, signal.SIGINT):
            output = self.folder / number.name
            process = start("batch", *self.longer.flags, "--output", output)
            self.wait_for(output / "part-00001.jsonl.gz", process)
            process.send_signal(number)
            _, error = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, INTERRUPTED, error)
            self.assertIn(b"tilewise: error: ", error)
            self.assertEqual(temporary_files(output), [])
            self.assertFalse((output / "_SUCCESS").exists())
            self.assertEqual(manifest(output)["status"], "running")
            made = {path.name: path.stat().st_ino for path in output.glob("part-*")}
            self.assertEqual(self.longer.run(output).returncode, DONE)
            self.assert_same(output, self.longer.due)
            self.assertEqual({name: (output / name).stat().st_ino for name in made}, made, "a finished part was made again")

    def wait_for(self, path, process):
        deadline = time.monotonic() + PATIENCE
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        self.assertTrue(path.exists(), process.poll())


class RealDisk(TestCase):
    """A file system that is really full: a page of a mapped file for which there is no room would kill the program."""

    def run_with_small(self, directory, size, command, **variables):
        script = f'mount -t tmpfs -o size={size} none "$0" && exec "$@"'
        namespace = ["unshare", "--user", "--map-root-user", "--mount"]
        probe = subprocess.run([*namespace, "sh", "-c", script, directory, "true"], capture_output=True, timeout=PATIENCE)
        if probe.returncode:
            self.skipTest(f"no file system of its own for a test: {probe.stderr.decode(errors='replace').strip()}")
        return subprocess.run([*namespace, "sh", "-c", script, *map(str, [directory, TILEWISE, *command])],
                              capture_output=True, timeout=PATIENCE, env={**os.environ, **variables})

    @unittest.skipIf(shutil.which("unshare") is None, "there is no unshare")
    def test_no_room_for_temporary_files(self):
        temporary = self.folder / "temporary"
        temporary.mkdir()
        catalog = self.write("catalog.jsonl", to_lines(records(5000)))
        pairs = self.write("pairs.jsonl", to_lines(id_pairs(100, records(5000))))
        command = ["batch", model(), "--task", "duplicate", "--catalog", catalog, "--input", pairs, "--output", self.output]
        done = self.run_with_small(temporary, "64k", command, TMPDIR=str(temporary))
        self.assertEqual(done.returncode, FAILED, said(done))
        self.assertIn("No space left on device", said(done))
        self.assertIn(str(temporary), said(done))
        self.batch(*command[1:-2])

    @unittest.skipIf(shutil.which("unshare") is None, "there is no unshare")
    def test_no_room_for_results(self):
        self.output.mkdir()
        rows = self.write("rows.jsonl", to_lines(texts(2000)))
        command = ["batch", model(), "--task", "intent", "--input", rows, "--rows-per-part", "100", "--output", self.output]
        done = self.run_with_small(self.output, "128k", command)
        self.assertEqual(done.returncode, FAILED, said(done))
        self.assertIn("No space left on device", said(done))
        self.assertIn(str(self.output), said(done))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tilewise", type=pathlib.Path)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments, rest = parser.parse_known_args()
    sys.argv[2:] = rest  # the names of tests
    print(f"seed {arguments.seed}", file=sys.stderr)
    return arguments


if __name__ == "__main__":
    ARGUMENTS = parse_arguments()
    SCENARIOS = make_scenarios()
    main()
