#!/usr/bin/env python3
"""Clients that people already have, unchanged, against TEI's, OpenAI's and SageMaker's endpoints.

    python tei_clients.py TILEWISE

Exits 77 where the clients (tests/requirements.txt) are not installed."""
import base64
import json
import sys

try:
    import numpy
    import openai
    import requests
    from huggingface_hub import InferenceClient
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from harness import Server, TestCase, cli, main, model

TEXTS = ["where is my parcel", "refund the red shoes !", "black café 42"]
KEY = "a key"
# float32 numbers of at most 1, scaled to length 1.
TOLERANCE = 1e-6


def embeddings():
    done = cli.run("predict", model(), "--task", "vector", stdin=cli.to_lines([{"text": text} for text in TEXTS]))
    return numpy.array([answer["embedding"] for answer in cli.from_lines(done.stdout)], dtype="float32")


def intents():
    done = cli.run("predict", model(), "--task", "intent", "--top", "0", stdin=cli.to_lines([{"text": text} for text in TEXTS]))
    return [[(entry["label"], entry["score"]) for entry in answer["labels"]] for answer in cli.from_lines(done.stdout)]


class OpenAi(TestCase):
    """The client asks for base64 unless it is told otherwise."""

    FLAGS = ("--default-task", "vector")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)

    def test_embeddings_in_base64_and_as_numbers(self):
        for more in ({}, {"encoding_format": "float"}, {"encoding_format": "base64"}):
            reply = self.client.embeddings.create(input=TEXTS, model="vector", **more)
            found = [entry.embedding for entry in reply.data]
            if more.get("encoding_format") == "base64":
                found = [numpy.frombuffer(base64.b64decode(text), dtype="<f4") for text in found]
            numpy.testing.assert_allclose(numpy.array(found), embeddings(), rtol=0, atol=TOLERANCE)
            self.assertEqual(reply.usage.prompt_tokens, reply.usage.total_tokens)
            self.assertGreater(reply.usage.total_tokens, 2 * len(TEXTS))

    def test_dimensions_and_ids(self):
        reply = self.client.embeddings.create(input=TEXTS[0], model="vector", dimensions=8)
        due = embeddings()[0][:8]
        numpy.testing.assert_allclose(reply.data[0].embedding, due / numpy.linalg.norm(due), rtol=0, atol=TOLERANCE)
        ids = [token["id"] for token in self.server.call("POST", "/tokenize", {"inputs": TEXTS[0]}).json()[0]]
        for form in (ids, [ids]):
            reply = self.client.embeddings.create(input=form, model="vector")
            numpy.testing.assert_allclose(reply.data[0].embedding, embeddings()[0], rtol=0, atol=TOLERANCE)

    def test_models(self):
        self.assertEqual([entry.id for entry in self.client.models.list()], ["vector"])
        self.assertEqual(self.client.models.retrieve("vector").owned_by, "tilewise")

    def test_errors_are_the_clients_own(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.client.embeddings.create(input="a", model="text-embedding-3-small")
        self.assertEqual((caught.exception.code, caught.exception.param), ("model_not_found", "model"))
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.embeddings.create(input=[], model="vector")
        self.assertEqual(caught.exception.param, "input")
        with self.assertRaises(openai.APIStatusError) as caught:
            self.client.embeddings.create(input="a", model="vector", extra_headers={"x-deadline-ms": "0.000001"})
        self.assertEqual((caught.exception.status_code, caught.exception.code), (504, "timeout"))


class WithAKey(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(environment={"TILEWISE_API_KEY": KEY})

    def test_bearer_keys(self):
        client = openai.OpenAI(base_url=self.server.url + "/v1", api_key=KEY, max_retries=0)
        self.assertEqual(len(client.embeddings.create(input="a", model="vector").data[0].embedding), 32)
        with self.assertRaises(openai.AuthenticationError):
            client.with_options(api_key="another").embeddings.create(input="a", model="vector")
        found = InferenceClient(model=self.server.url + "/embed", token=KEY).feature_extraction("a")
        self.assertEqual(found.shape, (1, 32))


class HuggingFace(TestCase):
    """Given a base URL it calls POST /; given an endpoint's URL that one."""

    def test_feature_extraction(self):
        for url in ("/?task=vector", "/embed"):
            client = InferenceClient(model=self.server.url + url)
            found = numpy.concatenate([client.feature_extraction(text, normalize=True) for text in TEXTS])
            numpy.testing.assert_allclose(found, embeddings(), rtol=0, atol=TOLERANCE)
            self.assertEqual(client.feature_extraction("parcel " * 60, truncate=True, truncation_direction="left").shape, (1, 32))

    def test_text_classification(self):
        # TEI answers one input with one flat list, of which this client gives the first element, the best label.
        for url in ("/?task=intent", "/predict?task=intent"):
            client = InferenceClient(model=self.server.url + url)
            for text, due in zip(TEXTS, intents()):
                best = client.text_classification(text)
                self.assertEqual((best.label, best.score), due[0])
                best = client.text_classification(text, top_k=1)
                self.assertEqual((best.label, best.score), due[0])

    def test_sentence_similarity(self):
        client = InferenceClient(model=self.server.url)
        found = client.sentence_similarity(TEXTS[0], other_sentences=TEXTS[1:])
        vectors = embeddings()
        numpy.testing.assert_allclose(found, vectors[1:] @ vectors[0], rtol=0, atol=TOLERANCE)


class Requests(TestCase):
    """One session: connections are kept and used again."""

    def test_calls_over_one_session(self):
        with requests.Session() as session:
            for text, due in list(zip(TEXTS, intents())) * 10:
                reply = session.post(self.server.url + "/predict", json={"inputs": text, "task": "intent"})
                reply.raise_for_status()
                self.assertEqual([(entry["label"], entry["score"]) for entry in reply.json()], due)
            lines = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)
            reply = session.post(self.server.url + "/invocations", data=iter([lines[:20], lines[20:]]), params={"task": "intent"},
                                 headers={"Content-Type": "application/jsonlines"})  # in chunks
            self.assertEqual([json.loads(line)["labels"][0]["label"] for line in reply.text.splitlines()], [due[0][0] for due in intents()])
            self.assertEqual(session.get(self.server.url + "/health").status_code, 200)
            self.assertEqual(session.post(self.server.url + "/predict", data=b"{").json()["error_type"], "Validation")


if __name__ == "__main__":
    main()
