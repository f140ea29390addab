"""Clients that do everything wrong. The server owes them an answer in form, or an end of the connection."""
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time

import http_test
from harness import PATIENCE, Connection, request
from soak.actor import Actor, Wrong
from soak.clients import Client, judge, kserve_json, say_texts, to_bytes

VICTIM = pathlib.Path(__file__).with_name("victim.py")
REFUSALS = (400, 404, 405, 408, 411, 413, 414, 415, 417, 422, 424, 429, 431, 499, 501, 503, 504, 505)


class Vandal(Actor):
    pause = 0.05

    def connect(self):
        return Connection(self.server)

    def request(self, most=6):
        served = self.random.choice(self.soak.served)
        return to_bytes(kserve_json(self.random, self.soak.questions, served, most), self.random)

    def read_all(self, connection):
        """Every response until the server ends the connection, which it must."""
        responses = []
        try:
            while True:
                responses.append(connection.read_response())
        except TimeoutError:
            raise Wrong(f"a connection is still open after {PATIENCE} s; it had answered {responses}") from None
        except ConnectionError:
            if connection.rest and not re.match(rb"HTTP/1\.1 \d\d\d ", connection.rest + b"HTTP/1.1 200 "[len(connection.rest):]):
                raise Wrong(f"not HTTP: {connection.rest[:300]!r}") from None
        for response in responses:
            self.counts[response.status] += 1
            if response.status not in (100, 200, *REFUSALS):
                raise Wrong(f"an answer that nobody may get: {response}")
        return responses


def reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Leaver(Vandal):
    """Goes away: in its request, before its answer, or while it comes; with an end or with a reset."""

    def step(self):
        with self.connect() as connection:
            data = self.request(self.random.choice((4, 64))) * self.random.randint(1, 3)
            if self.random.random() < 0.5:
                data = data[:self.random.randint(0, len(data))]
            try:
                connection.send(data)
                if self.random.random() < 0.3:
                    time.sleep(self.random.uniform(0, 0.01))
                if self.random.random() < 0.3:
                    connection.socket.settimeout(0.05)
                    connection.socket.recv(self.random.randint(1, 400))
            except OSError:
                pass
            if self.random.random() < 0.5:
                reset(connection)


class Killer(Vandal):
    """Kills a process that has requests on its way."""

    pause = 3.0

    def step(self):
        targets = [self.server.port, self.server.grpc_port]
        victim = subprocess.Popen([sys.executable, VICTIM, *map(str, targets)], stdout=subprocess.PIPE)
        try:
            victim.stdout.readline()  # it is asking
            time.sleep(self.random.uniform(0, 0.3))
        finally:
            victim.kill()
            victim.wait()
            victim.stdout.close()


class SlowWriter(Vandal):
    """Slow loris: one byte now and then on many connections. Each is ended when its time is over."""

    pause = 0.1

    def step(self):
        opened = []
        try:
            for _ in range(8):
                opened.append(self.connect())
            data = [self.request() for _ in opened]
            end = time.monotonic() + PATIENCE
            open_ones = dict(enumerate(opened))
            position = 0
            while open_ones and time.monotonic() < end and not self.soak.stopping.is_set():
                for i, connection in list(open_ones.items()):
                    try:
                        if position < len(data[i]) - 1:
                            connection.send(data[i][position:position + 1])
                        connection.socket.setblocking(False)
                        connection.rest += connection.socket.recv(4096) or bytes(1)
                        ended = True
                    except BlockingIOError:
                        ended = False
                    except OSError:
                        ended = True
                    connection.socket.settimeout(PATIENCE)
                    if ended:
                        del open_ones[i]
                        self.counts["ended"] += 1
                        if connection.rest.strip(b"\0") and connection.rest[:13] not in (b"HTTP/1.1 408 ", b"HTTP/1.1 503 "):
                            raise Wrong(f"a slow request was answered with {connection.rest[:300]!r}")
                position += 1
                self.sleep(0.05)
            if open_ones and not self.soak.stopping.is_set():
                raise Wrong(f"{len(open_ones)} slow requests are still being waited for after {PATIENCE} s")
        finally:
            for connection in opened:
                connection.close()


class SlowReader(Vandal):
    """Asks for much and reads little of it, or nothing. What it reads is right; if it reads nothing it is dropped."""

    pause = 0.2

    def step(self):
        with self.connect() as connection:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if self.random.random() < 0.5:
                self.read_slowly(connection)
            else:
                self.read_nothing(connection)

    def read_slowly(self, connection):
        calls = [kserve_json(self.random, self.soak.questions, self.random.choice(self.soak.served), 64) for _ in range(10)]
        begin = time.monotonic()
        try:
            connection.send(b"".join(request("POST", call.path, call.body) for call in calls))
            for call in calls:
                for _ in range(self.random.randint(0, 20)):
                    connection.rest += connection.socket.recv(100)
                    time.sleep(0.001)
                response = connection.read_response()
                self.counts[response.status] += 1
                if response.status == 200:
                    judge(call, response, begin, time.monotonic())
                    self.counts["checked"] += 1
                elif response.status == 503 and b"connections" in response.body:
                    return
        except ConnectionError:  # too slow for --write-timeout-ms on a busy machine, or refused
            self.counts["dropped"] += 1

    def read_nothing(self, connection):
        connection.socket.settimeout(0.2)
        data = request("GET", "/openapi.json") * 20
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not self.soak.stopping.is_set():
            try:
                connection.socket.send(data)
            except TimeoutError:
                pass
            except OSError:
                self.counts["dropped"] += 1
                return
        if not self.soak.stopping.is_set():
            raise Wrong(f"a client that reads nothing is still connected after {PATIENCE} s")


class Malformed(Vandal):
    """What is no HTTP, or could be read in two ways: refused, and the connection ended."""

    CASES = {**http_test.Smuggling.FRAMINGS, **http_test.Smuggling.HEADS}

    def step(self):
        if self.random.random() < 0.5:
            what, data = self.random.choice(list(self.CASES.items()))
        else:
            what, data = "mutated", self.mutate(self.request())
        with self.connect() as connection:
            try:
                connection.send(data)
                connection.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # refused before the end of it
            responses = self.read_all(connection)
        if what != "mutated" and any(response.status not in (400, 503, 505) for response in responses):
            raise Wrong(f"{what} was answered with {responses}")

    def mutate(self, data):
        """Some bytes changed, put in, taken out or repeated."""
        data = bytearray(data)
        for _ in range(self.random.randint(1, 4)):
            at = self.random.randrange(len(data))
            match self.random.randrange(5):
                case 0:
                    data[at] ^= 1 << self.random.randrange(8)
                case 1:
                    data[at:at] = self.random.choice((b"\r\n", b"\n", b"\0", b" ", b":", b"0", b"\r\n\r\n", b"\xff", b"[", b"\""))
                case 2:
                    del data[at:at + self.random.randint(1, 20)]
                case 3:
                    data[at:at] = data[at:at + self.random.randint(1, 50)]
                case 4:
                    data[at] = self.random.randrange(256)
            if not data:
                return b"x"
        return bytes(data)


class BadBodies(Client):
    """Requests in good HTTP that make no sense: each gets its protocol's error, and the connection goes on."""

    pause = 0.05

    def cases(self):
        name = self.random.choice(self.soak.served).name
        infer = f"/v2/models/{name}.tags/infer"
        text = say_texts(["refund"])
        yield infer, b"{", (400,)
        yield infer, b"\xff\xfe", (400,)
        yield infer, b"[" * 5000, (400,)
        yield infer, {"inputs": []}, (400,)
        yield infer, {"inputs": [{**text, "shape": [2]}]}, (400,)
        yield infer, {"inputs": [{**text, "shape": [2**62, 2**62]}]}, (400,)
        yield infer, {"inputs": [{**text, "shape": [-1]}]}, (400,)
        yield infer, {"inputs": [{**text, "datatype": "FP32"}]}, (400,)
        yield infer, {"inputs": [say_texts(["red shoe " * 200])]}, (400,)
        yield infer, {"inputs": [say_texts(["red"] * 100)]}, (413,)
        yield infer, {"inputs": [{"name": "input_ids", "shape": [1, 2], "datatype": "INT64", "data": [2, 10**6]}]}, (400,)
        yield infer, {"inputs": [{"name": "input_ids", "shape": [1, 2], "datatype": "INT64", "data": [2, float("nan")]}]}, (400,)
        yield f"/v2/models/nobody{self.random.randrange(10**9)}/infer", {"inputs": [text]}, (404,)
        yield f"/v2/models/{name}/versions/99999/infer", {"inputs": [text]}, (404,)
        yield f"/{self.random.randrange(10**9)}", b"{}", (404,)
        yield "/predict", {"inputs": 7}, (422,)
        yield "/predict", {"inputs": "a", "task": f"nobody{self.random.randrange(10**9)}"}, (404,)
        yield "/rerank", {"query": "q", "texts": []}, (400,)
        yield "/embed", {"inputs": [[2, 10**6]], "task": f"{name}.vector"}, (422,)
        yield "/v1/embeddings", {"input": {"a": 1}}, (400,)
        yield "/invocations", {"text": 7}, (422,)
        yield f"/v2/repository/models/nobody{self.random.randrange(10**9)}/load", b"", (404,)

    def step(self):
        path, body, statuses = self.random.choice(list(self.cases()))
        begin = time.monotonic()
        try:
            if self.connection is None:
                self.connection = Connection(self.server)
            response = self.connection.call("POST", path, body)
        except ConnectionError:
            self.close()
            if self.soak.may_be_flooded(begin, time.monotonic()):
                return
            raise
        self.counts[response.status] += 1
        if response.headers.get("connection") == "close":
            self.close()
        end = time.monotonic()
        refused = any(served.may_be_absent(begin, end) for served in self.soak.served) or self.soak.may_be_flooded(begin, end)
        if response.status not in statuses and not (response.status in (404, 503) and refused):
            raise Wrong(f"{path} {str(body)[:200]} was answered with {response}, not with {statuses}")
        if "error" not in response.json():
            raise Wrong(f"no error: {response}")


class Oversized(Vandal):
    """Heads and bodies over the limits: refused while they come."""

    def step(self):
        size = self.random.randint(300_000, 3_000_000)
        statuses, data = self.random.choice((
            ((413,), b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size),
            ((413,), b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999\r\n\r\n"),
            ((413,), b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"4000\r\n" + b"x" * 0x4000 + b"\r\n") * 64),
            ((431,), b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * size),
            ((431,), b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 10000),
            ((414,), b"GET /" + b"a" * size)))
        with self.connect() as connection:
            try:
                connection.send(data)
            except OSError:
                pass  # refused before the end of it
            responses = self.read_all(connection)
        if any(response.status not in (*statuses, 503) for response in responses):
            raise Wrong(f"{data[:60]!r}... was answered with {responses}, not with {statuses}")


class Flood(Vandal):
    """More connections than there may be; those that are too many are told so or ended."""

    pause = 6.0
    connections = 400

    def step(self):
        opened = []
        self.soak.begin_flood()
        try:
            for _ in range(self.connections):
                opened.append(self.connect())
            self.sleep(self.random.uniform(0, 0.5))
            for connection in opened:
                connection.socket.setblocking(False)
                try:
                    if connection.socket.recv(100).startswith(b"HTTP/1.1 503 "):
                        self.counts[503] += 1
                except OSError:
                    pass
        finally:
            for connection in opened:
                self.random.choice((reset, Connection.close))(connection)
            # Until the server has seen them go.
            try:
                self.settle()
            finally:
                self.soak.end_flood()

    def settle(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                if self.server.call("GET", "/v2/health/live").status == 200:
                    return
            except ConnectionError:
                pass
            time.sleep(0.05)
        raise Wrong(f"no connection is free {PATIENCE} s after a flood")


class GrpcGarbage(Vandal):
    """Anything but HTTP/2 on gRPC's port, and HTTP/2 that breaks off."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    SETTINGS = b"\0\0\0\4\0\0\0\0\0"

    def step(self):
        noise = self.random.randbytes(self.random.randint(1, 2000))
        frame = struct.pack(">I", self.random.randint(0, 20000))[1:] + self.random.randbytes(6)
        data = self.random.choice((b"", self.request(), noise, self.PREFACE, self.PREFACE + noise, self.PREFACE[:10],
                                   self.PREFACE + self.SETTINGS + frame + noise, self.PREFACE + self.SETTINGS * 2000))
        with socket.create_connection(("127.0.0.1", self.server.grpc_port), timeout=1) as connection:
            try:
                connection.sendall(data)
                connection.recv(self.random.randint(1, 1000))
            except OSError:
                pass
