"""bench: its report, not its speed: bench_test.py TILEWISE."""
import contextlib
import json
import subprocess

from harness import BAD_INPUT, DONE, FAILED, TILEWISE, WRONG_COMMAND_LINE, TestCase, environment, from_lines, main, model, run, to_lines

KEYS = ["scenario", "task", "precision", "isa", "cpu", "replicas", "cores_per_replica", "rows", "tokens", "seconds", "rows_per_s", "tokens_per_s",
        "latency_ms", "share_of_peak", "peaks", "load_ms", "rss_mb"]
QUICK = ["--seconds", "0.05", "--warmup", "0.01"]
TEXTS = ["where is my parcel", "", "refund"]
TOKENS = 6 + 2 + 3  # with the special ones; golden.json has these ids


class Bench(TestCase):
    def setUp(self):
        super().setUp()
        self.rows = self.write("rows.jsonl", to_lines({"text": text} for text in TEXTS))

    def bench(self, *more):
        report, = from_lines(self.done("bench", model("bf16"), "--task", "intent", *QUICK, "--json", *more))
        return report

    def consistent(self, report):
        self.assertAlmostEqual(report["rows_per_s"] * report["seconds"] / report["rows"], 1, places=3)
        self.assertAlmostEqual(report["tokens_per_s"] * report["seconds"] / report["tokens"], 1, places=3)
        self.assertTrue(0 < report["share_of_peak"] < 10)  # ten: a machine that others use
        self.assertTrue(report["load_ms"] > 0 and report["rss_mb"] > 1)
        self.assertEqual(set(report["peaks"]), {"bf16", "fp32"})

    def test_offline(self):
        report = self.bench("--scenario", "offline", "--input", self.rows, "--replicas", "2")
        self.assertEqual(list(report), KEYS)
        self.assertEqual((report["scenario"], report["task"], report["precision"], report["replicas"]), ("offline", "intent", "bf16", 2))
        self.assertEqual(report["rows"] % len(TEXTS), 0, "whole passes over the rows")
        self.assertEqual(report["tokens"], report["rows"] // len(TEXTS) * TOKENS)
        self.assertEqual(report["latency_ms"], dict.fromkeys(("p50", "p90", "p99", "max")))
        self.consistent(report)

    def test_single(self):
        report = self.bench("--scenario", "single", "--input", self.rows)
        self.assertEqual(list(report), KEYS)
        self.assertEqual((report["scenario"], report["replicas"]), ("single", 1))
        latency = report["latency_ms"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"])
        self.consistent(report)

    def test_forward(self):
        report = self.bench("--tokens", "12", "--sequences", "16")
        self.assertEqual(list(report), [*KEYS, "spread_ms", "share_of_peak_p50", "stages_ms"])
        self.assertTrue(report["spread_ms"]["min"] <= report["spread_ms"]["p25"] <= report["latency_ms"]["p50"] <= report["spread_ms"]["p75"])
        self.assertTrue(0 < report["share_of_peak_p50"] < 10)
        self.assertEqual(report["rows"] % 16, 0)
        self.assertEqual(report["tokens"], report["rows"] * 12)
        self.assertEqual(len(report["stages_ms"]), 9)
        self.assertTrue(all(value >= 0 for value in report["stages_ms"].values()))
        self.consistent(report)

    def test_limit_and_both_orders(self):
        self.assertEqual(self.bench("--input", self.rows, "--limit", "1")["tokens"] % 6, 0)
        pairs = self.write("pairs.jsonl", to_lines([{"left": "red shoe", "right": "red shoes"}]))
        one, both = (from_lines(self.done("bench", model("bf16"), "--task", "duplicate", *QUICK, "--json", "--input", pairs, *more))[0]
                     for more in ([], ["--both-orders"]))
        self.assertEqual(one["tokens"] / one["rows"], 8)
        self.assertEqual(both["tokens"] / both["rows"], 16)

    def test_int8_counts_each_precision_at_its_own_peak(self):
        report, = from_lines(self.done("bench", model("int8"), "--task", "intent", *QUICK, "--json", "--tokens", "12"))
        self.assertEqual(report["precision"], "int8")
        self.assertEqual(set(report["peaks"]), {"int8", "bf16", "fp32"})
        self.assertTrue(0 < report["share_of_peak"] < 10)

    def kernels(self, *more, seconds="0.3", **options):
        report, = from_lines(self.done("bench", "--kernels", "--json", "--seconds", seconds, *more, **options))
        self.assertEqual(list(report), ["cpu", "clock_ghz", "seconds", "peaks", "bandwidths", "kernels", "passes"])
        for line in report["peaks"]:  # every set: measured, or skipped with the reason
            self.assertTrue(("skipped" in line and line["isa"] in line["skipped"]) or line["gflops"] > 0, line)
        for line in report["kernels"]:
            self.assertTrue(0 < line["us_min"] <= line["us"] <= line["us_max"], line)
            self.assertTrue(line["checked"])
            self.assertTrue(line["gb_per_s"] > 0 if "gb_per_s" in line else line["share_of_peak"] > 0, line)
        return report

    def test_kernels_of_a_model(self):
        report = self.kernels(model("bf16"), "--task", "intent")
        measured = {(line["kernel"], line.get("layer")) for line in report["kernels"]}
        self.assertEqual(measured, {("linear", "qkv"), ("linear", "attention_output"), ("linear+gelu", "ffn_up"), ("linear", "ffn_down"),
                                    ("attention", None), ("add_norm", None), ("embed", None), ("pool", None)})
        self.assertEqual({line["precision"] for line in report["kernels"]}, {"bf16"})
        self.assertEqual({line["rows"] for line in report["kernels"] if line["kernel"] == "linear"}, {8, 16, 64, 192, 256})
        self.assertTrue({(1, 8), (16, 12)} <= {(line["sequences"], line["tokens"]) for line in report["passes"]})
        for line in report["passes"]:
            self.assertEqual((line["task"], line["precision"]), ("intent", "bf16"))
            self.assertTrue(0 < line["ms_min"] <= line["ms_p25"] <= line["ms"] <= line["ms_p75"] <= line["ms_max"])
            self.assertTrue(line["share_of_peak"] > 0)
            self.assertIn("ffn_down", line["stages_ms"])

    def test_kernels_of_an_int8_model(self):
        report = self.kernels(model("int8"), "--task", "intent")
        linear = {line["layer"] for line in report["kernels"] if line["kernel"].startswith("linear") and line["precision"] == "int8"}
        self.assertEqual(linear, {"qkv", "attention_output", "ffn_up", "ffn_down"})
        self.assertIn("quantize", {line["kernel"] for line in report["kernels"]})
        self.assertEqual({line["precision"] for line in report["kernels"] if line["kernel"] == "attention"}, {"bf16"})

    def test_kernels_without_a_model(self):
        report = self.kernels("--only", "rows 8,")
        self.assertEqual({line["model"] for line in report["kernels"]}, {"MiniLM-L6-H384", "BERT-base"})
        self.assertEqual({line["precision"] for line in report["kernels"]}, {"fp32", "bf16", "int8"})
        self.assertEqual({line["rows"] for line in report["kernels"]}, {8})
        self.assertEqual(len(report["kernels"]), 2 * 3 * 4)
        self.assertEqual(report["passes"], [])
        levels = [(line["level"], line["operation"]) for line in report["bandwidths"]]
        self.assertEqual(levels, [("L1", "read"), ("L2", "read"), ("L3", "read"), *(("memory", what) for what in ("read", "write", "copy"))])
        for line in report["bandwidths"]:
            self.assertTrue("skipped" in line or line["gb_per_s"] > 0, line)

    def test_kernels_on_a_forced_level(self):
        lowest = "portable" if "portable" in {line["isa"] for line in self.kernels("--only", "rows 8,")["peaks"]} else "neon"
        for options in ({"isa": lowest}, {}):
            more = [] if options else ["--isa", lowest]
            report = self.kernels(model(), "--task", "intent", *more, **options)
            self.assertEqual({line["isa"] for line in report["kernels"] + report["passes"]}, {lowest})

    def test_kernels_for_people(self):
        text = self.done("bench", "--kernels", model(), "--task", "intent", "--seconds", "0.3").decode()
        for part in ("peak of one core", "bandwidth of one core", "weights warm", "compared with fp64 loops", "whole passes, fp32"):
            self.assertIn(part, text)

    def test_kernels_refuse_what_has_no_meaning(self):
        self.error(WRONG_COMMAND_LINE, "bench", "--kernels", "--tokens", "12", says=["--tokens", "--kernels"])
        self.error(WRONG_COMMAND_LINE, "bench", "--kernels", "--replicas", "2", model(), says=["--replicas"])
        self.error(WRONG_COMMAND_LINE, "bench", "--kernels", "--only", "no such", "--seconds", "0.1", says=["--only", "no such"])
        self.error(WRONG_COMMAND_LINE, "bench", model(), "--only", "qkv", "--tokens", "12", says=["--kernels"])
        self.error(WRONG_COMMAND_LINE, "bench", "--tokens", "12", says=["needs a model", "--kernels"])

    def test_for_people(self):
        text = self.done("bench", model(), "--task", "intent", *QUICK, "--input", self.rows).decode()
        for part in ("rows/s", "share of peak", "memory MB"):
            self.assertIn(part, text)

    def test_rows_that_cannot_be_answered_are_left_out(self):
        path = self.write("some.jsonl", b'bad\n{"text":"refund"}\n')
        done = run("bench", model(), "--task", "intent", *QUICK, "--input", path, "--json")
        self.assertEqual(done.returncode, DONE)
        self.assertIn("1 rows are left out", done.stderr.decode())
        self.error(BAD_INPUT, "bench", model(), "--task", "intent", "--input", self.write("bad.jsonl", b"bad\n"), says=["no row to measure"])

    def test_what_is_wrong_with_the_command_line(self):
        ask = ["bench", model(), "--task", "intent"]
        self.error(WRONG_COMMAND_LINE, *ask, says=["--input", "--tokens", "neither"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--tokens", "5", says=["both"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--scenario", "burst", says=["found burst"])
        self.error(WRONG_COMMAND_LINE, *ask, "--tokens", "100000", *QUICK)

    def server(self, *more, task="intent", rows=None, model_of="", deadline_ms="5000"):
        # A deadline of seconds: it is the report that is tested, on whatever machine.
        path = model("bf16") if model_of == "" else model_of
        report, = from_lines(self.done("bench", *([path] if path else []), "--task", task, "--scenario", "server", "--deadline-ms", deadline_ms,
                                       "--seconds", "0.5", "--warmup", "0.1", "--connections", "16", "--input", rows or self.rows, "--json", *more))
        self.assertEqual(list(report)[:len(KEYS)], KEYS)
        self.assertEqual((report["scenario"], report["task"]), ("server", task))
        if not report["rate"]:  # of a search, on a machine that others use
            return report
        self.assertEqual(report["sent"], report["accepted"] + report["refused"] + report["failures"])
        self.assertEqual(report["accepted"], report["rows"])
        self.assertEqual(report["statuses"].get("200", 0), report["accepted"])
        self.assertLessEqual(report["goodput_per_s"], report["rows_per_s"] * 1.001)
        return report

    def test_server_at_a_rate(self):
        report = self.server("--rate", "200", "--replicas", "1")
        self.assertEqual((report["rate"], report["replicas"], report["precision"]), (200, 1, "bf16"))
        self.assertEqual(report["failures"], 0)
        self.assertTrue(50 < report["sent"] < 200, report["sent"])  # 100 expected, with a standard deviation of 10
        self.assertEqual(report["checked"], "3 answers equal the engine's")
        self.assertTrue(report["tokens"] > report["rows"])
        latency = report["latency_ms"]
        self.assertTrue(0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"])
        self.assertAlmostEqual(report["share_of_offline"] * report["offline_rows_per_s"] / 200, 1, places=3)
        server = report["server"]
        self.assertEqual(server["end"], "exit code 0")
        self.assertTrue(server["cpu_us_per_request"] > 0 and server["model_us_per_request"] > 0)
        self.assertTrue(0 < server["rss_mb_before"] <= report["rss_mb"] * 1.01)
        self.assertEqual(report["tried"], [])

    def test_server_of_pairs_and_other_kinds(self):
        pairs = self.write("pairs.jsonl", to_lines([{"left": {"title": "red \"shoe\""}, "right": {"title": "red shoes"}}, {"left": "a", "right": "b"}]))
        for more in ([], ["--both-orders"]):
            self.assertEqual(self.server("--rate", "100", *more, task="duplicate", rows=pairs)["failures"], 0)
        for case in self.other_tasks():
            self.assertEqual(self.server("--rate", "50", task=case)["failures"], 0)

    def other_tasks(self):
        described = json.loads(self.done("inspect", model("bf16"), "--json"))
        return [task["name"] for task in described["tasks"] if task["input"] == "text" and task["name"] != "intent"]

    def test_server_searches(self):
        report = self.server("--replicas", "1", deadline_ms="50")
        self.assertTrue(report["tried"])
        self.assertTrue(all(one["held"] in (True, False) and one["rate"] > 0 for one in report["tried"]))
        if report["rate"]:
            self.assertEqual((report["refused"], report["failures"]), (0, 0))
            self.assertIn(report["rate"], [one["rate"] for one in report["tried"] if one["held"]])

    def test_server_that_runs_already(self):
        with serve(model("bf16")) as url:
            for known in (model("bf16"), None):
                report = self.server("--url", url, "--rate", "100", model_of=known)
                self.assertEqual((report["url"], report["failures"], report["precision"]), (url, 0, None))
                self.assertIsNone(report["offline_rows_per_s"])
                self.assertNotIn("server", report)
                self.assertIn("3", report["checked"])
            self.error(FAILED, "bench", "--url", url, "--task", "no-such", "--scenario", "server", "--input", self.rows, says=["status 404"])
        self.error(FAILED, "bench", "--url", url, "--task", "intent", "--scenario", "server", "--input", self.rows, says=["no answer"])

    def test_server_for_people(self):
        text = self.done("bench", model(), "--task", "intent", "--scenario", "server", "--rate", "100", "--seconds", "0.3", "--warmup", "0",
                         "--deadline-ms", "5000", "--input", self.rows).decode()
        for part in ("100 requests/s", "latency ms", "from the intended moment", "us a request", "ended with exit code 0"):
            self.assertIn(part, text)

    def test_server_refuses_what_has_no_meaning(self):
        ask = ["bench", model(), "--task", "intent", "--scenario", "server"]
        self.error(WRONG_COMMAND_LINE, *ask, says=["--input"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--tokens", "5", says=["--tokens"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--server-cpus", "0-", says=["--server-cpus"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--client-cpu", "100000", says=["--client-cpu"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--url", "https://h", says=["http://"])
        self.error(WRONG_COMMAND_LINE, *ask, "--input", self.rows, "--url", "http://h", "--server-cpus", "0", says=["--server-cpus"])
        self.error(WRONG_COMMAND_LINE, "bench", "--scenario", "server", "--input", self.rows, says=["--url"])
        self.error(WRONG_COMMAND_LINE, "bench", model(), "--task", "intent", "--input", self.rows, "--rate", "5", says=["--rate", "--scenario server"])


@contextlib.contextmanager
def serve(path):
    """Its address, until the end of the scope."""
    with subprocess.Popen([TILEWISE, "serve", path, "--address", "127.0.0.1", "--port", "0", "--grpc-port", "-1"], stderr=subprocess.PIPE, text=True,
                          env=environment()) as server:
        try:
            for line in server.stderr:
                if "listening on " in line:
                    break
            yield line.split("listening on ")[1].split(";")[0].split()[0]
        finally:
            server.terminate()
            server.communicate()


if __name__ == "__main__":
    main()
