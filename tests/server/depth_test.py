"""Adaptive depth over every protocol: the answers of `tilewise predict`, the depth where there is a place for it, and full depth
on request: depth_test.py TILEWISE."""
import statistics

from harness import Server, TestCase, cli, eventually, main

LAYERS = cli.LAYERS


def predict(*flags, task="intent"):
    done = cli.run("predict", cli.model_with_exits(), "--task", task, *flags, stdin=cli.to_lines(cli.exit_rows(task)))
    assert done.returncode == cli.DONE, done.stderr.decode()
    return cli.from_lines(done.stdout)


TEXTS = [row["text"] for row in cli.exit_rows("intent")]


class Depth(TestCase):
    FULL = False  # whether the server is asked for it

    @classmethod
    def setUpClass(cls):
        cls.server = Server("--auto-truncate", *(["--full-depth"] if cls.FULL else []), path=cli.model_with_exits())
        cls.adaptive, cls.full = predict(), predict("--full-depth")
        cls.usual = cls.full if cls.FULL else cls.adaptive

    def reply(self, path, body, **headers):
        answer = self.server.call("POST", path, body, headers)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def infer(self, **parameters):
        body = {"inputs": [{"name": "text", "shape": [len(TEXTS)], "datatype": "BYTES", "data": TEXTS}], "parameters": parameters}
        reply = self.reply("/v2/models/intent/infer", body).json()
        return {output["name"]: output for output in reply["outputs"]}

    def test_kserve(self):
        for parameters, due in (({}, self.usual), ({"full_depth": True}, self.full), ({"full_depth": False}, self.adaptive)):
            outputs = self.infer(**parameters)
            self.assertEqual(list(outputs), ["logits", "scores", "label", "depth"])
            self.assertEqual(outputs["depth"]["shape"], [len(TEXTS)])
            self.assertEqual(outputs["depth"]["data"], [answer["depth"] for answer in due])
            self.assertEqual(outputs["logits"]["shape"], [len(TEXTS), 5])
            best = [max(outputs["scores"]["data"][5 * i:5 * i + 5]) for i in range(len(TEXTS))]
            self.assertEqual(best, [answer["labels"][0]["score"] for answer in due])
        outputs = self.server.call("GET", "/v2/models/intent").json()["outputs"]
        self.assertEqual(outputs[-1], {"name": "depth", "datatype": "FP32", "shape": [-1]})
        self.assertNotIn("depth", [output["name"] for output in self.server.call("GET", "/v2/models/tags").json()["outputs"]])

    def test_kserve_wants_true_or_false(self):
        body = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a"]}], "parameters": {"full_depth": 3}}
        answer = self.server.call("POST", "/v2/models/intent/infer", body)
        self.assertEqual(answer.status, 400)
        self.assertIn("parameters.full_depth", answer.json()["error"])

    def test_tei(self):
        for options, due in (({}, self.usual), ({"full_depth": True}, self.full), ({"parameters": {"full_depth": False}}, self.adaptive)):
            for raw in (False, True):
                reply = self.reply("/predict", {"inputs": [[text] for text in TEXTS], "task": "intent", "top_k": 1, "raw_scores": raw, **options})
                self.assertEqual([row[0]["label"] for row in reply.json()], [answer["labels"][0]["label"] for answer in due])
                self.assertAlmostEqual(float(reply.headers["x-compute-depth"]), statistics.fmean(answer["depth"] for answer in due), places=4)
            rows = self.reply("/predict", {"inputs": [[TEXTS[0]]], "task": "intent", "raw_scores": True, **options}).json()
            self.assertEqual(len(rows[0]), 5, "the depth is no score")
        self.assertNotIn("x-compute-depth", self.reply("/predict", {"inputs": "a", "task": "tags"}).headers)

    def test_rerank(self):
        pairs = cli.exit_rows("duplicate", 4)
        body = {"query": pairs[0]["left"], "texts": [pair["right"] for pair in pairs], "task": "duplicate"}
        depth = float(self.reply("/rerank", body).headers["x-compute-depth"])
        self.assertTrue(depth == LAYERS if self.FULL else 1 <= depth <= LAYERS, depth)
        self.assertEqual(float(self.reply("/rerank", {**body, "full_depth": True}).headers["x-compute-depth"]), LAYERS)

    def test_sagemaker(self):
        body = cli.to_lines(cli.exit_rows("intent"))
        for query, due in (("", self.usual), ("&full_depth=true", self.full), ("&full_depth=false", self.adaptive)):
            reply = self.reply("/invocations?task=intent" + query, body, **{"Content-Type": "application/jsonlines"})
            self.assertEqual(cli.from_lines(reply.body), due)

    def test_metrics_and_tasks(self):
        def total(name):
            lines = self.server.call("GET", "/metrics").body.decode().splitlines()
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + "{") and 'protocol="kserve"' in line)

        before = {name: total(name) for name in ("tilewise_depth_layers_total", "tilewise_depth_answers_total")}
        self.infer()
        # The metrics of a call are written once its answer is on the way.
        due = {"tilewise_depth_layers_total": sum(answer["depth"] for answer in self.usual), "tilewise_depth_answers_total": len(TEXTS)}
        for name, more in due.items():
            self.assertTrue(eventually(lambda: total(name) == before[name] + more), (name, total(name), before[name], more))
        tasks = self.server.call("GET", "/v1/tasks").json()["models"][0]["tasks"]
        self.assertEqual({task["task"]: task["exits"] for task in tasks}, {"duplicate": [1], "intent": [1], "tags": [], "urgency": [], "vector": []})


class FullDepth(Depth):
    FULL = True


class Cache(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--cache-mb", 4, path=cli.model_with_exits())

    def test_answers_of_either_depth_are_kept_apart(self):
        text = next(text for text, answer in zip(TEXTS, predict()) if answer["depth"] == 1)
        body = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}], "outputs": [{"name": "depth"}]}
        for full in (False, True, False, True):
            reply = self.server.call("POST", "/v2/models/intent/infer", {**body, "parameters": {"full_depth": full}}).json()
            self.assertEqual(reply["outputs"][0]["data"], [LAYERS if full else 1])


if __name__ == "__main__":
    main()
