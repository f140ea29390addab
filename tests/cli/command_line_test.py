"""Flags, help, versions and messages: command_line_test.py TILEWISE."""
import re

from harness import DONE, FAILED, WRONG_COMMAND_LINE, TestCase, main, model, run

VERBS = ("check", "compile", "inspect", "predict", "batch", "candidates", "clusters", "eval", "serve", "bench", "devices", "top")


class CommandLine(TestCase):
    def test_version(self):
        self.assertRegex(self.done("--version").decode(), r"^tilewise \d+\.\d+\.\d+\n$")

    def test_help_is_data(self):
        text = self.done("--help").decode()
        for verb in VERBS:
            self.assertRegex(text, rf"(?m)^  {verb} ")
            self.assertIn(f"tilewise {verb}", self.done(verb, "--help").decode())
        for later in ("plan",):
            self.assertNotRegex(text, rf"(?m)^  {later} ")

    def test_what_is_wrong_with_the_command_line(self):
        self.error(WRONG_COMMAND_LINE)
        self.error(WRONG_COMMAND_LINE, "plan", says=["no such verb", "predict", "found plan"])
        self.error(WRONG_COMMAND_LINE, "predict", says=["MODEL"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--no-such-flag", says=["--no-such-flag", "predict --help"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "tags", "--top", "-1", "x", says=["--top"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "tags", "--replicas", "0", says=["--replicas"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "tags", "--threshold", "high", says=["--threshold"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "tags", "--limit", "0", says=["--limit"])
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "tags", "--max-rejected", "few", says=["--max-rejected", "found few"])
        self.error(WRONG_COMMAND_LINE, "batch", model(), "--task", "tags", "--output", self.folder, says=["--input"])
        self.error(WRONG_COMMAND_LINE, "compile", self.folder, says=["--output"])
        self.error(WRONG_COMMAND_LINE, "devices", "--log-level", "loud", says=["log level", "found loud"])

    def test_flags_may_stand_before_and_after_a_verb(self):
        self.done("--log-level", "warn", "devices")
        self.done("devices", "--log-level", "warn")

    def test_people_read_standard_error_and_may_turn_it_off(self):
        rows = b'{"text":"a"}\nbad\n'
        self.assertRegex(run("predict", model(), "--task", "tags", stdin=rows).stderr.decode(), "warning: row rejected")
        self.assertEqual(run("predict", model(), "--task", "tags", "--log-level", "error", stdin=rows).stderr, b"")

    def test_an_error_is_said_at_any_log_level(self):
        self.error(WRONG_COMMAND_LINE, "predict", model(), "--task", "duplicate", "x", "--log-level", "off", says=["pairs"])

    def test_quick_work_shows_no_progress(self):
        done = run("batch", model(), "--task", "tags", "--input", "-", "--output", self.folder / "out", stdin=b'{"text":"a"}\n')
        self.assertEqual(done.returncode, DONE)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertRegex(done.stderr.decode(), r"info: 1 rows in .* s: .* rows/s")

    def test_a_full_disk_behind_standard_output(self):
        for arguments in (["--help"], ["--version"], ["devices"], ["inspect", model()], ["predict", model(), "--task", "tags", "a text"]):
            with open("/dev/full", "wb") as full:
                error = self.error(FAILED, *arguments, stdout=full)
            self.assertTrue(re.search("standard output.*No space left", error), error)


if __name__ == "__main__":
    main()
