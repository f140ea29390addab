"""tilewise top against a running server: top_test.py TILEWISE."""
import fcntl
import http.server
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time

from harness import FAILED, PATIENCE, TILEWISE, WRONG_COMMAND_LINE, Server, TestCase, cli, infer_body, infer_path, main


class Load:
    """Requests, one after the other, for as long as this lives."""

    def __init__(self, server):
        self.server, self.over = server, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with self.server.connect() as connection:
            while not self.over.is_set():
                connection.call("POST", infer_path("tags"), infer_body("where is my parcel"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Lines(TestCase):
    def test_once_for_people(self):
        with Load(self.server):
            text = self.done("top", self.server.url, "--once", "--interval", 0.5).decode()
        self.assertNotIn("\033", text)
        for part in ("ready", "requests", "refused     none", "passes", "backlog", "cache", "replica 0   ["):
            self.assertIn(part, text)
        row, = [line.split() for line in text.splitlines() if line.startswith("multi_task-fp32.tags")]
        self.assertGreater(float(row[1].replace(",", "")), 0, "requests a second")
        self.assertGreater(float(row[4]), 0, "P99 in ms")

    def test_json_lines(self):
        with Load(self.server):
            about = json.loads(self.done("top", self.server.url, "--once", "--json", "--interval", 0.5))
        self.assertTrue(about["ready"])
        self.assertGreater(about["rate"], 0)
        self.assertLessEqual(about["p50_ms"], about["p99_ms"])
        self.assertTrue(all(0 <= share <= 1 for share in about["utilization"]))
        self.assertGreater(sum(about["utilization"]), 0)
        self.assertGreaterEqual(about["pass_sequences"], 1)
        tags, = [task for task in about["tasks"] if task["task"] == "tags"]
        self.assertAlmostEqual(tags["rate"], about["rate"], delta=1e-3 * about["rate"])

    def test_without_requests(self):
        with Server() as idle:
            about = json.loads(self.done("top", idle.url, "--once", "--json", "--interval", 0.1))
        self.assertEqual(about["rate"], 0)
        self.assertIsNone(about["p99_ms"])

    def test_goes_on_until_the_reader_has_enough(self):
        process = subprocess.Popen([TILEWISE, "top", self.server.url, "--json", "--interval", "0.1"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=cli.environment())
        for _ in range(3):
            self.assertTrue(json.loads(process.stdout.readline())["ready"])
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), 0, process.stderr.read())
        process.stderr.close()

    def test_an_address_without_a_scheme(self):
        self.done("top", self.server.url.removeprefix("http://"), "--once", "--interval", 0.1)


class Keys(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(environment={"TILEWISE_API_KEY": "open-sesame"})

    def test_a_key_comes_from_the_environment(self):
        arguments = [TILEWISE, "top", self.server.url, "--once", "--interval", "0.1"]
        variables = {**cli.environment(), "TILEWISE_API_KEY": "open-sesame"}
        done = subprocess.run(arguments, env=variables, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.error(FAILED, *arguments[1:], says=["API key", "TILEWISE_API_KEY"])


class Errors(TestCase):
    @classmethod
    def setUpClass(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        pass

    def test_nothing_answers(self):
        self.error(FAILED, "top", "http://127.0.0.1:1", "--once", says=["127.0.0.1:1", "refused"])

    def test_what_is_no_address(self):
        self.error(WRONG_COMMAND_LINE, "top", "ftp://somewhere", says=["ftp://somewhere"])
        self.error(WRONG_COMMAND_LINE, "top", says=["URL"])

    def test_something_else_answers(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"<html></html>\n"
                self.send_response(200 if self.path == "/metrics" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Handler) as other:
            threading.Thread(target=other.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{other.server_port}"
            self.error(FAILED, "top", url, "--once", says=["no tilewise server", "<html>"])
            self.error(FAILED, "top", url + "/elsewhere", "--once", says=["status 200", "404"])
            other.shutdown()


class Terminal:
    """top in a terminal of its own."""

    def __init__(self, url, rows=24, columns=80):
        self.process_id, self.terminal = pty.fork()
        if self.process_id == 0:
            os.execve(TILEWISE, [TILEWISE, "top", url, "--interval", "0.2"], {**cli.environment(), "TERM": "xterm"})
        self.resize(rows, columns)
        self.seen = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern, start=0):
        end = time.monotonic() + PATIENCE
        while not re.search(pattern, self.seen[start:], re.S):
            assert time.monotonic() < end, self.seen
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.terminal, 1 << 16).decode(errors="replace")
                except OSError:  # the other end has gone
                    break
        assert re.search(pattern, self.seen[start:], re.S), self.seen
        return self.seen

    def frame(self):
        """The next whole picture, without its colours: a list of lines."""
        start = len(self.seen)
        self.read_until(r"\033\[H[^\b]*?\033\[J", start)
        picture = re.search(r"\033\[H((?:(?!\033\[H).)*?)\033\[J", self.seen[start:], re.S)[1]
        return re.sub(r"\033\[\d*[mK]|\r", "", picture).split("\n")

    def close(self):
        code = os.waitstatus_to_exitcode(os.waitpid(self.process_id, 0)[1])
        os.close(self.terminal)
        return code


class Live(TestCase):
    def test_redraws_resizes_and_restores(self):
        terminal = Terminal(self.server.url)
        terminal.read_until(r"\033\[\?1049h")
        with Load(self.server):
            terminal.read_until(r"multi_task-fp32\.tags")
            terminal.resize(12, 50)
            for _ in range(50):  # a picture of the old size may still be on its way
                lines = terminal.frame()
                if len(lines) <= 12 and max(map(len, lines)) <= 50:
                    break
            self.assertLessEqual(len(lines), 12)
            self.assertLessEqual(max(map(len, lines)), 50)
        start = len(terminal.seen)
        os.kill(terminal.process_id, signal.SIGINT)
        terminal.read_until(r"\033\[\?25h\033\[\?1049l\Z", start)
        self.assertEqual(terminal.close(), 0)

    def test_a_server_that_goes(self):
        server = Server()
        terminal = Terminal(server.url)
        terminal.read_until("ready")
        server.stop()
        terminal.read_until("gave no answer")
        os.kill(terminal.process_id, signal.SIGTERM)
        terminal.read_until(r"\033\[\?1049l\Z")
        self.assertEqual(terminal.close(), 0)


if __name__ == "__main__":
    main()
