"""gRPC as people's own clients speak it: tritonclient and grpcio against a running server. The same numbers as REST, bit for
bit. Needs tritonclient[grpc] and numpy; exits 77 where they are missing."""
import concurrent.futures
import json
import queue
import struct
import subprocess
import sys
import threading
import time
import unittest

import harness
from harness import PATIENCE, Server, TestCase

try:
    import grpc
    import numpy as np
    import tritonclient.grpc as triton
    from tritonclient.grpc import service_pb2 as pb
    from tritonclient.grpc import service_pb2_grpc as services
    from tritonclient.utils import InferenceServerException
except ImportError as missing:
    print(f"skipped: {missing}; tests/requirements.txt names what these tests need", file=sys.stderr)
    sys.exit(harness.SKIPPED)

TEXTS = ["where is my parcel", "refund", "", "the red shoes !", "caf\u00e9 \u4e16\u754c"]
Code = grpc.StatusCode
HEALTH = "/grpc.health.v1.Health/"


def texts_input(values, name="text"):
    data = triton.InferInput(name, [len(values)], "BYTES")
    data.set_data_from_numpy(np.array([value.encode() for value in values], dtype=object))
    return data


def typed(model, values, name="text"):
    """The message of a client that knows nothing of raw contents."""
    message = pb.ModelInferRequest(model_name=model)
    message.inputs.add(name=name, datatype="BYTES", shape=[len(values)]).contents.bytes_contents.extend(
        value.encode() for value in values)
    return message


def raw_of(floats):
    return struct.pack(f"<{len(floats)}f", *floats)


class GrpcCase(TestCase):
    FLAGS = ("--max-batch", "16")

    def setUp(self):
        super().setUp()
        self.address = f"127.0.0.1:{self.server.grpc_port}"
        self.client = triton.InferenceServerClient(self.address)
        self.channel = grpc.insecure_channel(self.address)
        self.stub = services.GRPCInferenceServiceStub(self.channel)
        self.addCleanup(self.client.close)
        self.addCleanup(self.channel.close)

    def rest(self, model, inputs, **parameters):
        """name -> output, as REST has it."""
        body = {"inputs": inputs, "parameters": parameters} if parameters else {"inputs": inputs}
        reply = self.server.call("POST", f"/v2/models/{model}/infer", body)
        self.assertEqual(reply.status, 200, reply.body)
        return {output["name"]: output for output in reply.json()["outputs"]}

    def rest_texts(self, model, **sides):
        return self.rest(model, [{"name": name, "shape": [len(values)], "datatype": "BYTES", "data": values}
                                 for name, values in sides.items()])

    def assertSame(self, result, expected):
        """A tritonclient result against REST's outputs: the same bits."""
        self.assertEqual([output.name for output in result.get_response().outputs], list(expected))
        for name, output in expected.items():
            found = result.as_numpy(name)
            self.assertEqual(list(found.shape), output["shape"])
            if output["datatype"] == "BYTES":
                self.assertEqual([each.decode() for each in found.flatten()], output["data"])
            else:
                self.assertEqual(found.tobytes(), raw_of(output["data"]), name)

    def assertFails(self, code, call, *says):
        with self.assertRaises(grpc.RpcError) as caught:
            call()
        self.assertEqual(caught.exception.code(), code, caught.exception.details())
        for part in says:
            self.assertIn(part, caught.exception.details())
        return caught.exception

    def health(self, service=b""):
        """The number of the status."""
        check = self.channel.unary_unary(HEALTH + "Check")
        reply = check(b"\x0a" + bytes([len(service)]) + service if service else b"", timeout=PATIENCE)
        return reply[1] if reply else 0


class InferTest(GrpcCase):
    def test_texts_are_as_in_rest(self):
        for model in ("intent", "tags", "urgency", "vector"):
            expected = self.rest_texts(model, text=TEXTS)
            self.assertSame(self.client.infer(model, [texts_input(TEXTS)]), expected)
            reply = self.stub.ModelInfer(typed(model, TEXTS))
            self.assertFalse(reply.raw_output_contents)
            for output in reply.outputs:
                data = expected[output.name]["data"]
                if output.datatype == "BYTES":
                    self.assertEqual([each.decode() for each in output.contents.bytes_contents], data)
                else:
                    self.assertEqual(raw_of(output.contents.fp32_contents), raw_of(data))

    def test_alone_is_as_among_others(self):
        together = self.client.infer("intent", [texts_input(TEXTS)]).as_numpy("logits")
        for text, logits in zip(TEXTS, together):
            self.assertEqual(self.client.infer("intent", [texts_input([text])]).as_numpy("logits").tobytes(), logits.tobytes())

    def test_pairs(self):
        left = [json.dumps({"title": "red shoes"}), "refund"]
        right = ["the shoes", json.dumps({"title": "my parcel", "brand": "x"})]
        expected = self.rest_texts("duplicate", left=left, right=right)
        self.assertSame(self.client.infer("duplicate", [texts_input(left, "left"), texts_input(right, "right")]), expected)

    def test_tokens(self):
        ids = [[2, 9, 11, 3], [2, 7, 3, 0]]
        mask = [[1, 1, 1, 1], [1, 1, 1, 0]]
        expected = self.rest("intent", [
            {"name": name, "shape": [2, 4], "datatype": "INT64", "data": data}
            for name, data in (("input_ids", ids), ("attention_mask", mask), ("token_type_ids", [[0] * 4] * 2))])
        for datatype, kind in (("INT64", np.int64), ("INT32", np.int32), ("UINT8", np.uint8), ("UINT64", np.uint64)):
            inputs = []
            for name, data in (("input_ids", ids), ("attention_mask", mask)):
                inputs.append(triton.InferInput(name, [2, 4], datatype))
                inputs[-1].set_data_from_numpy(np.array(data, dtype=kind))
            self.assertSame(self.client.infer("intent", inputs), expected)
        message = pb.ModelInferRequest(model_name="intent")
        message.inputs.add(name="input_ids", datatype="INT64", shape=[2, 4]).contents.int64_contents.extend(sum(ids, []))
        message.inputs.add(name="attention_mask", datatype="BOOL", shape=[2, 4]).contents.bool_contents.extend(map(bool, sum(mask, [])))
        reply = self.stub.ModelInfer(message)
        self.assertEqual(raw_of(reply.outputs[0].contents.fp32_contents), raw_of(expected["logits"]["data"]))

    def test_several_tasks_and_chosen_outputs(self):
        expected = self.rest("multi_task-fp32", [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["refund"]}],
                             tasks="intent,tags")
        result = self.client.infer("multi_task-fp32", [texts_input(["refund"])], parameters={"tasks": "intent,tags"})
        self.assertSame(result, expected)
        outputs = [triton.InferRequestedOutput("scores", class_count=2)]
        best = self.client.infer("intent", [texts_input(["refund"])], outputs=outputs).as_numpy("scores").flatten()
        self.assertEqual(len(best), 2)
        score, index, _ = best[0].decode().split(":")
        scores = self.rest_texts("intent", text=["refund"])["scores"]["data"]
        self.assertEqual((float(score), int(index)), (max(scores), scores.index(max(scores))))

    def test_overlong_text(self):
        text = "parcel " * 500
        self.assertFails(Code.INVALID_ARGUMENT, lambda: self.stub.ModelInfer(typed("intent", ["a", text])), "inputs[1]")
        message = typed("intent", ["a", text])
        message.parameters["truncate"].bool_param = True
        reply = self.stub.ModelInfer(message)
        self.assertTrue(reply.parameters["truncated"].bool_param)
        self.assertEqual(reply.parameters["truncated_inputs"].string_param, "1")

    def test_many_clients_at_once(self):
        expected = {text: self.rest_texts("intent", text=[text]) for text in TEXTS}

        def ask(number):
            client = triton.InferenceServerClient(self.address)
            for i in range(25):
                text = TEXTS[(number + i) % len(TEXTS)]
                self.assertSame(client.infer("intent", [texts_input([text])], request_id=f"{number}-{i}"), expected[text])
            client.close()

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))


class StreamTest(GrpcCase):
    def test_triton_stream(self):
        expected = {text: self.rest_texts("intent", text=[text]) for text in TEXTS}
        answers = queue.Queue()
        self.client.start_stream(lambda result, error: answers.put((result, error)))
        for i in range(300):
            self.client.async_stream_infer("intent", [texts_input([TEXTS[i % len(TEXTS)]])], request_id=str(i))
        self.client.async_stream_infer("nothing", [texts_input(["a"])], request_id="bad")
        seen, errors = set(), []
        for _ in range(301):
            result, error = answers.get(timeout=PATIENCE)
            if error:
                errors.append(str(error))
                continue
            number = int(result.get_response().id)
            seen.add(number)
            self.assertTrue(result.get_response().parameters["triton_final_response"].bool_param)
            self.assertSame(result, expected[TEXTS[number % len(TEXTS)]])
        self.client.stop_stream()
        self.assertEqual(seen, set(range(300)))
        self.assertEqual(len(errors), 1)
        self.assertIn("nothing", errors[0])

    def test_a_stream_names_what_failed(self):
        bad = typed("nothing", ["a"])
        bad.id = "17"
        replies = list(self.stub.ModelStreamInfer(iter([bad, typed("intent", ["a"])]), timeout=PATIENCE))
        self.assertEqual(len(replies), 2)
        failed = next(reply for reply in replies if reply.error_message)
        self.assertEqual(failed.infer_response.id, "17")
        self.assertEqual(failed.infer_response.parameters["error_code"].string_param, "not_found")

    def test_a_client_that_leaves(self):
        def endless():
            while True:
                yield typed("intent", TEXTS)

        for _ in range(5):
            call = self.stub.ModelStreamInfer(endless(), timeout=PATIENCE)
            next(call)
            call.cancel()
        self.assertTrue(self.stub.ModelInfer(typed("intent", ["a"])).outputs)


class ErrorTest(GrpcCase):
    def test_bad_requests(self):
        def changed(change, values=("a",), model="intent"):
            message = typed(model, list(values))
            change(message)
            return lambda: self.stub.ModelInfer(message)

        def no_change(_):
            pass

        def set_parameter(name, **value):
            def change(message):
                for field, content in value.items():
                    setattr(message.parameters[name], field, content)
            return change

        bad = Code.INVALID_ARGUMENT
        self.assertFails(Code.NOT_FOUND, changed(no_change, model="nothing"), "nothing")
        self.assertFails(Code.NOT_FOUND, changed(lambda m: setattr(m, "model_version", "7")))
        self.assertFails(bad, changed(no_change, model="multi_task-fp32"), "several tasks")
        self.assertFails(bad, changed(no_change, values=()), "batch is empty")
        self.assertFails(Code.RESOURCE_EXHAUSTED, changed(no_change, values=["a"] * 17), "at most 16")
        self.assertFails(bad, changed(lambda m: m.inputs[0].shape.append(2)), "text")
        self.assertFails(bad, changed(lambda m: m.inputs[0].shape.__setitem__(0, -1)), "text")
        self.assertFails(bad, changed(lambda m: m.inputs[0].shape.__setitem__(0, 1 << 62)), "text")
        self.assertFails(bad, changed(lambda m: setattr(m.inputs[0], "datatype", "FP32")), "datatype")
        self.assertFails(bad, changed(lambda m: setattr(m.inputs[0], "datatype", "nonsense")), "datatype")
        self.assertFails(bad, changed(lambda m: setattr(m.inputs[0], "name", "words")), "words")
        self.assertFails(bad, changed(lambda m: m.inputs.add().CopyFrom(m.inputs[0])), "twice")
        self.assertFails(bad, changed(lambda m: m.inputs.pop()))
        self.assertFails(bad, changed(lambda m: m.outputs.add(name="odds")), "odds")
        self.assertFails(bad, changed(lambda m: m.raw_input_contents.append(b"\x01\0\0\0a")), "text")
        self.assertFails(bad, changed(lambda m: m.raw_input_contents.extend([b"", b""])), "raw_input_contents")
        self.assertFails(Code.NOT_FOUND, changed(set_parameter("tasks", string_param="nothing"), model="multi_task-fp32"))
        self.assertFails(bad, changed(set_parameter("timeout", int64_param=-1)), "timeout")
        self.assertFails(bad, changed(set_parameter("timeout", string_param="soon")), "timeout")
        self.assertFails(bad, changed(set_parameter("priority", string_param="now")), "priority")
        self.assertFails(bad, changed(set_parameter("truncation_direction", string_param="up")), "truncation_direction")
        self.assertFails(bad, changed(set_parameter("both_orders", bool_param=True)), "both_orders")
        self.assertFails(Code.UNIMPLEMENTED,
                         changed(lambda m: setattr(m.inputs[0].parameters["shared_memory_region"], "string_param", "r")))
        tokens = pb.ModelInferRequest(model_name="intent")
        tokens.inputs.add(name="input_ids", datatype="INT64", shape=[1, 2]).contents.int64_contents.extend([2, 1 << 40])
        self.assertFails(bad, lambda: self.stub.ModelInfer(tokens), "out of range")
        self.assertTrue(self.stub.ModelInfer(typed("intent", ["a"])).outputs)

    def test_bytes_that_are_no_message(self):
        call = self.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for junk in (b"\xff\xff\xff\xff", b"\x0a\x7f", b"\x2a\x02\x0a\x7f"):
            with self.assertRaises(grpc.RpcError):
                call(junk, timeout=PATIENCE)
        self.assertFails(Code.UNIMPLEMENTED,
                         lambda: self.channel.unary_unary("/inference.GRPCInferenceService/Other")(b"", timeout=PATIENCE))
        self.assertTrue(self.stub.ModelInfer(typed("intent", ["a"])).outputs)

    def test_a_message_that_is_too_large(self):
        self.assertFails(Code.RESOURCE_EXHAUSTED, lambda: self.stub.ModelInfer(typed("intent", ["a" * (3 << 20)])))

    def test_text_that_is_not_utf8_is_as_in_rest(self):
        message = typed("intent", ["a"])
        message.inputs[0].contents.bytes_contents[0] = b"red \xff shoes"
        self.assertEqual(raw_of(self.stub.ModelInfer(message).outputs[0].contents.fp32_contents),
                         raw_of(self.rest_texts("intent", text=["red \ufffd shoes"])["logits"]["data"]))

    def test_deadlines(self):
        message = typed("intent", ["a"])
        message.parameters["timeout"].int64_param = 1
        self.assertFails(Code.DEADLINE_EXCEEDED, lambda: self.stub.ModelInfer(message), "deadline")
        self.assertFails(Code.DEADLINE_EXCEEDED, lambda: self.stub.ModelInfer(typed("intent", TEXTS), timeout=1e-6))

    def test_clients_that_leave(self):
        for _ in range(50):
            self.stub.ModelInfer.future(typed("intent", TEXTS * 3)).cancel()
        self.assertTrue(self.stub.ModelInfer(typed("intent", ["a"])).outputs)

    def test_metadata(self):
        _, call = self.stub.ModelInfer.with_call(typed("intent", ["a"]), metadata=[
            ("x-request-id", "r-1"), ("x-priority", "bulk"),
            ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")])
        self.assertEqual(dict(call.trailing_metadata())["x-request-id"], "r-1")
        self.assertIn("4bf92f3577b34da6a3ce929d0e0e4736", dict(call.trailing_metadata())["traceparent"])
        error = self.assertFails(Code.INVALID_ARGUMENT, lambda: self.stub.ModelInfer(
            typed("intent", ["a"]), metadata=[("x-priority", "now"), ("x-request-id", "r-2")]), "x-priority")
        self.assertEqual(dict(error.trailing_metadata())["x-request-id"], "r-2")


class ManagementTest(GrpcCase):
    def test_what_there_is(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("intent"))
        self.assertEqual(self.client.get_server_metadata().name, "tilewise")
        for model in ("intent", "multi_task-fp32.duplicate", "vector", "multi_task-fp32"):
            found = self.client.get_model_metadata(model, as_json=True)
            expected = self.server.call("GET", f"/v2/models/{model}").json()
            shapes = [{**each, "shape": [str(size) for size in each["shape"]]} for each in expected["inputs"]]
            self.assertEqual(found["inputs"], shapes)
            self.assertEqual([each["name"] for each in found["outputs"]], [each["name"] for each in expected["outputs"]])
            config = self.client.get_model_config(model, as_json=True)["config"]
            self.assertEqual(config["max_batch_size"], self.server.call("GET", f"/v2/models/{model}/config").json()["max_batch_size"])
        with self.assertRaises(InferenceServerException):
            self.client.get_model_metadata("nothing")

    def test_statistics_count_both_protocols(self):
        def count():
            return int(self.client.get_inference_statistics("tags", as_json=True)["model_stats"][0].get("inference_count", 0))

        before = count()
        self.client.infer("tags", [texts_input(TEXTS)])
        self.rest_texts("tags", text=TEXTS)
        self.assertEqual(count() - before, 2 * len(TEXTS))
        self.assertTrue(self.client.get_inference_statistics().model_stats)

    def test_repository(self):
        name = harness.model().stem
        self.assertEqual(self.client.get_model_repository_index().models[0].name, name)
        self.client.unload_model(name)
        self.addCleanup(self.client.load_model, name)
        self.assertFalse(self.client.is_model_ready(name))
        self.assertFails(Code.UNAVAILABLE, lambda: self.stub.ModelInfer(typed(name, ["a"])))
        self.assertEqual(self.client.get_model_repository_index().models[0].state, "UNAVAILABLE")
        self.client.load_model(name)
        self.assertTrue(self.client.is_model_ready("intent"))
        with self.assertRaises(InferenceServerException):
            self.client.load_model(name, config="{}")

    def test_health(self):
        self.assertEqual(self.health(), 1)
        self.assertEqual(self.health(b"inference.GRPCInferenceService"), 1)
        self.assertFails(Code.NOT_FOUND, lambda: self.health(b"another"))


class EndTest(unittest.TestCase):
    def test_drain(self):
        with Server() as server:
            channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
            stub = services.GRPCInferenceServiceStub(channel)
            watch = channel.unary_stream(HEALTH + "Watch")(b"", timeout=PATIENCE)
            self.assertEqual(next(watch), b"\x08\x01")
            held = threading.Event()

            def messages():
                yield typed("intent", ["a"])
                held.wait(PATIENCE)

            stream = stub.ModelStreamInfer(messages(), timeout=PATIENCE)
            self.assertFalse(next(stream).error_message)
            start = time.monotonic()
            server.signal()
            self.assertEqual(next(watch), b"\x08\x02")
            for waiting in (watch, stream):
                with self.assertRaises(grpc.RpcError) as caught:
                    next(waiting)
                self.assertEqual(caught.exception.code(), Code.UNAVAILABLE)
            self.assertEqual(server.wait(), harness.DONE, server.log())
            self.assertLess(time.monotonic() - start, 30)  # the time to drain: an open stream does not use it up
            held.set()
            channel.close()

    def test_keys_and_tls(self):
        folder = harness.workplace()
        key, certificate, keys = folder / "grpc.key", folder / "grpc.crt", folder / "grpc.keys"
        try:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                            "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
                           check=True, capture_output=True)
        except FileNotFoundError:
            self.skipTest("no openssl program makes a certificate here")
        keys.write_text("secret\n", encoding="ascii")
        with Server("--tls-cert", certificate, "--tls-key", key, "--api-key-file", keys) as server:
            credentials = grpc.ssl_channel_credentials(certificate.read_bytes())
            channel = grpc.secure_channel(f"localhost:{server.grpc_port}", credentials)
            stub = services.GRPCInferenceServiceStub(channel)
            with self.assertRaises(grpc.RpcError) as caught:
                stub.ModelInfer(typed("intent", ["a"]), timeout=PATIENCE)
            self.assertEqual(caught.exception.code(), Code.UNAUTHENTICATED)
            authorized = [("authorization", "Bearer secret")]
            self.assertTrue(stub.ModelInfer(typed("intent", ["a"]), metadata=authorized, timeout=PATIENCE).outputs)
            self.assertTrue(stub.ServerLive(pb.ServerLiveRequest(), timeout=PATIENCE).live)
            self.assertEqual(channel.unary_unary(HEALTH + "Check")(b"", timeout=PATIENCE), b"\x08\x01")
            plain = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")
            with self.assertRaises(grpc.RpcError):
                services.GRPCInferenceServiceStub(plain).ServerLive(pb.ServerLiveRequest(), timeout=5)
            for each in (channel, plain):
                each.close()


if __name__ == "__main__":
    harness.main()
