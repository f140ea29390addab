"""KServe v2 REST with the clients that people have: Triton's Python client, with and without binary tensors, and perf_analyzer.

perf_analyzer's own package asks for a newer glibc than Debian 12 has; TILEWISE_PERF_ANALYZER names one that runs here.
"""
import json
import os
import shutil
import subprocess
import sys

from harness import SKIPPED, TestCase, cli, main, model

try:
    import numpy
    import tritonclient.http as triton
    from tritonclient.utils import InferenceServerException
except ImportError as error:
    print(f"skipped: {error}; see tests/requirements.txt")
    sys.exit(SKIPPED)

TEXTS = ["where is my parcel", "", "Refund?", "Black Café shoes, size 42", "usb-c cable (2-pack) & charger", "the 中文 case"]


class TritonClientTest(TestCase):
    def setUp(self):
        super().setUp()
        self.client = triton.InferenceServerClient(f"127.0.0.1:{self.server.port}")
        self.addCleanup(self.client.close)
        rows = [{"text": text} for text in TEXTS]
        done = cli.run("predict", model(), "--task", "intent", "--logits", stdin=cli.to_lines(rows))
        self.expected = [answer["logits"] for answer in cli.from_lines(done.stdout)]

    def text(self, values, binary, shape=None, name="text"):
        data = triton.InferInput(name, shape or [len(values)], "BYTES")
        array = numpy.array([value.encode() for value in values], dtype=object).reshape(shape or [len(values)])
        data.set_data_from_numpy(array, binary_data=binary)
        return data

    def test_texts_with_and_without_binary(self):
        expected = numpy.array(self.expected, dtype=numpy.float32)
        for binary_in in (False, True):
            for binary_out in (False, True, None):  # None: whatever the client asks for by itself
                outputs = None
                if binary_out is not None:
                    outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("logits", "scores", "label")]
                result = self.client.infer("intent", [self.text(TEXTS, binary_in)], outputs=outputs, request_id="7")
                numpy.testing.assert_array_equal(result.as_numpy("logits"), expected)  # bit for bit
                self.assertEqual(result.as_numpy("scores").shape, expected.shape)
                self.assertEqual(result.as_numpy("label").shape, (len(TEXTS),))
                self.assertEqual(result.get_response()["id"], "7")

    def test_tokens(self):
        rows = [row for row in cli.golden_case("multi_task", "intent")["rows"] if row["input"]["text"] in TEXTS]
        width = max(len(row["ids"]) for row in rows)
        ids = numpy.array([row["ids"] + [0] * (width - len(row["ids"])) for row in rows])
        mask = numpy.array([[1] * len(row["ids"]) + [0] * (width - len(row["ids"])) for row in rows])
        by_text = dict(zip(TEXTS, self.expected))
        for kind, datatype in ((numpy.int64, "INT64"), (numpy.int32, "INT32")):
            for binary in (False, True):
                inputs = []
                for name, array in (("input_ids", ids), ("attention_mask", mask)):
                    inputs.append(triton.InferInput(name, list(array.shape), datatype))
                    inputs[-1].set_data_from_numpy(array.astype(kind), binary_data=binary)
                result = self.client.infer("intent", inputs, model_version="1")
                numpy.testing.assert_array_equal(
                    result.as_numpy("logits"), numpy.array([by_text[row["input"]["text"]] for row in rows], dtype=numpy.float32))

    def test_pairs_classes_and_parameters(self):
        record = json.dumps({"title": "red shoe"})
        sides = [self.text([record, "a"], True, name="left"), self.text(["red shoe", "b"], False, name="right")]
        label = self.client.infer("duplicate", sides, parameters={"both_orders": True}).as_numpy("label")
        self.assertEqual(label.shape, (2,))
        classes = self.client.infer("intent", [self.text(TEXTS, True)],
                                    outputs=[triton.InferRequestedOutput("scores", class_count=2)]).as_numpy("scores")
        self.assertEqual(classes.shape, (len(TEXTS), 2))
        score, index, word = classes[0][0].decode().split(":")
        self.assertGreater(float(score), 0)
        self.assertIn(word, ["order_status", "refund", "product_search", "small_talk", "other"])
        several = self.client.infer(model().stem, [self.text(TEXTS, True)], parameters={"tasks": "intent,tags"}, priority=2,
                                    timeout=30_000_000)
        numpy.testing.assert_array_equal(several.as_numpy("intent.logits"), numpy.array(self.expected, dtype=numpy.float32))
        cut = self.client.infer("intent", [self.text(["refund " * 100], True)], parameters={"truncate": True})
        self.assertEqual(cut.get_response()["parameters"], {"truncated": True, "truncated_inputs": "0"})

    def test_what_the_client_asks_about_models(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("intent"))
        self.assertFalse(self.client.is_model_ready("nobody"))
        self.assertEqual(self.client.get_server_metadata()["name"], "tilewise")
        self.assertEqual(self.client.get_model_metadata("intent")["inputs"][0]["name"], "text")
        self.assertEqual(self.client.get_model_config("intent")["name"], "intent")
        self.assertEqual(self.client.get_model_repository_index()[0]["state"], "READY")
        self.assertIn("model_stats", self.client.get_inference_statistics())
        self.client.unload_model(model().stem)
        self.assertFalse(self.client.is_model_ready("intent"))
        self.client.load_model(model().stem)
        self.assertTrue(self.client.is_model_ready("intent"))

    def test_errors_are_the_clients_exceptions(self):
        for name, inputs, status, words in (("nobody", [self.text(["a"], True)], "404", "nobody"),
                                            ("intent", [self.text(["a"], True, name="query")], "400", "no such input"),
                                            ("intent", [self.text(["refund " * 100], True)], "400", "")):
            with self.assertRaises(InferenceServerException) as caught:
                self.client.infer(name, inputs)
            self.assertEqual(caught.exception.status(), status)
            self.assertIn(words, caught.exception.message())

    def test_many_at_a_time(self):
        with triton.InferenceServerClient(f"127.0.0.1:{self.server.port}", concurrency=8) as client:
            pending = [client.async_infer("intent", [self.text([TEXTS[i % len(TEXTS)]], i % 2 == 0)]) for i in range(64)]
            for i, request in enumerate(pending):
                numpy.testing.assert_array_equal(request.get_result().as_numpy("logits")[0],
                                                 numpy.array(self.expected[i % len(TEXTS)], dtype=numpy.float32))


class PerfAnalyzerTest(TestCase):
    def test_short_run(self):
        program = os.environ.get("TILEWISE_PERF_ANALYZER") or shutil.which("perf_analyzer")
        if program is None:
            self.skipTest("no perf_analyzer; TILEWISE_PERF_ANALYZER names one")
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
        if "Version" not in version.stdout + version.stderr:
            self.skipTest(f"{program} does not run here: {version.stderr.strip() or version.stdout.strip()}")
        data = self.write("texts.json", json.dumps({"data": [{"text": [text or "a"]} for text in TEXTS]}))
        report = self.folder / "report.csv"
        for more in ([], ["-b", "4"], ["--input-tensor-format", "json", "--output-tensor-format", "json"]):
            done = subprocess.run([program, "-m", "intent", "-u", f"127.0.0.1:{self.server.port}", "--input-data", str(data),
                                   "--concurrency-range", "2", "--measurement-mode", "count_windows",
                                   "--measurement-request-count", "50", "--max-trials", "3", "--stability-percentage", "999",
                                   "-f", str(report), *more], capture_output=True, text=True, timeout=300, check=False)
            said = done.stdout + done.stderr
            self.assertEqual(done.returncode, 0, said)
            header, row = report.read_text().splitlines()[:2]
            columns = dict(zip(header.split(","), row.split(",")))
            self.assertGreater(float(columns["Inferences/Second"]), 0, said)
            self.assertGreater(float(columns["Server Compute Infer"]), 0, "the statistics are there: " + said)


if __name__ == "__main__":
    main()
