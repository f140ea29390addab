"""Clients that behave, and compare every answer with what `tilewise predict` said."""
import base64
import json
import struct
import time

from harness import Connection, PATIENCE, request
from soak.actor import Actor, Wrong
from soak.models import TEXT_TASKS, to_floats


class Call:
    """A request and how to judge its answer. `check(variant, response)`: whether this variant gives it; `version_of(response)`:
    which version it says it is, None where the protocol does not say."""

    def __init__(self, served, path, body, check, headers=(), version_of=lambda response: None):
        self.served, self.path, self.body, self.check = served, path, body, check
        self.headers, self.version_of = dict(headers), version_of


def judge(call, response, begin, end):
    """An answer of status 200 must be that of one version that may have answered then, all of it."""
    version = call.version_of(response)
    candidates = call.served.candidates(begin, end)
    for candidate, variant in candidates:
        if version in (None, str(candidate)) and call.check(call.served.variants[variant], response):
            return
    others = [variant.number for variant in call.served.variants if call.check(variant, response)]
    raise Wrong(f"wrong answer to {call.path} {call.body[:300]!r}: it says version {version}; {call.served.name} had "
                f"(version, variant) {sorted(candidates)}; these variants would say so: {others}; {response}")


# ---- KServe ----

def say_texts(values, name="text"):
    return {"name": name, "datatype": "BYTES", "shape": [len(values)], "data": values}


def choose_inputs(rng, questions, task, most):
    """(indices, the input tensors)"""
    if task == "duplicate":
        rows = rng.choices(range(len(questions.pairs)), k=rng.randint(1, most))
        sides = [[value if isinstance(value, str) else json.dumps(value) for value in
                  (questions.pairs[i][side] for i in rows)] for side in ("left", "right")]
        return rows, [say_texts(sides[0], "left"), say_texts(sides[1], "right")]
    rows = rng.choices(range(len(questions.texts)), k=rng.randint(1, most))
    return rows, [say_texts([questions.texts[i] for i in rows])]


def kserve_version(response):
    return response.json()["model_version"]


def expect_floats(variant, task, rows):
    return b"".join(to_floats(variant.numbers(task, i)) for i in rows)


def kserve_json(rng, questions, served, most=6):
    task = rng.choice(("duplicate",) + TEXT_TASKS)
    rows, inputs = choose_inputs(rng, questions, task, most)

    def check(variant, response):
        outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
        if to_floats(outputs["embedding" if task == "vector" else "logits"]) != expect_floats(variant, task, rows):
            return False
        return task not in ("duplicate", "intent") or outputs["scores"] == [x for i in rows for x in variant.scores(task, i)]

    body = json.dumps({"inputs": inputs}).encode()
    return Call(served, f"/v2/models/{served.name}.{task}/infer", body, check, version_of=kserve_version)


def kserve_tasks(rng, questions, served, most=6):
    """Several heads in one pass."""
    tasks = rng.sample(TEXT_TASKS, rng.randint(2, 4))
    rows, inputs = choose_inputs(rng, questions, "intent", most)

    def check(variant, response):
        outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
        return all(to_floats(outputs[f"{task}." + ("embedding" if task == "vector" else "logits")]) ==
                   expect_floats(variant, task, rows) for task in tasks)

    body = json.dumps({"inputs": inputs, "parameters": {"tasks": ",".join(tasks), "timeout": PATIENCE * 1000000}}).encode()
    return Call(served, f"/v2/models/{served.name}/infer", body, check, version_of=kserve_version)


def pack_texts(values):
    return b"".join(struct.pack("<I", len(data)) + data for data in (value.encode() for value in values))


def binary_parts(response):
    size = int(response.headers["inference-header-content-length"])
    head, rest, parts = json.loads(response.body[:size]), response.body[size:], {}
    for output in head["outputs"]:
        count = output["parameters"]["binary_data_size"]
        parts[output["name"]], rest = rest[:count], rest[count:]
    return head, parts


def kserve_binary(rng, questions, served, most=6):
    task = rng.choice(("duplicate",) + TEXT_TASKS)
    rows, inputs = choose_inputs(rng, questions, task, most)
    tail = b""
    for tensor in inputs:
        data = pack_texts(tensor.pop("data"))
        tensor["parameters"] = {"binary_data_size": len(data)}
        tail += data
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()

    def check(variant, response):
        return binary_parts(response)[1]["embedding" if task == "vector" else "logits"] == expect_floats(variant, task, rows)

    return Call(served, f"/v2/models/{served.name}.{task}/infer", head + tail, check,
                {"Inference-Header-Content-Length": len(head), "Content-Type": "application/octet-stream"},
                lambda response: binary_parts(response)[0]["model_version"])


# ---- TEI, OpenAI, SageMaker ----

def tei_predict(rng, questions, served, most=6):
    rows = rng.choices(range(len(questions.texts)), k=rng.randint(1, most))
    task = rng.choice(("intent", "tags", "urgency"))
    raw = task == "tags" or rng.random() < 0.5

    def expect(variant, i):
        answer = variant.text(task, i)
        if task == "urgency":
            return [answer["value"]]
        return sorted(answer["logits"], reverse=True) if raw else [each["score"] for each in answer["labels"]]

    def check(variant, response):
        return [[each["score"] for each in answer] for answer in response.json()] == [expect(variant, i) for i in rows]

    body = {"inputs": [[questions.texts[i]] for i in rows], "task": f"{served.name}.{task}", "raw_scores": raw}
    return Call(served, "/predict", json.dumps(body).encode(), check)


def tei_rerank(rng, questions, served, most=6):
    rows = [i for i, pair in enumerate(questions.pairs) if isinstance(pair["left"], str)]
    first = rng.choice(rows)
    rows = [first] * rng.randint(1, most)  # one query and one text, several times: pairs whose scores are known

    def check(variant, response):
        ranks = response.json()
        return (sorted(each["index"] for each in ranks) == list(range(len(rows))) and
                all(each["score"] == variant.of_pairs[first]["score"] for each in ranks))

    pair = questions.pairs[first]
    body = {"query": pair["left"], "texts": [pair["right"]] * len(rows)}
    return Call(served, f"/rerank?task={served.name}.duplicate", json.dumps(body).encode(), check)


def tei_embed(rng, questions, served, most=6):
    rows = rng.choices(range(len(questions.texts)), k=rng.randint(1, most))
    body = {"inputs": [questions.texts[i] for i in rows], "task": f"{served.name}.vector"}
    return Call(served, "/embed", json.dumps(body).encode(),
                lambda variant, response: response.json() == [variant.numbers("vector", i) for i in rows])


def openai_embeddings(rng, questions, served, most=6):
    rows = rng.choices(range(len(questions.texts)), k=rng.randint(1, most))
    encoding = rng.choice(("float", "base64"))
    body = {"input": [questions.texts[i] for i in rows], "model": f"{served.name}.vector", "encoding_format": encoding}

    def check(variant, response):
        found = [each["embedding"] for each in response.json()["data"]]
        if encoding == "base64":
            return [base64.b64decode(each) for each in found] == [to_floats(variant.numbers("vector", i)) for i in rows]
        return found == [variant.numbers("vector", i) for i in rows]

    return Call(served, "/v1/embeddings", json.dumps(body).encode(), check)


def sagemaker(rng, questions, served, most=6):
    rows = rng.choices(range(len(questions.texts)), k=rng.randint(1, most))
    tasks = ",".join(f"{served.name}.{task}" for task in TEXT_TASKS)
    lines = [{"id": number, "text": questions.texts[i]} for number, i in enumerate(rows)]
    bad = rng.random() < 0.2  # costs only itself
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines) + (b"nonsense\n" if bad else b"")

    def check(variant, response):
        answers = [json.loads(line) for line in response.body.splitlines()]
        if bad and "error" not in answers.pop():
            return False
        return answers == [{"id": number, **variant.of_texts[i]} for number, i in enumerate(rows)]

    return Call(served, f"/invocations?task={tasks}&top=0&logits=true", body, check, {"Content-Type": "application/jsonlines"})


KINDS = {"kserve": (kserve_json, kserve_json, kserve_tasks), "binary": (kserve_binary,), "tei": (tei_predict, tei_rerank, tei_embed),
         "openai": (openai_embeddings,), "sagemaker": (sagemaker,)}


class Client(Actor):
    """Keeps a connection for some requests. Every request is answered, and rightly."""

    kinds = sum(KINDS.values(), ())
    most = 6

    def __init__(self, soak, number=0):
        super().__init__(soak, number)
        self.connection = None

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def make(self):
        served = self.random.choice(self.soak.served)
        return self.random.choice(self.kinds)(self.random, self.soak.questions, served, self.most)

    def step(self):
        self.ask([self.make()])
        if self.random.random() < 0.03:
            self.close()

    def headers(self):
        return {"x-priority": "bulk"} if self.random.random() < 0.1 else {}

    def write(self, data):
        """Now and then in pieces, as networks have them."""
        if self.random.random() < 0.9:
            return self.connection.send(data)
        for _ in range(3):
            cut = self.random.randint(0, len(data))
            self.connection.send(data[:cut])
            time.sleep(0.001)
            data = data[cut:]
        return self.connection.send(data)

    def ask(self, calls, **more):
        """Sends all of them at once, and reads their answers."""
        begin = time.monotonic()
        is_new = self.connection is None
        try:
            if is_new:
                self.connection = Connection(self.server)
            self.write(b"".join(to_bytes(call, self.random, {**self.headers(), **more}) for call in calls))
            for call in calls:
                if self.connection is not None:  # the server may have said that it closes it
                    self.accept(call, self.connection.read_response(), begin, time.monotonic())
        except ConnectionError:
            self.close()
            if not (is_new and self.soak.may_be_flooded(begin, time.monotonic())):
                raise

    def accept(self, call, response, begin, end):
        self.counts[response.status] += 1
        if response.headers.get("connection") == "close":
            self.close()
            if response.status == 200:
                raise Wrong(f"a connection was closed that was to go on: {response}")
        if response.status == 200:
            judge(call, response, begin, end)
            self.counts["checked"] += 1
        elif not self.may_refuse(call, response, begin, end):
            raise Wrong(f"no answer to {call.path} {call.body[:300]!r}: {response}")

    def may_refuse(self, call, response, begin, end):
        if response.status not in (404, 503):
            return False
        if response.status == 503 and b"connections" in response.body:
            return self.soak.may_be_flooded(begin, end)
        return call.served.may_be_absent(begin, end)


def to_bytes(call, rng, headers=()):
    headers = {**call.headers, **dict(headers)}
    if rng.random() < 0.9:
        return request("POST", call.path, call.body, headers)
    cut = rng.randint(1, len(call.body) - 1)
    parts = [part for part in (call.body[:cut], call.body[cut:]) if part]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return request("POST", call.path, None, {**headers, "Transfer-Encoding": "chunked"}) + chunks


class Pipeliner(Client):
    """Several requests before the first answer."""

    pause = 0.05

    def step(self):
        self.ask([self.make() for _ in range(self.random.randint(2, 8))])


class Bulk(Client):
    """Large requests of low priority."""

    pause = 0.1
    most = 60

    def headers(self):
        return {"x-priority": "bulk"}


class Burst(Client):
    """More than can be answered in time: refusals must say so, and what is answered must be right."""

    pause = 1.0
    most = 32
    kinds = KINDS["kserve"]

    def step(self):
        deadline = self.random.choice((0.5, 1, 2, 5, 20))
        others = [Connection(self.server) for _ in range(6)]
        try:
            calls = [[self.make() for _ in range(6)] for _ in others]
            begin = time.monotonic()
            for connection, some in zip(others, calls):
                connection.send(b"".join(to_bytes(call, self.random, {"x-deadline-ms": deadline}) for call in some))
            for connection, some in zip(others, calls):
                for call in some:
                    self.accept(call, connection.read_response(), begin, time.monotonic())
        except ConnectionError:
            if not self.soak.may_be_flooded(begin, time.monotonic()):
                raise
        finally:
            for connection in others:
                connection.close()

    def may_refuse(self, call, response, begin, end):
        if response.status == 429:
            if "retry-after" not in response.headers:
                raise Wrong(f"a refusal without Retry-After: {response}")
            return True
        return response.status == 504 or super().may_refuse(call, response, begin, end)
