"""TEI's, OpenAI's and SageMaker's endpoints: the numbers of `tilewise predict`, and each protocol's own errors: tei_test.py TILEWISE."""
import base64
import json
import math
import struct

from harness import TestCase, cli, main, model

TEXTS = ["where is my parcel", "refund the red shoes !", "", "black café 42", "xyzzy " * 3]
PAIRS = [("red shoes", "shoes , red"), ("parcel", "where is my order"), ("", "x")]
RECORD = {"title": "red shoes", "brand": "acme", "price": 1.50}
OTHER = {"title": "shoes red", "color": "red"}
LONG = "where is my parcel " * 30  # the tasks take 40 tokens


def texts(rows):
    return [{"text": text} for text in rows]


def pairs(rows):
    return [{"left": left, "right": right} for left, right in rows]


def predict(path, task, rows, *flags, parse=True):
    """What the command line says to these rows; bad ones are left out."""
    done = cli.run("predict", path, "--task", task, *flags, stdin=rows if isinstance(rows, bytes) else cli.to_lines(rows))
    assert done.returncode == cli.DONE, done.stderr.decode()
    return cli.from_lines(done.stdout) if parse else done.stdout


class Base(TestCase):
    def ask(self, path, body=None, status=200, headers=(), method=None):
        """The parsed reply, or its bytes where it is no JSON."""
        method = method or ("GET" if body is None else "POST")
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json", **dict(headers)}
        self.reply = self.server.call(method, path, body, headers)
        self.assertEqual(self.reply.status, status, self.reply)
        is_json = self.reply.headers.get("content-type") == "application/json" and self.reply.body
        return self.reply.json() if is_json else self.reply.body

    def tei_error(self, path, body, status, error_type, says=(), **more):
        error = self.ask(path, body, status, **more)
        self.assertEqual(set(error), {"error", "error_type"})
        self.assertEqual(error["error_type"], error_type, error)
        for part in says:
            self.assertIn(part, error["error"])

    def openai_error(self, path, body, status, param, code=None, says=(), **more):
        error = self.ask(path, body, status, **more)
        self.assertEqual(set(error), {"error"})
        self.assertEqual(set(error["error"]), {"message", "type", "param", "code"})
        self.assertEqual((error["error"]["param"], error["error"]["code"]), (param, code), error)
        for part in says:
            self.assertIn(part, error["error"]["message"])


class Predict(Base):
    def test_multiclass_is_what_predict_says(self):
        due = predict(model(), "intent", texts(TEXTS), "--top", "0", "--logits")
        for text, answer in zip(TEXTS, due):
            self.assertEqual(self.ask("/predict", {"inputs": text, "task": "intent"}), answer["labels"])
            raw = self.ask("/predict?task=intent", {"inputs": [text], "raw_scores": True})
            self.assertEqual([entry["score"] for entry in raw], sorted(answer["logits"], reverse=True))
        batch = self.ask("/predict", {"inputs": [[text] for text in TEXTS], "task": "intent"})
        self.assertEqual(batch, [answer["labels"] for answer in due])
        top = self.ask("/predict", {"inputs": TEXTS[0], "task": "intent", "parameters": {"top_k": 2}})
        self.assertEqual(top, due[0]["labels"][:2])

    def test_binary_pairs_need_no_task(self):
        due = predict(model(), "duplicate", pairs(PAIRS), "--logits")
        for pair, answer in zip(PAIRS, due):
            self.assertEqual(self.ask("/predict", {"inputs": pair}), [{"score": answer["score"], "label": "duplicate"}])
        raw = self.ask("/predict", {"inputs": PAIRS[:1], "raw_scores": True})
        self.assertEqual(raw, [[{"score": due[0]["logits"][0], "label": "duplicate"}]])
        both = predict(model(), "duplicate", pairs(PAIRS), "--both-orders")
        self.assertEqual(self.ask("/predict", {"inputs": PAIRS[0], "both_orders": True})[0]["score"], both[0]["score"])

    def test_records_are_pairs_too(self):
        due = predict(model(), "duplicate", [{"left": RECORD, "right": OTHER}])
        # 1.50 keeps its spelling.
        body = b'{"inputs": [{"title": "red shoes", "brand": "acme", "price": 1.50}, {"title": "shoes red", "color": "red"}], "truncate": true}'
        spelled = predict(model(), "duplicate", b'{"left": {"title": "red shoes", "brand": "acme", "price": 1.50}, '
                          b'"right": {"title": "shoes red", "color": "red"}}\n')
        self.assertEqual(self.ask("/predict", body)[0]["score"], spelled[0]["score"])
        self.assertEqual(self.ask("/predict", {"inputs": [[RECORD, OTHER]], "truncate": True})[0][0]["score"], due[0]["score"])

    def test_multilabel_has_all_labels(self):
        due = predict(model(), "tags", texts(TEXTS), "--logits", "--threshold", "-1000")
        for text, answer in zip(TEXTS, due):
            self.assertEqual(self.ask("/predict", {"inputs": text, "task": "tags"}), answer["labels"])

    def test_regression_is_the_value(self):
        due = predict(model(), "urgency", texts(TEXTS))
        for text, answer in zip(TEXTS, due):
            self.assertEqual(self.ask("/predict", {"inputs": text, "task": "urgency"}), [{"score": answer["value"], "label": "urgency"}])

    def test_headers_say_where_the_time_went(self):
        self.ask("/predict", {"inputs": [["where is"], ["é"]], "task": "intent"})
        headers = self.reply.headers
        self.assertEqual(headers["x-compute-type"], "cpu")
        self.assertEqual(headers["x-compute-characters"], "9")
        self.assertGreaterEqual(int(headers["x-compute-tokens"]), 7)  # two words, one, and special tokens
        names = ["tokenization", "queue", "inference", "total"]
        timing = [entry.split(";dur=") for entry in headers["server-timing"].split(", ")]
        self.assertEqual([name for name, _ in timing], names)
        times = [float(duration) for _, duration in timing]
        self.assertGreater(times[2], 0)
        self.assertLessEqual(sum(times[:3]), times[3] + 0.002)  # four roundings to a thousandth
        for name, due in zip(names, times):
            # Whole milliseconds, rounded down, as in TEI; what is rounded up to a whole one is a little less.
            self.assertIn(int(headers[f"x-{name}-time"]), (int(due), int(due - 0.001)), headers)
        self.assertEqual(headers["x-compute-time"], headers["x-total-time"])
        self.assertNotIn("x-truncated", headers)

    def test_truncation_is_asked_for_and_said(self):
        self.tei_error("/predict", {"inputs": LONG, "task": "intent"}, 422, "Validation", ["40"])
        due = predict(model(), "intent", texts([LONG]), "--top", "0")
        found = self.ask("/predict", {"inputs": [["short"], [LONG]], "task": "intent", "truncate": True})
        self.assertEqual(found[1], due[0]["labels"])
        self.assertEqual(self.reply.headers["x-truncated"], "true")
        self.assertEqual(self.reply.headers["x-truncated-inputs"], "1")
        text = "refund " * 3 + LONG
        left = self.ask("/predict", {"inputs": text, "task": "intent", "truncate": True, "truncation_direction": "Left"})
        # The last 38 tokens of it, one a word.
        due = predict(model(), "intent", texts([" ".join(text.split()[-38:])]), "--top", "0")
        self.assertEqual(left, due[0]["labels"])

    def test_bad_requests(self):
        for body, says in [(b"", "JSON"), (b"{", "JSON"), (b"[]", "object"), (b'{"inputs":"\xff"}', "UTF-8"), (b"{}", "inputs"),
                           (b'{"inputs":7}', "inputs"), (b'{"inputs":["a","b","c"]}', "one or two"),
                           (b'{"inputs":[["a"],"b"]}', "inputs[1]"), (b'{"inputs":{"a":[1]}}', "inputs.a"),
                           (b'{"inputs":"a","truncate":7}', "truncate"), (b'{"inputs":"a","prompt_name":"p"}', "prompt_name"),
                           (b'{"inputs":"a"}', "multi_task-fp32.intent, multi_task-fp32.tags"),  # several fit
                           (b'{"inputs":["a","b"],"task":"intent"}', "inputs[0]"),
                           (b'{"inputs":[["a"],["b","c"]],"task":"intent"}', "inputs[1]"),
                           (b'{"inputs":[[{"color":"red"},{"title":"x"}]]}', "inputs[0]")]:
            with self.subTest(body):
                self.tei_error("/predict", body, 422, "Validation", [says])
        self.tei_error("/predict", {"inputs": []}, 400, "Empty", ["inputs"])
        self.tei_error("/predict", {"inputs": "a", "task": "nobody"}, 404, "Validation", ["intent"])
        self.tei_error("/predict", {"inputs": "a", "task": "vector"}, 424, "Backend", ["vector"])
        self.tei_error("/predict", {"inputs": [["a"]] * 257, "task": "intent"}, 413, "Validation", ["256"])
        self.tei_error("/predict", {"inputs": "a"}, 405, "Validation", method="GET")
        self.assertEqual(self.ask("/predict", {"inputs": "a", "task": "intent"})[0].keys(), {"score", "label"})


class Rerank(Base):
    def test_is_sorted(self):
        query, candidates = "red shoes", ["parcel", "shoes red", "black café"]
        due = predict(model(), "duplicate", pairs([(query, text) for text in candidates]), "--logits")
        ranks = self.ask("/rerank", {"query": query, "texts": candidates, "return_text": True})
        self.assertEqual(ranks, sorted([{"index": i, "text": candidates[i], "score": answer["score"]} for i, answer in enumerate(due)],
                                       key=lambda rank: -rank["score"]))
        raw = self.ask("/rerank", {"query": query, "texts": candidates, "raw_scores": True})
        self.assertEqual({rank["index"]: rank["score"] for rank in raw}, {i: answer["logits"][0] for i, answer in enumerate(due)})

    def test_bad_requests(self):
        self.tei_error("/rerank", {"query": "q"}, 422, "Validation", ["texts"])
        self.tei_error("/rerank", {"texts": ["t"]}, 422, "Validation", ["query"])
        self.tei_error("/rerank", {"query": "q", "texts": []}, 400, "Empty", ["texts"])
        self.tei_error("/rerank", {"query": "q", "texts": ["t"], "task": "intent"}, 424, "Backend", ["intent"])


class Embed(Base):
    def test_is_what_predict_says(self):
        due = [answer["embedding"] for answer in predict(model(), "vector", texts(TEXTS))]
        self.assertEqual(self.ask("/embed", {"inputs": TEXTS[0]}), due[:1])
        self.assertEqual(self.ask("/embed", {"inputs": TEXTS}), due)
        cut = self.ask("/embed", {"inputs": TEXTS[0], "dimensions": 8})[0]
        length = math.sqrt(sum(x * x for x in due[0][:8]))
        for found, expected in zip(cut, due[0][:8], strict=True):
            self.assertAlmostEqual(found, expected / length, delta=1e-6)  # float32 numbers up to 1
        raw = self.ask("/embed", {"inputs": TEXTS[0], "normalize": False})[0]
        self.assertNotAlmostEqual(sum(x * x for x in raw), 1, places=3)

    def test_ids_are_texts(self):
        tokens = self.ask("/tokenize", {"inputs": TEXTS[:2]})
        ids = [[token["id"] for token in row] for row in tokens]
        due = self.ask("/embed", {"inputs": TEXTS[:2]})
        self.assertEqual(self.ask("/embed", {"inputs": ids}), due)
        self.assertEqual(self.ask("/embed", {"inputs": ids[0]}), due[:1])

    def test_similarity(self):
        vectors = self.ask("/embed", {"inputs": TEXTS[:3]})
        found = self.ask("/similarity", {"inputs": {"source_sentence": TEXTS[0], "sentences": TEXTS[1:3]}})
        for value, vector in zip(found, vectors[1:], strict=True):
            # Two unit vectors of 32 rounded numbers.
            self.assertAlmostEqual(value, sum(a * b for a, b in zip(vectors[0], vector)), delta=1e-6)

    def test_any_address(self):
        self.assertEqual(self.ask("/?task=vector", {"inputs": TEXTS[0]}), self.ask("/embed", {"inputs": TEXTS[0]}))
        self.assertEqual(self.ask("/", {"inputs": TEXTS[0], "task": "intent"}), self.ask("/predict?task=intent", {"inputs": TEXTS[0]}))
        self.assertEqual(self.ask("/", {"query": "q", "texts": ["t"]}), self.ask("/rerank", {"query": "q", "texts": ["t"]}))

    def test_bad_requests(self):
        for body, says in [({"inputs": ["a", [1]]}, "mixed"), ({"inputs": [1, -1]}, "-1"), ({"inputs": "a", "dimensions": 33}, "32"),
                           ({"inputs": [1 << 20]}, "token"), ({"inputs": [["a"]]}, "inputs[0]")]:
            with self.subTest(body):
                self.tei_error("/embed", body, 422, "Validation", [says])
        self.tei_error("/embed", {"inputs": []}, 400, "Empty")
        self.tei_error("/embed", {"inputs": "a", "task": "intent"}, 424, "Backend", ["intent"])


class Tokens(Base):
    def test_there_and_back(self):
        tokens = self.ask("/tokenize", {"inputs": "Where is my PARCEL"})[0]
        self.assertEqual([(token["text"], token["special"]) for token in tokens],
                         [("[CLS]", True), ("where", False), ("is", False), ("my", False), ("parcel", False), ("[SEP]", True)])
        self.assertEqual(set(tokens[0]), {"id", "text", "special", "start", "stop"})
        ids = [token["id"] for token in tokens]
        self.assertEqual(self.ask("/decode", {"ids": ids}), ["where is my parcel"])
        self.assertEqual(self.ask("/decode", {"ids": [ids, ids[1:3]], "skip_special_tokens": False}),
                         ["[CLS] where is my parcel [SEP]", "where is"])
        bare = self.ask("/tokenize", {"inputs": ["where is", ""], "add_special_tokens": False})
        self.assertEqual([[token["id"] for token in row] for row in bare], [ids[1:3], []])

    def test_bad_requests(self):
        self.tei_error("/tokenize", {"inputs": []}, 400, "Empty")
        self.tei_error("/tokenize", {"inputs": [7]}, 422, "Validation", ["inputs[0]"])
        self.tei_error("/decode", {"ids": "a"}, 422, "Validation", ["ids"])
        self.tei_error("/decode", {"ids": []}, 400, "Empty")


class Info(Base):
    def test_info(self):
        info = self.ask("/info?task=intent")
        self.assertEqual(info["model_dtype"], "float32")
        self.assertEqual(info["served_model_name"], "multi_task-fp32.intent")
        self.assertEqual(info["model_type"]["classifier"]["id2label"]["0"], "order_status")
        self.assertEqual(info["model_type"]["classifier"]["label2id"]["order_status"], 0)
        self.assertEqual((info["max_input_length"], info["max_client_batch_size"]), (40, 256))
        self.assertEqual({task["name"].split(".")[-1] for task in info["tasks"]}, {"duplicate", "intent", "tags", "urgency", "vector"})
        self.assertIn("reranker", self.ask("/info?task=duplicate")["model_type"])
        self.assertEqual(self.ask("/info?task=vector")["model_type"], {"embedding": {"pooling": "cls"}})
        self.tei_error("/info?task=nobody", None, 404, "Validation", ["intent"])

    def test_health(self):
        self.assertEqual(self.ask("/health"), b"")
        self.assertEqual(self.ask("/ping"), b"")


class OpenAi(Base):
    def test_embeddings(self):
        due = [answer["embedding"] for answer in predict(model(), "vector", texts(TEXTS))]
        reply = self.ask("/v1/embeddings", {"input": TEXTS, "model": "vector"})
        self.assertEqual([entry["embedding"] for entry in reply["data"]], due)
        self.assertEqual([entry["index"] for entry in reply["data"]], list(range(len(TEXTS))))
        self.assertEqual((reply["object"], reply["model"]), ("list", "vector"))
        tokens = sum(len(row) for row in self.ask("/tokenize", {"inputs": TEXTS}))
        self.assertEqual(reply["usage"], {"prompt_tokens": tokens, "total_tokens": tokens})

    def test_base64(self):
        due = self.ask("/v1/embeddings", {"input": TEXTS[0]})["data"][0]["embedding"]
        reply = self.ask("/v1/embeddings", {"input": TEXTS[0], "encoding_format": "base64"})
        values = struct.unpack("<32f", base64.b64decode(reply["data"][0]["embedding"], validate=True))
        self.assertEqual(list(values), [struct.unpack("<f", struct.pack("<f", x))[0] for x in due])

    def test_models(self):
        models = self.ask("/v1/models")
        self.assertEqual([entry["id"] for entry in models["data"]], ["vector"])
        self.assertGreater(models["data"][0]["created"], 1_600_000_000)
        self.assertEqual(self.ask("/v1/models/vector"), models["data"][0])
        self.assertEqual(self.ask("/v1/models/multi_task-fp32.vector")["id"], "multi_task-fp32.vector")

    def test_bad_requests(self):
        for body, param in [(b"{", None), ({}, "input"), ({"input": []}, "input"), ({"input": 7}, "input"),
                            ({"input": ["a", 1]}, "input"), ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
                            ({"input": "a", "dimensions": 99}, "dimensions"), ({"input": "a", "model": 7}, "model"),
                            ({"input": [1 << 20]}, "input"), ({"input": LONG}, "input")]:
            with self.subTest(body):
                self.openai_error("/v1/embeddings", body, 400, param)
        self.openai_error("/v1/embeddings", {"input": "a", "model": "nobody"}, 404, "model", "model_not_found")
        self.openai_error("/v1/embeddings", {"input": "a", "model": "intent"}, 400, "model")
        self.openai_error("/v1/models/nobody", None, 404, "model", "model_not_found")


class SageMaker(Base):
    LINES = {"Content-Type": "application/jsonlines"}

    def test_rows_are_those_of_predict(self):
        rows = b'{"id":"a","text":"where is"}\n\n{"text":"refund","id":7.50}\r\n{"text":"\xff"}\n'
        for flags, query in [((), ""), (("--top", "0", "--logits"), "&top=0&logits=true")]:
            due = predict(model(), "intent", rows, *flags, parse=False)
            self.assertEqual(self.ask("/invocations?task=intent" + query, rows, headers=self.LINES), due)
            self.assertEqual(self.reply.headers["content-type"], "application/jsonlines")
        due = predict(model(), "intent,tags,urgency", rows, parse=False)
        attributes = {"X-Amzn-SageMaker-Custom-Attributes": "task=intent,tags,urgency", **self.LINES}
        self.assertEqual(self.ask("/invocations", rows, headers=attributes), due)

    def test_pairs_in_both_orders(self):
        rows = cli.to_lines([{"left": RECORD, "right": OTHER}, *pairs(PAIRS)])
        for flags, query in [((), "&truncate=true"), (("--both-orders",), "&truncate=true&both_orders=1")]:
            due = predict(model(), "duplicate", rows, *flags, parse=False)
            self.assertEqual(self.ask("/invocations?task=duplicate" + query, rows, headers=self.LINES), due)

    def test_a_bad_row_costs_only_itself(self):
        rows = b'{"text":"where is"}\nnonsense\n{"id":"long","text":"' + LONG.encode() + b'"}\n{"text":7}\n{"text":"my parcel"}\n'
        answers = [json.loads(line) for line in self.ask("/invocations?task=intent", rows, headers=self.LINES).splitlines()]
        self.assertEqual([answer["id"] for answer in answers], [1, 2, "long", 4, 5])
        self.assertEqual(["error" in answer for answer in answers], [False, True, True, True, False])
        self.assertIn("40", answers[2]["error"])
        good = predict(model(), "intent", texts(["where is", "my parcel"]))
        self.assertEqual([answers[0]["labels"], answers[4]["labels"]], [answer["labels"] for answer in good])
        cut = self.ask("/invocations?task=intent&truncate=true", rows, headers=self.LINES).splitlines()
        self.assertTrue(json.loads(cut[2])["truncated"])

    def test_one_row_or_a_call_of_tei(self):
        due = predict(model(), "intent", texts(TEXTS[:1]))[0]
        self.assertEqual(self.ask("/invocations?task=intent", b'{\n "text": "where is my parcel"\n}'), due)
        due = predict(model(), "duplicate", pairs(PAIRS[:1]))[0]
        self.assertEqual(self.ask("/invocations", pairs(PAIRS[:1])[0]), due)  # the only task for pairs
        self.assertEqual(self.ask("/invocations?task=vector", {"inputs": TEXTS}), self.ask("/embed", {"inputs": TEXTS}))
        attributes = {"X-Amzn-SageMaker-Custom-Attributes": "task=intent"}
        self.assertEqual(self.ask("/invocations", {"inputs": TEXTS[0]}, headers=attributes),
                         self.ask("/predict", {"inputs": TEXTS[0], "task": "intent"}))

    def test_bad_requests(self):
        self.tei_error("/invocations", b"a,b", 415, "Validation", ["text/csv"], headers={"Content-Type": "text/csv"})
        self.tei_error("/invocations", b"{", 422, "Validation", ["JSON"])
        self.tei_error("/invocations?task=intent", {"text": 7}, 422, "Validation", ["text"])
        self.tei_error("/invocations", {"text": "a"}, 422, "Validation", ["intent"])  # several fit
        self.tei_error("/invocations?task=intent,vector&top=x", b"{}", 422, "Validation", ["top"], headers=self.LINES)
        self.tei_error("/invocations?task=intent,duplicate", b"{}", 422, "Validation", headers=self.LINES)
        self.tei_error("/invocations?task=intent", b'{"text":"a"}\n' * 257, 413, "Validation", ["256"], headers=self.LINES)
        self.tei_error("/invocations?task=intent", b"\n", 400, "Empty", ["rows"], headers=self.LINES)


if __name__ == "__main__":
    main()
