"""KServe v2 REST with the binary tensor extension, against a running server: the same numbers as `tilewise predict`, bit for
bit, in every form, and the protocol's own error for whatever is wrong."""
import json
import math
import shutil
import struct

from harness import Server, TestCase, cli, main, model

golden_case = cli.golden_case

TEXT_TASKS = ("intent", "tags", "urgency", "vector")
LABELS = ["order_status", "refund", "product_search", "small_talk", "other"]
CLS, SEP, PAD = 2, 3, 0
VOCABULARY = 128  # of the tiny checkpoint


def predict(task, rows, *flags):
    """What the command line says about these rows: floats as JSON has them, which read back to the same float32."""
    done = cli.run("predict", model(), "--task", task, *flags, stdin=cli.to_lines(rows))
    assert done.returncode == cli.DONE, done.stderr.decode()
    return cli.from_lines(done.stdout)


def tensor(name, datatype, shape, data):
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def texts(values, name="text"):
    return tensor(name, "BYTES", [len(values)], list(values))


def tokens(sequences, width=None, types=None):
    """Padded to one width, as tokenizers do."""
    width = width or max(map(len, sequences))

    def pad(rows, value=0):
        return [row + [value] * (width - len(row)) for row in rows]

    shape = [len(sequences), width]
    inputs = [tensor("input_ids", "INT64", shape, pad(sequences, PAD)),
              tensor("attention_mask", "INT64", shape, pad([[1] * len(row) for row in sequences]))]
    if types:
        inputs.append(tensor("token_type_ids", "INT64", shape, pad(types)))
    return inputs


def bytes_elements(elements):
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def split_elements(data):
    elements = []
    while data:
        size, = struct.unpack_from("<I", data)
        elements.append(data[4:4 + size])
        data = data[4 + size:]
    return elements


def rows_of(output):
    """The elements of an output, one list a row."""
    n, width = output["shape"]
    return [output["data"][row * width:(row + 1) * width] for row in range(n)]


class KServeCase(TestCase):
    FLAGS = ("--max-batch", 16)

    @property
    def name(self):
        return model().stem

    def ask(self, method, path, body=None, headers=(), server=None):
        return (server or self.server).call(method, path, body, headers)

    def reply(self, method, path, body=None, headers=(), server=None):
        """Of a request that goes well."""
        answer = self.ask(method, path, body, headers, server)
        self.assertEqual(answer.status, 200, answer.body)
        return json.loads(answer.body) if answer.body else None

    def infer(self, name, inputs, outputs=None, **parameters):
        """name -> output."""
        body = {"inputs": inputs}
        if outputs is not None:
            body["outputs"] = [{"name": output} if isinstance(output, str) else output for output in outputs]
        if parameters:
            body["parameters"] = parameters
        reply = self.reply("POST", f"/v2/models/{name}/infer", body)
        self.assertEqual(reply["model_name"], name)
        return {output["name"]: output for output in reply["outputs"]}

    def error(self, status, path, body=None, says=(), headers=(), method="POST"):
        answer = self.ask(method, path, body, headers)
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["content-type"], "application/json")
        reply = json.loads(answer.body.decode())
        self.assertEqual(list(reply), ["error"])
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, reply["error"])
        return reply["error"]


class InferTest(KServeCase):
    def setUp(self):
        super().setUp()
        # What the batch of 16 has room for, and is not too long.
        self.rows = [row for row in golden_case("multi_task", "intent")["rows"] if not row["truncated"]][:12]
        self.texts = [row["input"]["text"] for row in self.rows]

    def test_logits_and_scores_are_those_of_predict(self):
        expected = predict("intent", [row["input"] for row in self.rows], "--logits", "--top", "0")
        outputs = self.infer("intent", [texts(self.texts)])
        self.assertEqual(list(outputs), ["logits", "scores", "label"])
        self.assertEqual(rows_of(outputs["logits"]), [answer["logits"] for answer in expected])
        for scores, label, answer in zip(rows_of(outputs["scores"]), outputs["label"]["data"], expected):
            by_label = {each["label"]: each["score"] for each in answer["labels"]}
            self.assertEqual(scores, [by_label[name] for name in LABELS])
            self.assertEqual(label, "" if answer.get("out_of_scope") else answer["labels"][0]["label"])
        self.assertIn("", outputs["label"]["data"])  # both happen
        self.assertTrue(set(outputs["label"]["data"]) & set(LABELS))

    def test_the_other_kinds_are_those_of_predict(self):
        inputs = [row["input"] for row in self.rows]
        tags = self.infer("tags", [texts(self.texts)])
        for logits, scores, label, answer in zip(rows_of(tags["logits"]), rows_of(tags["scores"]), tags["label"]["data"],
                                                 predict("tags", inputs, "--logits")):
            self.assertEqual(logits, answer["logits"])
            self.assertEqual(json.loads(label), [each["label"] for each in answer["labels"]])
            self.assertEqual(len(scores), 3)  # those under the threshold, too
            for each in answer["labels"]:
                self.assertIn(each["score"], scores)
            for logit, score in zip(logits, scores):  # of a float32, with room for its rounding
                self.assertAlmostEqual(score, 1 / (1 + math.exp(-logit)), delta=1e-6)
        urgency = self.infer("urgency", [texts(self.texts)])
        self.assertEqual(list(urgency), ["logits", "scores"])
        self.assertEqual(urgency["scores"]["data"], [answer["value"] for answer in predict("urgency", inputs)])
        self.assertEqual(urgency["logits"]["data"], urgency["scores"]["data"])
        vector = self.infer("vector", [texts(self.texts)])
        self.assertEqual(list(vector), ["embedding"])
        self.assertEqual(rows_of(vector["embedding"]), [answer["embedding"] for answer in predict("vector", inputs)])

    def test_pairs_are_records_or_plain_text(self):
        rows = [row["input"] for row in golden_case("multi_task", "duplicate")["rows"]
                if not row["truncated"] and row["input"]["left"] != {"color": "red"}][:12]
        for flags, parameters in (((), {}), (("--both-orders",), {"both_orders": True})):
            expected = predict("duplicate", rows, "--logits", *flags)
            sides = [texts([value if isinstance(value, str) else json.dumps(value) for value in
                            (row[side] for row in rows)], side) for side in ("left", "right")]
            outputs = self.infer("duplicate", sides, **parameters)
            self.assertEqual(rows_of(outputs["logits"]), [answer["logits"] for answer in expected])
            self.assertEqual(outputs["scores"]["data"], [answer["score"] for answer in expected])
            self.assertEqual(outputs["label"]["data"], [answer["label"] or "" for answer in expected])
        self.assertTrue(any(isinstance(row["left"], dict) for row in rows))
        # Where there is no template, braces are text like any other.
        text = '{"text": "refund"}'
        self.assertEqual(self.infer("intent", [texts([text])])["logits"]["data"],
                         predict("intent", [{"text": text}], "--logits")[0]["logits"])

    def test_alone_is_as_among_others(self):
        together = rows_of(self.infer("intent", [texts(self.texts)], ["logits"])["logits"])
        for text, logits in zip(self.texts, together):
            self.assertEqual(self.infer("intent", [texts([text])], ["logits"])["logits"]["data"], logits)

    def test_tokens_are_as_texts(self):
        for task in TEXT_TASKS:
            rows = [row for row in golden_case("multi_task", task)["rows"] if not row["truncated"]][:12]
            by_text = self.infer(task, [texts([row["input"]["text"] for row in rows])])
            ids = [row["ids"] for row in rows]
            self.assertEqual(self.infer(task, tokens(ids)), by_text)
            # The padding does not matter, nor what stands in it.
            padded = tokens(ids, 90, [row["types"] for row in rows])
            for length, row in zip(map(len, ids), padded[0]["data"]):
                row[length:] = [-7] * (90 - length)
            self.assertEqual(self.infer(task, padded), by_text)
        rows = [row for row in golden_case("multi_task", "duplicate")["rows"] if not row["truncated"] and row["ids"]][:12]
        outputs = self.infer("duplicate", tokens([row["ids"] for row in rows], types=[row["types"] for row in rows]))
        expected = predict("duplicate", [row["input"] for row in rows], "--logits")
        self.assertEqual(rows_of(outputs["logits"]), [answer["logits"] for answer in expected])

    def test_integers_of_every_type_and_form(self):
        ids = self.rows[0]["ids"]
        expected = self.infer("intent", tokens([ids]))
        n = len(ids)
        for datatype, code in (("INT8", "b"), ("INT16", "h"), ("INT32", "i"), ("INT64", "q"), ("UINT8", "B"), ("UINT16", "H"),
                               ("UINT32", "I"), ("UINT64", "Q")):
            for data in (ids, [ids]):
                self.assertEqual(self.infer("intent", [tensor("input_ids", datatype, [1, n], data)]), expected)
            raw = struct.pack(f"<{n}{code}", *ids)
            reply = self.binary("intent", [("input_ids", datatype, [1, n], raw)], {})
            self.assertEqual({output["name"]: output for output in reply[0]["outputs"]}, expected)
        mask = tensor("attention_mask", "BOOL", [1, n + 1], [True] * n + [False])
        self.assertEqual(self.infer("intent", [tensor("input_ids", "INT64", [1, n + 1], ids + [PAD]), mask]), expected)

    def binary(self, name, tensors, more, json_outputs=True):
        """Inputs in binary: (the reply's JSON, what follows it)."""
        body = {"inputs": [{"name": tensor_name, "datatype": datatype, "shape": shape,
                            "parameters": {"binary_data_size": len(raw)}} for tensor_name, datatype, shape, raw in tensors], **more}
        text = json.dumps(body).encode()
        answer = self.ask("POST", f"/v2/models/{name}/infer", text + b"".join(each[3] for each in tensors),
                          {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"})
        self.assertEqual(answer.status, 200, answer.body)
        size = int(answer.headers.get("inference-header-content-length", len(answer.body)))
        return json.loads(answer.body[:size]), answer.body[size:]

    def test_binary_is_as_json(self):
        expected = self.infer("intent", [texts(self.texts)])
        raw = bytes_elements([text.encode() for text in self.texts])
        inputs = [("text", "BYTES", [len(self.texts), 1], raw)]
        reply, rest = self.binary("intent", inputs, {})
        self.assertEqual({output["name"]: output for output in reply["outputs"]}, expected)
        self.assertEqual(rest, b"")
        reply, rest = self.binary("intent", inputs, {"parameters": {"binary_data_output": True}})
        self.assertEqual([output["name"] for output in reply["outputs"]], ["logits", "scores", "label"])
        for output in reply["outputs"]:
            size = output["parameters"]["binary_data_size"]
            data, rest = rest[:size], rest[size:]
            self.assertNotIn("data", output)
            self.assertEqual(output["shape"], expected[output["name"]]["shape"])
            if output["datatype"] == "BYTES":
                self.assertEqual([element.decode() for element in split_elements(data)], expected[output["name"]]["data"])
            else:  # each float in JSON is the shortest that gives these bytes
                self.assertEqual(data, struct.pack(f"<{size // 4}f", *expected[output["name"]]["data"]))
        self.assertEqual(rest, b"")
        # One output in JSON, one in binary, in the order of the request.
        reply, rest = self.binary("intent", inputs, {"outputs": [{"name": "label"}, {"name": "logits", "parameters":
                                                                                     {"binary_data": True}}]})
        self.assertEqual(reply["outputs"][0], expected["label"])
        self.assertEqual(rest, struct.pack(f"<{len(rest) // 4}f", *expected["logits"]["data"]))

    def test_text_that_is_no_utf_8_is_read_with_replacements(self):
        reply, _ = self.binary("intent", [("text", "BYTES", [1], bytes_elements([b"refund \xff\xfe caf\xc3"]))], {})
        expected = self.infer("intent", [texts(["refund \ufffd\ufffd caf\ufffd"])])
        self.assertEqual({output["name"]: output for output in reply["outputs"]}, expected)
        body = b'{"inputs":[{"name":"text","datatype":"BYTES","shape":[1],"data":["refund \\ud800"]}]}'
        self.assertEqual(self.reply("POST", "/v2/models/intent/infer", body)["outputs"],
                         list(self.infer("intent", [texts(["refund \ufffd"])]).values()))

    def test_several_tasks_in_one_pass(self):
        inputs = [texts(self.texts)]
        for names in ("intent,tags,urgency", ["intent", "tags", "urgency"]):
            outputs = self.infer(self.name, inputs, tasks=names)
            self.assertEqual(list(outputs), [f"{task}.{kind}" for task, kinds in
                                             (("intent", ("logits", "scores", "label")), ("tags", ("logits", "scores", "label")),
                                              ("urgency", ("logits", "scores"))) for kind in kinds])
            for task in ("intent", "tags", "urgency"):
                for kind, output in self.infer(task, inputs).items():
                    self.assertEqual(outputs[f"{task}.{kind}"], {**output, "name": f"{task}.{kind}"})
        some = self.infer(self.name, inputs, ["tags.label", "intent.logits"], tasks="intent,tags")
        self.assertEqual(list(some), ["tags.label", "intent.logits"])
        one = self.infer(self.name, inputs, ["label", "intent.label"], tasks="intent")
        self.assertEqual(one["label"]["data"], one["intent.label"]["data"])

    def test_a_task_by_its_full_name_and_version(self):
        expected = self.infer("intent", [texts(self.texts)])
        self.assertEqual(self.infer(f"{self.name}.intent", [texts(self.texts)]), expected)
        reply = self.reply("POST", "/v2/models/intent/versions/1/infer", {"id": "a \"7\"", "inputs": [texts(self.texts)]})
        self.assertEqual((reply["id"], reply["model_version"]), ("a \"7\"", "1"))
        self.assertEqual(reply["outputs"], list(expected.values()))
        self.assertNotIn("id", self.reply("POST", "/v2/models/intent/infer", {"inputs": [texts(self.texts)]}))

    def test_classes_as_triton_gives_them(self):
        plain = self.infer("intent", [texts(self.texts)])
        for name in ("logits", "scores"):
            classes = self.infer("intent", [texts(self.texts)], [{"name": name, "parameters": {"classification": 2}}])[name]
            self.assertEqual((classes["datatype"], classes["shape"]), ("BYTES", [len(self.texts), 2]))
            for row, values in zip(rows_of(classes), rows_of(plain[name])):
                best = sorted(range(5), key=lambda label: (-values[label], label))[:2]
                for text, label in zip(row, best):
                    value, index, word = text.split(":")
                    self.assertEqual((float(value), int(index), word), (values[label], label, LABELS[label]))
        every = self.infer("intent", [texts(["refund"])], [{"name": "scores", "parameters": {"classification": 99}}])
        self.assertEqual(every["scores"]["shape"], [1, 5])
        number = self.infer("urgency", [texts(["refund"])], [{"name": "scores", "parameters": {"classification": 1}}])
        self.assertTrue(number["scores"]["data"][0].endswith(":0"))  # no label

    def test_long_text_is_refused_unless_it_may_be_cut(self):
        long = "refund " * 100
        path = "/v2/models/intent/infer"
        self.error(400, path, {"inputs": [texts(["refund", long])]}, says="[1]")
        self.error(400, path, {"inputs": [texts(["refund", long])], "parameters": {"truncate": False}})
        reply = self.reply("POST", path, {"inputs": [texts(["refund", long, "a", long])], "parameters": {"truncate": True}})
        self.assertEqual(reply["parameters"], {"truncated": True, "truncated_inputs": "1,3"})
        expected = predict("intent", [{"text": long}], "--logits")[0]
        self.assertTrue(expected["truncated"])
        self.assertEqual(rows_of(reply["outputs"][0])[1], expected["logits"])
        # Cut on the left, the end of the text stays.
        kept = {"inputs": [texts([long + "shoes"])], "parameters": {"truncate": True, "truncation_direction": "left"}}
        left = self.reply("POST", path, kept)["outputs"][0]["data"]
        self.assertEqual(left, self.infer("intent", [texts(["refund " * 36 + "shoes"])])["logits"]["data"])
        short = self.reply("POST", path, {"inputs": [texts(["refund"])], "parameters": {"truncate": True}})
        self.assertNotIn("parameters", short)

    def test_deadlines_and_priorities(self):
        for parameters in ({"priority": "bulk"}, {"priority": 2}, {"priority": 1, "timeout": 5_000_000}, {"timeout": 0}):
            self.infer("intent", [texts(["refund"])], **parameters)
        answer = self.ask("POST", "/v2/models/intent/infer", {"inputs": [texts(["refund"])], "parameters": {"timeout": 1}})
        self.assertIn(answer.status, (429, 504), answer.body)
        self.assertIn("error", json.loads(answer.body))


class BadInputTest(KServeCase):
    PATH = "/v2/models/intent/infer"

    def refused(self, inputs, says, status=400, path=PATH, **more):
        return self.error(status, path, {"inputs": inputs, **more}, says)

    def tearDown(self):
        # Whatever was wrong, the next request is answered.
        self.infer("intent", [texts(["refund"])])
        super().tearDown()

    def test_bodies_that_are_no_json(self):
        for body in (b"", b"{", b"[]", b"null", b'{"inputs": NaN}', b'{"inputs": [{"name": "\xff"}]}', b"\x00\x01", b"[" * 5000):
            self.error(400, self.PATH, body, says="not valid JSON")

    def test_names_that_there_are_not(self):
        self.error(404, "/v2/models/nobody/infer", {"inputs": [texts(["a"])]}, says="nobody")
        self.error(404, f"/v2/models/{self.name}.nobody/infer", {"inputs": [texts(["a"])]})
        self.error(404, "/v2/models/intent/versions/9/infer", {"inputs": [texts(["a"])]}, says="9")
        self.error(404, "/v2/models/%ff/infer", {"inputs": [texts(["a"])]})
        self.error(404, f"/v2/models/{self.name}/infer", {"inputs": [texts(["a"])], "parameters": {"tasks": "nobody"}})
        self.error(400, f"/v2/models/{self.name}/infer", {"inputs": [texts(["a"])]}, says="parameters.tasks")
        self.error(400, f"/v2/models/{self.name}/infer", {"inputs": [texts(["a"])], "parameters": {"tasks": "intent,duplicate"}},
                   says="differently")
        self.refused([texts(["a"])], "another task", parameters={"tasks": "tags"})
        for name in ("nothing", "embedding", "tags.label", "intent."):
            self.refused([texts(["a"])], ["no such output", "logits, scores, label"], outputs=[{"name": name}])
        self.refused([texts(["a"])], "twice", outputs=[{"name": "label"}, {"name": "label"}])
        self.refused([texts(["a"])], "classes", outputs=[{"name": "label", "parameters": {"classification": 1}}])
        self.refused([texts(["a"], "query")], ["no such input", "query", "text"])

    def test_inputs_that_do_not_go_together(self):
        self.refused([], "not the inputs of task intent")
        self.refused([texts(["a"]), texts(["b"])], "twice")
        self.refused([texts(["a"]), *tokens([[CLS, SEP]])], "both texts and tokens")
        self.refused(tokens([[CLS, SEP]])[1:], "input_ids")
        self.refused([texts(["a"], "left"), texts(["b"], "right")], "not the inputs of task intent")
        pair = "/v2/models/duplicate/infer"
        self.refused([texts(["a"])], "left and right", path=pair)
        self.refused([texts(["a"], "left")], "left and right", path=pair)
        self.refused([texts(["a", "b"], "left"), texts(["b"], "right")], "number of texts", path=pair)
        self.refused([texts(["a"])], "both_orders", parameters={"both_orders": True})
        record = json.dumps({"color": "red"})  # no field that the template has
        self.refused([texts(["a"], "left"), texts([record], "right")], "field", path=pair)
        nested = json.dumps({"title": {"a": 1}})
        self.refused([texts(["a"], "left"), texts([nested], "right")], "right[0].title", path=pair)

    def test_shapes_and_datatypes(self):
        for shape in ([2], [], [1, 2], [1, 1, 1], [-1], [2**40], [2**62, 2**62], [-1, -1]):
            self.refused([tensor("text", "BYTES", shape, ["a"])], "input text")
        self.refused([tensor("text", "BYTES", [0], [])], "empty")
        self.refused([texts(["a"] * 17)], ["at most 16", "17"], status=413)
        for datatype in ("BF16", "FP16", "FP32", "STRING"):
            self.refused([tensor("text", datatype, [1], ["a"])], datatype)
            self.refused([tensor("input_ids", datatype, [1, 2], [CLS, SEP])], datatype)
        self.refused([tensor("text", "INT64", [1], [1])], "BYTES")
        self.refused([tensor("input_ids", "BYTES", [1, 1], ["a"])], "integer")
        self.refused([tensor("input_ids", "INT64", [2], [CLS, SEP])], "[n, length]")
        self.refused([tensor("input_ids", "INT64", [1, 2], [CLS, SEP, SEP])], "2 elements")
        self.refused([tensor("input_ids", "INT64", [1, 2], [[CLS], [SEP]])], "nested")
        self.refused([tensor("input_ids", "INT64", [1, 2], [CLS, 3.5])], "integers")

    def test_tokens_that_the_model_cannot_read(self):
        for bad in (-1, VOCABULARY, 2**62, 10_000):
            self.refused(tokens([[CLS, SEP], [CLS, bad, SEP]]), ["input_ids[1]", "out of range"])
        self.refused(tokens([[CLS, SEP]], types=[[0, 2]]), "token_type_ids[0]")
        self.refused([tensor("input_ids", "INT64", [1, 0], [])], "no tokens")
        ids, mask = tokens([[CLS, 5, SEP]])
        for values in ([1, 0, 1], [0, 1, 1], [1, 2, 1], [-1, 1, 1]):
            self.refused([ids, {**mask, "data": values}], "attention_mask[0]")
        self.refused([ids, {**mask, "data": [0, 0, 0]}], "no tokens")
        self.refused([ids, tensor("attention_mask", "INT64", [1, 2], [1, 1])], "that of input_ids")
        self.refused(tokens([[CLS] + [5] * 100 + [SEP]]), "too long", parameters={"truncate": True})

    def test_parameters(self):
        for parameters in ({"timeout": -1}, {"timeout": "1"}, {"priority": "first"}, {"truncate": "yes"},
                           {"truncation_direction": "up"}, {"tasks": 1}):
            self.refused([texts(["a"])], f"parameters.{next(iter(parameters))}", parameters=parameters)

    def test_binary_parts(self):
        def send(size, data, header=None, shape=(1,)):
            body = json.dumps({"inputs": [{"name": "text", "datatype": "BYTES", "shape": list(shape),
                                           "parameters": {"binary_data_size": size}}]}).encode()
            header = str(len(body)) if header is None else header
            return self.error(400, self.PATH, body + data, headers={"Inference-Header-Content-Length": header})

        whole = bytes_elements([b"refund"])
        send(len(whole), whole[:-1])
        send(len(whole) - 1, whole)
        send(len(whole), whole + b"x")
        send(len(whole), struct.pack("<I", 2**32 - 1) + b"refund")
        send(len(whole), whole, shape=[2])
        send(len(whole), whole, shape=[2**40])
        send(2**63 - 1, whole)
        for header in ("-1", "1x", "99999999999999999999", "100000", "0"):
            send(len(whole), whole, header=header)


class ModelsTest(KServeCase):
    def test_health(self):
        self.assertEqual(self.reply("GET", "/v2/health/live"), {"live": True})
        self.assertEqual(self.reply("GET", "/v2/health/ready"), {"ready": True})
        for path in ("/v2/models/intent", f"/v2/models/{self.name}", "/v2/models/intent/versions/1"):
            self.assertEqual(self.reply("GET", path + "/ready"), {"name": path.split("/")[3], "ready": True})
        self.error(404, "/v2/models/nobody/ready", method="GET")
        self.error(404, "/v2/models/intent/versions/2/ready", method="GET")

    def test_metadata(self):
        server = self.reply("GET", "/v2")
        self.assertEqual(server["name"], "tilewise")
        self.assertIn("binary_tensor_data", server["extensions"])
        intent = self.reply("GET", "/v2/models/intent")
        self.assertEqual((intent["name"], intent["versions"]), ("intent", ["1"]))
        self.assertEqual([(each["name"], each["datatype"], each["shape"]) for each in intent["inputs"]],
                         [("text", "BYTES", [-1, 1]), ("input_ids", "INT64", [-1, -1]), ("attention_mask", "INT64", [-1, -1]),
                          ("token_type_ids", "INT64", [-1, -1])])
        self.assertEqual([(each["name"], each["datatype"], each["shape"]) for each in intent["outputs"]],
                         [("logits", "FP32", [-1, 5]), ("scores", "FP32", [-1, 5]), ("label", "BYTES", [-1])])
        duplicate = self.reply("GET", "/v2/models/duplicate/versions/1")
        self.assertEqual([each["name"] for each in duplicate["inputs"]][:2], ["left", "right"])
        whole = self.reply("GET", f"/v2/models/{self.name}")
        self.assertIn("tags.label", [each["name"] for each in whole["outputs"]])
        self.error(404, "/v2/models/nobody", method="GET")

    def test_what_the_metadata_says_is_what_comes(self):
        for task in ("duplicate", *TEXT_TASKS):
            described = self.reply("GET", f"/v2/models/{task}")["outputs"]
            inputs = [texts(["a", "b"], "left"), texts(["a", "c"], "right")] if task == "duplicate" else [texts(["a", "b"])]
            outputs = self.infer(task, inputs)
            self.assertEqual([each["name"] for each in described], list(outputs))
            for each in described:
                output = outputs[each["name"]]
                self.assertEqual(output["datatype"], each["datatype"])
                self.assertEqual(output["shape"], [2, *each["shape"][1:]])

    def test_configuration(self):
        config = self.reply("GET", "/v2/models/intent/config")
        self.assertEqual((config["name"], config["max_batch_size"]), ("intent", 16))
        self.assertEqual(config["input"][0], {"name": "text", "data_type": "TYPE_STRING", "dims": [1], "optional": True})
        self.assertEqual(config["output"][0], {"name": "logits", "data_type": "TYPE_FP32", "dims": [5]})

    def test_statistics(self):
        def stats(path):
            model_stats, = self.reply("GET", path)["model_stats"]
            return model_stats

        before, of_tags = stats("/v2/models/intent/stats"), stats("/v2/models/tags/stats")
        self.infer("intent", [texts(["refund", "shoes"])])
        self.error(400, "/v2/models/intent/infer", {"inputs": []})
        after = stats("/v2/models/intent/stats")
        self.assertEqual(after["inference_count"] - before["inference_count"], 2)
        self.assertEqual(after["inference_stats"]["success"]["count"] - before["inference_stats"]["success"]["count"], 1)
        self.assertEqual(after["inference_stats"]["fail"]["count"] - before["inference_stats"]["fail"]["count"], 1)
        for part in ("success", "compute_infer"):
            self.assertGreater(after["inference_stats"][part]["ns"], before["inference_stats"][part]["ns"])
        self.assertEqual(stats("/v2/models/tags/stats"), of_tags)
        self.assertEqual(stats("/v2/models/stats")["name"], self.name)
        self.assertGreaterEqual(stats(f"/v2/models/{self.name}/stats")["inference_count"], after["inference_count"])
        self.error(404, "/v2/models/nobody/stats", method="GET")


class RepositoryTest(KServeCase):
    def test_index(self):
        entry, = self.reply("POST", "/v2/repository/index")
        self.assertEqual(entry, {"name": self.name, "version": "1", "state": "READY", "reason": "",
                                 "tasks": ["duplicate", *TEXT_TASKS]})
        self.assertEqual(self.reply("POST", "/v2/repository/index", {"ready": True}), [entry])
        self.error(400, "/v2/repository/index", b"{")
        self.error(400, "/v2/repository/index", {"ready": "yes"})

    def test_load_and_unload(self):
        for name in ("a", "b"):
            (self.folder / name).mkdir()
            shutil.copy(model(), self.folder / name / "1.tw")
        server = Server(path=self.folder)
        self.addCleanup(server.stop)
        names = lambda ready: [entry["name"] for entry in  # noqa: E731
                               self.reply("POST", "/v2/repository/index", {"ready": ready}, server=server)]
        ask = lambda name: self.ask("POST", f"/v2/models/{name}/infer",  # noqa: E731
                                    {"inputs": [texts(["refund"])]}, server=server)
        self.assertEqual(names(True), ["a", "b"])
        self.assertEqual(ask("a.intent").status, 200)
        self.assertEqual(ask("intent").status, 400)  # which one?
        self.reply("POST", "/v2/repository/models/b/unload", server=server)
        self.assertEqual(names(True), ["a"])
        self.assertEqual(names(False), ["a", "b"])
        self.assertEqual(ask("b.intent").status, 503)
        self.assertEqual(ask("intent").status, 200)
        answer = self.ask("GET", "/v2/models/b/ready", server=server)
        self.assertEqual((answer.status, json.loads(answer.body)), (503, {"name": "b", "ready": False}))
        shutil.copy(model(), self.folder / "b" / "2.tw")
        self.reply("POST", "/v2/repository/models/b/load", server=server)
        self.assertEqual(self.reply("GET", "/v2/models/b", server=server)["versions"], ["2"])
        self.assertEqual(ask("b.intent").status, 200)
        for path, body, status in (("models/nobody/load", b"", 404), ("models/nobody/unload", b"", 404),
                                   ("models/b/load", b"{", 400), ("models/b/load", {"parameters": {"config": "{}"}}, 501)):
            answer = self.ask("POST", f"/v2/repository/{path}", body, server=server)
            self.assertEqual(answer.status, status, answer.body)
            self.assertIn("error", json.loads(answer.body))


if __name__ == "__main__":
    main()
