"""gRPC with grpcio and messages written by hand: no other package is needed. Without grpcio there are no such clients."""
import struct
import time

from soak.actor import Actor, Wrong
from soak.clients import choose_inputs, expect_floats, pack_texts
from soak.models import TEXT_TASKS

try:
    import grpc
except ImportError:
    grpc = None

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


# ---- protobuf ----

def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of a message: numbers, and the bytes of whatever has a length."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 0:
            value, at = read_varint(data, at)
        elif key & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            size = {1: 8, 5: 4}[key & 7]
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def encode_request(name, inputs, request_id=""):
    """ModelInferRequest with raw contents."""
    message = field(1, name) + field(3, request_id)
    for tensor in inputs:
        shape = b"".join(map(varint, tensor["shape"]))
        message += field(5, field(1, tensor["name"]) + field(2, tensor["datatype"]) + field(3, shape))
    return message + b"".join(field(7, pack_texts(tensor["data"])) for tensor in inputs)


def decode_response(message):
    """ModelInferResponse: (version, id, output -> its bytes)"""
    version = request_id = ""
    names, raws = [], []
    for number, value in fields(message):
        if number == 2:
            version = value.decode()
        elif number == 3:
            request_id = value.decode()
        elif number == 5:
            names.append(dict(fields(value))[1].decode())
        elif number == 6:
            raws.append(value)
    return version, request_id, dict(zip(names, raws, strict=True))


# ---- clients ----

class GrpcClient(Actor):
    """Unary calls and streams; some are cancelled, or have no time."""

    def __init__(self, soak, number=0):
        super().__init__(soak, number)
        self.channel = None

    def close(self):
        if self.channel is not None:
            self.channel.close()
        self.channel = None

    def step(self):
        if self.channel is None:
            self.channel = grpc.insecure_channel(f"127.0.0.1:{self.server.grpc_port}", options=[("grpc.use_local_subchannel_pool", 1)])
        self.random.choice((self.ask, self.ask, self.ask, self.stream, self.cancel, self.hurry))()
        if self.random.random() < 0.02:
            self.close()

    def make(self, most=6):
        served = self.random.choice(self.soak.served)
        task = self.random.choice(("duplicate",) + TEXT_TASKS)
        rows, inputs = choose_inputs(self.random, self.soak.questions, task, most)
        return served, task, rows, encode_request(f"{served.name}.{task}", inputs, str(self.random.randrange(1000)))

    def judge(self, served, task, rows, answer, begin):
        version, _, outputs = decode_response(answer)
        found = outputs["embedding" if task == "vector" else "logits"]
        candidates = served.candidates(begin, time.monotonic())
        if not any(version == str(candidate) and found == expect_floats(served.variants[variant], task, rows)
                   for candidate, variant in candidates):
            raise Wrong(f"wrong answer to {task} {rows}: it says version {version}; {served.name} had {sorted(candidates)}; "
                        f"found {struct.unpack(f'<{len(found) // 4}f', found)}")
        self.counts["checked"] += 1

    def refuse(self, served, error, begin, codes=()):
        code = error.code()
        self.counts[code.name] += 1
        gone = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)
        if code not in codes and not (code in gone and served.may_be_absent(begin, time.monotonic())):
            raise Wrong(f"no answer: {error}")

    def ask(self, timeout=60, codes=()):
        served, task, rows, message = self.make()
        begin = time.monotonic()
        try:
            answer = self.channel.unary_unary(INFER)(message, timeout=timeout, wait_for_ready=True)
        except grpc.RpcError as error:
            return self.refuse(served, error, begin, codes)
        self.judge(served, task, rows, answer, begin)

    def hurry(self):
        code = grpc.StatusCode
        self.ask(self.random.choice((0.0005, 0.002, 0.01)), (code.DEADLINE_EXCEEDED, code.RESOURCE_EXHAUSTED, code.CANCELLED))

    def cancel(self):
        call = self.channel.unary_unary(INFER).future(self.make(32)[3], timeout=60)
        time.sleep(self.random.uniform(0, 0.005))
        call.cancel()

    def stream(self):
        calls = [self.make() for _ in range(self.random.randint(1, 10))]
        leave_after = self.random.choice((0, 3, 1000))
        begin = time.monotonic()
        messages = [message + field(3, str(i)) for i, (_, _, _, message) in enumerate(calls)]  # the last id counts
        responses = self.channel.stream_stream(STREAM)(iter(messages), timeout=60, wait_for_ready=True)
        seen = 0
        for response in responses:
            seen += 1
            if seen > leave_after:
                responses.cancel()
                return
            parts = dict(fields(response))
            _, request_id, _ = decode_response(parts.get(2, b""))
            if parts.get(1):
                self.counts["stream errors"] += 1
                if not any(served.may_be_absent(begin, time.monotonic()) for served, *_ in calls):
                    raise Wrong(f"an error in a stream: {parts[1].decode()}")
                continue
            served, task, rows, _ = calls[int(request_id)]
            self.judge(served, task, rows, parts[2], begin)
        if seen != len(calls):
            raise Wrong(f"{seen} answers to {len(calls)} requests in a stream")
