"""HTTP itself: connections, framing, limits, keys, TLS; over raw sockets: http_test.py TILEWISE."""
import shutil
import socket
import ssl
import subprocess
import threading
import time
import unittest

from harness import PATIENCE, Server, TestCase, eventually, infer_body, infer_path, main, request, workplace

GET = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"
LIVE = GET + b"\r\n"


def post(*lines, body=b"", path=None):
    """A request for an inference with these header lines, bytes as they are."""
    head = [f"POST {path or infer_path()} HTTP/1.1".encode(), b"Host: x", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


class Connections(TestCase):
    def test_a_connection_serves_many_requests(self):
        with self.server.connect() as connection:
            for _ in range(20):
                self.assertEqual(connection.call("GET", "/v2/health/live").status, 200)
                self.assertEqual(connection.call("POST", infer_path(), infer_body("a text")).status, 200)

    def test_close_is_done_and_said(self):
        with self.server.connect() as connection:
            response = connection.call("GET", "/v2/health/live", headers={"Connection": "close"})
            self.assertEqual(response.headers["connection"], "close")
            self.assertTrue(connection.is_closed())

    def test_http_1_0_closes_unless_asked(self):
        with self.server.connect() as connection:
            connection.send(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
            self.assertEqual(connection.read_response().status, 200)
            self.assertTrue(connection.is_closed())
        with self.server.connect() as connection:
            for _ in range(2):
                connection.send(b"GET /v2/health/live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                response = connection.read_response()
                self.assertEqual((response.status, response.headers["connection"]), (200, "keep-alive"))

    def test_pipelined_requests_are_answered_in_order(self):
        with self.server.connect() as connection:
            ids = [f"request-{i}" for i in range(50)]
            connection.send(b"".join(request("POST", infer_path(), infer_body(f"text {i}"), {"x-request-id": i})
                                     if number % 2 else request("GET", "/v2", headers={"x-request-id": i})
                                     for number, i in enumerate(ids)))
            for i in ids:
                response = connection.read_response()
                self.assertEqual((response.status, response.headers["x-request-id"]), (200, i))

    def test_bytes_may_come_one_at_a_time(self):
        with self.server.connect() as connection:
            for byte in request("POST", infer_path(), infer_body("slow")):
                connection.send(bytes([byte]))
            self.assertEqual(connection.read_response().status, 200)
            connection.send(b"\r\n" + LIVE)  # an empty line too many, as old clients send it
            self.assertEqual(connection.read_response().status, 200)

    def test_head_is_get_without_a_body(self):
        with self.server.connect() as connection:
            full = connection.call("GET", "/v2")
            head = connection.call("HEAD", "/v2")
            self.assertEqual((head.status, head.headers["content-length"]), (200, str(len(full.body))))
            self.assertEqual(connection.call("GET", "/v2").body, full.body)

    def test_a_target_may_be_absolute(self):
        with self.server.connect() as connection:
            self.assertEqual(connection.call("GET", "http://localhost/v2/health/live").status, 200)

    def test_what_every_response_has(self):
        response = self.server.call("GET", "/v2")
        self.assertEqual(response.headers["content-type"], "application/json")
        self.assertRegex(response.headers["date"], r"^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$")
        self.assertRegex(response.headers["x-request-id"], "^[0-9a-f]{16}$")
        self.assertNotIn("traceparent", response.headers)

    def test_request_ids_and_traces_go_on(self):
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        headers = {"x-request-id": "a-1.b:2", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        response = self.server.call("GET", "/v2", headers=headers)
        self.assertEqual(response.headers["x-request-id"], "a-1.b:2")
        self.assertRegex(response.headers["traceparent"], f"^00-{trace}-[0-9a-f]{{16}}-01$")
        for bad in ("x" * 200, "a b", "<script>"):
            self.assertRegex(self.server.call("GET", "/v2", headers={"x-request-id": bad}).headers["x-request-id"], "^[0-9a-f]{16}$")


class Continue(TestCase):
    def test_the_body_is_asked_for(self):
        whole = request("POST", infer_path(), infer_body("a"), {"Expect": "100-continue"})
        head, body = whole.split(b"\r\n\r\n", 1)
        with self.server.connect() as connection:
            connection.send(head + b"\r\n\r\n")
            self.assertEqual(connection.read_response().status, 100)
            connection.send(body)
            self.assertEqual(connection.read_response().status, 200)
            connection.send(whole)  # a body that is there already needs no asking
            self.assertEqual(connection.read_response().status, 200)

    def test_a_request_that_fails_anyway_is_not_asked_for_its_body(self):
        with self.server.connect() as connection:
            connection.send(post(b"Expect: 100-continue", b"Content-Length: 100", path="/nowhere"))
            self.assertEqual(connection.read_response().status, 404)
            self.assertTrue(connection.is_closed())

    def test_nothing_else_can_be_expected(self):
        with self.server.connect() as connection:
            connection.send(post(b"Expect: a-miracle", b"Content-Length: 2", body=b"{}"))
            self.assertEqual(connection.read_response().status, 417)


class Bodies(TestCase):
    def test_chunks(self):
        body = request("POST", infer_path(), infer_body("in chunks")).split(b"\r\n\r\n", 1)[1]
        plain = self.server.call("POST", infer_path(), body).json()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:1], body[1:20], body[20:]))
        extended = b"%x;name=value;other=\"quoted\"\r\n%s\r\n" % (len(body), body)
        with self.server.connect() as connection:
            for text in (chunks + b"0\r\n\r\n", extended + b"0\r\nx-checksum: 1\r\n\r\n"):
                connection.send(post(b"Transfer-Encoding: chunked", body=text))
                response = connection.read_response()
                self.assertEqual(response.status, 200, response)
                self.assertEqual(response.json()["outputs"], plain["outputs"])

    def test_a_request_without_a_length_has_no_body(self):
        with self.server.connect() as connection:
            connection.send(post())
            self.assertEqual(connection.read_response().status, 411)
            self.assertEqual(connection.send(LIVE).read_response().status, 200)

    def test_compressed_bodies_are_refused(self):
        with self.server.connect() as connection:
            connection.send(post(b"Content-Encoding: br", b"Content-Length: 2", body=b"{}"))
            self.assertEqual(connection.read_response().status, 415)
            self.assertEqual(connection.send(LIVE).read_response().status, 200)

    def test_a_refused_body_is_skipped(self):
        with self.server.connect() as connection:
            connection.send(post(b"Content-Length: 5000", path="/nowhere", body=b"x" * 5000))
            self.assertEqual(connection.read_response().status, 404)
            self.assertEqual(connection.send(LIVE).read_response().status, 200)


class Paths(TestCase):
    def test_unknown_paths_and_methods(self):
        with self.server.connect() as connection:
            for path in ("/nowhere", "/", "/v2/", "/v2//ready", "/v2/models/", "//", "/v2/health/live/", "*", "/%2e%2e/etc/passwd"):
                response = connection.call("DELETE", path)
                self.assertIn(response.status, (404, 405), path)
                self.assertIn("error", response.json(), path)
            response = connection.call("GET", infer_path())
            self.assertEqual((response.status, response.headers["allow"]), (405, "POST"))
            response = connection.call("PUT", "/v2/health/live")
            self.assertEqual((response.status, response.headers["allow"]), (405, "GET, HEAD"))

    def test_paths_are_percent_decoded(self):
        name = infer_path().replace("tags", "%74ags")
        self.assertEqual(self.server.call("POST", name, infer_body("a")).status, 200)
        self.assertEqual(self.server.call("POST", infer_path("%zz%00%"), infer_body("a")).status, 404)

    def test_priority_and_deadline(self):
        def status(**headers):
            return self.server.call("POST", infer_path(), infer_body("a"), {name.replace("_", "-"): value for name, value in headers.items()}).status

        for good in ({"x_priority": "bulk"}, {"x_priority": "interactive"}, {"x_deadline_ms": "60000"}, {"x_deadline_ms": "60000.5"}):
            self.assertEqual(status(**good), 200, good)
        for bad in ({"x_priority": "urgent"}, {"x_deadline_ms": "soon"}, {"x_deadline_ms": "0"}, {"x_deadline_ms": "-5"},
                    {"x_deadline_ms": "nan"}, {"x_deadline_ms": "inf"}, {"x_deadline_ms": "1e300"}, {"x_deadline_ms": "10 ms"}):
            self.assertEqual(status(**bad), 400, bad)
        self.assertIn(status(x_deadline_ms="0.001"), (429, 504))


class Smuggling(TestCase):
    """What two programs on a connection could read differently: 400, and the end of the connection."""

    FRAMINGS = {
        "both lengths": post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + LIVE),
        "both lengths, the other way round": post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=b"0\r\n\r\n" + LIVE),
        "two lengths": post(b"Content-Length: 5", b"Content-Length: 6", body=b"012345"),
        "the same length twice": post(b"Content-Length: 5", b"Content-Length: 5", body=b"01234"),
        "a list of lengths": post(b"Content-Length: 5, 5", body=b"01234"),
        "a negative length": post(b"Content-Length: -1"),
        "a signed length": post(b"Content-Length: +5", body=b"01234"),
        "a hexadecimal length": post(b"Content-Length: 0x5", body=b"01234"),
        "an empty length": post(b"Content-Length:"),
        "a length beyond 64 bits": post(b"Content-Length: 99999999999999999999999"),
        "two codings": post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "a list of codings": post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
        "an unknown coding": post(b"Transfer-Encoding: identity", body=b"0\r\n\r\n"),
        "a coding that is nearly chunked": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        "a quoted coding": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"),
        "a coding after a vertical tab": post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
        "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "a chunk size that is none": post(b"Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
        "a chunk size with a sign": post(b"Transfer-Encoding: chunked", body=b"-2\r\n{}\r\n0\r\n\r\n"),
        "a chunk size with a prefix": post(b"Transfer-Encoding: chunked", body=b"0x2\r\n{}\r\n0\r\n\r\n"),
        "a chunk size beyond 64 bits": post(b"Transfer-Encoding: chunked", body=b"fffffffffffffffff2\r\n{}\r\n0\r\n\r\n"),
        "an empty chunk size": post(b"Transfer-Encoding: chunked", body=b"\r\n{}\r\n0\r\n\r\n"),
        "a chunk that is longer than it says": post(b"Transfer-Encoding: chunked", body=b"1\r\n{}\r\n0\r\n\r\n"),
        "a chunk line that ends with LF": post(b"Transfer-Encoding: chunked", body=b"2\n{}\r\n0\r\n\r\n"),
        "a chunk that ends with LF": post(b"Transfer-Encoding: chunked", body=b"2\r\n{}\n0\r\n\r\n"),
        "a malformed chunk extension": post(b"Transfer-Encoding: chunked", body=b"2;=;=\r\n{}\r\n0\r\n\r\n"),
        "LF in a chunk extension": post(b"Transfer-Encoding: chunked", body=b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
        "an endless chunk extension": post(b"Transfer-Encoding: chunked", body=b"2;a=" + b"b" * 9000),
        "a length in a trailer": post(b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n"),
        "a coding in a trailer": post(b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        "a malformed trailer": post(b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\nno colon\r\n\r\n"),
    }
    HEADS = {
        "LF alone after the request line": b"GET /v2/health/live HTTP/1.1\nHost: x\r\n\r\n",
        "LF alone after a header": b"GET /v2/health/live HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
        "LF alone everywhere": b"GET /v2/health/live HTTP/1.1\nHost: x\n\n",
        "LF alone at the end": GET + b"\n",
        "CR alone": GET + b"A: b\rC: d\r\n\r\n",
        "a header that goes on": GET + b"A: b\r\n c\r\n\r\n",
        "a first header that goes on": b"GET /v2/health/live HTTP/1.1\r\n Host: x\r\n\r\n",
        "NUL in a value": GET + b"A: b\0c\r\n\r\n",
        "NUL in a name": GET + b"A\0: b\r\n\r\n",
        "NUL in the target": b"GET /v2\0/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        "a space before the colon": GET + b"Content-Length : 5\r\n\r\n",
        "a tab before the colon": GET + b"Content-Length\t: 5\r\n\r\n",
        "a space before the name": GET + b" A: b\r\n\r\n",
        "no colon": GET + b"nothing\r\n\r\n",
        "no name": GET + b": b\r\n\r\n",
        "a name with a bracket": GET + b"A(b): c\r\n\r\n",
        "no Host": b"GET /v2/health/live HTTP/1.1\r\n\r\n",
        "two Hosts": GET + b"Host: y\r\n\r\n",
        "no version": b"GET /v2/health/live\r\nHost: x\r\n\r\n",
        "a version that is none": b"GET /v2/health/live HTTP/x.1\r\nHost: x\r\n\r\n",
        "another protocol": b"GET /v2/health/live ICE/1.1\r\nHost: x\r\n\r\n",
        "two spaces": b"GET  /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        "a space in the target": b"GET /v2/health live HTTP/1.1\r\nHost: x\r\n\r\n",
        "a method that is none": b"G(T /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        "no method": b" /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n",
        "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
        "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "binary": bytes(range(256)) * 8 + b"\r\n\r\n",
    }

    def check(self, bad):
        for what, data in bad.items():
            with self.subTest(what), self.server.connect() as connection:
                connection.send(data)
                response = connection.read_response()
                self.assertIn(response.status, (400, 505), response)
                self.assertEqual(response.headers["connection"], "close")
                self.assertIn("error", response.json())
                self.assertTrue(connection.is_closed(), what)
        self.assertHealthy()

    def test_framing(self):
        self.check(self.FRAMINGS)

    def test_heads(self):
        self.check(self.HEADS)

    def test_other_versions(self):
        with self.server.connect() as connection:
            connection.send(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n")
            self.assertEqual(connection.read_response().status, 505)

    def test_a_smuggled_request_is_not_answered(self):
        with self.server.connect() as connection:
            connection.send(post(b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"{}" + LIVE))
            self.assertEqual(connection.read_response().status, 400)
            self.assertTrue(connection.is_closed())

    def test_broken_off_everywhere(self):
        whole = request("POST", infer_path(), infer_body("a"))
        for size in range(0, len(whole), 3):
            with self.server.connect() as connection:
                connection.send(whole[:size])
        self.assertHealthy()


class Limits(TestCase):
    FLAGS = ("--max-body-bytes", 10000, "--header-timeout-ms", 400, "--idle-timeout-ms", 400, "--write-timeout-ms", 400,
             "--max-connections", 20)

    def test_bodies(self):
        with self.server.connect() as connection:
            connection.send(post(b"Content-Length: 10001", body=b"x" * 5000))
            response = connection.read_response()
            self.assertEqual(response.status, 413)
            self.assertIn("error", response.json())
            self.assertTrue(connection.is_closed())
        with self.server.connect() as connection:
            connection.send(post(b"Transfer-Encoding: chunked", body=b"".join([b"1000\r\n" + b"x" * 4096 + b"\r\n"] * 3)))
            self.assertEqual(connection.read_response().status, 413)
            self.assertTrue(connection.is_closed())
        self.assertEqual(self.server.call("POST", infer_path(), b" " * 10000).status, 400)

    def test_heads(self):
        for status, data in ((431, GET + b"A: " + b"b" * 20000), (431, GET + b"A: b\r\n" * 4000), (414, b"GET /" + b"a" * 20000),
                             (414, b"x" * 20000)):
            with self.server.connect() as connection:
                connection.send(data)
                self.assertEqual(connection.read_response().status, status)
                self.assertTrue(connection.is_closed())

    def test_requests_that_never_end(self):
        for start in (b"G", GET, post(b"Content-Length: 100", body=b"{"), post(b"Transfer-Encoding: chunked", body=b"5\r\n{")):
            with self.server.connect() as connection:
                begin = time.monotonic()
                connection.send(start)
                self.assertEqual(connection.read_response().status, 408)
                self.assertTrue(connection.is_closed())
                self.assertGreater(time.monotonic() - begin, 0.35)

    def test_a_byte_now_and_then_is_no_progress(self):
        with self.server.connect() as connection:
            connection.send(GET)
            try:
                for i in range(PATIENCE * 10):
                    connection.send(b"a: b\r\n")
                    time.sleep(0.1)
                    connection.socket.setblocking(False)
                    try:
                        connection.rest += connection.socket.recv(1000)
                    except BlockingIOError:
                        pass
                    connection.socket.settimeout(PATIENCE)
                    if connection.rest:
                        break
            except ConnectionError:
                pass
            self.assertIn(b"408", connection.rest[:20])
            self.assertLess(i, 100)

    def test_idle_connections(self):
        with self.server.connect() as fresh, self.server.connect() as used:
            self.assertEqual(used.call("GET", "/v2/health/live").status, 200)
            self.assertTrue(fresh.is_closed())
            self.assertTrue(used.is_closed())

    def test_readers_that_do_not_read(self):
        before = self.server.sockets()
        with self.server.connect() as connection:
            self.assertTrue(eventually(lambda: self.server.sockets() > before))
            connection.socket.settimeout(0.1)
            try:
                while True:
                    connection.socket.send(request("GET", "/v2") * 1000)
            except OSError:
                pass  # full, both ways
            self.assertTrue(eventually(lambda: self.server.sockets() <= before))

    def test_too_many_connections(self):
        opened = [self.server.connect() for _ in range(30)]
        try:
            statuses = []
            for connection in opened[20:]:
                response = connection.read_response()
                statuses.append(response.status)
                self.assertEqual(response.headers["connection"], "close")
                self.assertIn("retry-after", response.headers)
            self.assertEqual(set(statuses), {503})
        finally:
            for connection in opened:
                connection.close()
        self.assertTrue(eventually(lambda: self.server.call("GET", "/v2/health/live").status == 200))


class Clients(TestCase):
    """Clients that go away."""

    FLAGS = ("--io-threads", 2)

    def test_clients_that_leave_while_they_wait(self):
        body = infer_body(*["a longer text, of which there are many " * 3] * 200)
        for i in range(60):
            connection = self.server.connect()
            connection.send(request("POST", infer_path(), body, {"x-priority": "bulk"}))
            if i % 2:  # a reset instead of an end
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        self.assertHealthy()
        self.assertEqual(self.server.call("POST", infer_path(), infer_body("a")).status, 200)

    def test_many_at_the_same_time(self):
        failures = []

        def ask(number):
            try:
                with self.server.connect() as connection:
                    for i in range(40):
                        response = connection.call("POST", infer_path(), infer_body(f"text {number} {i}"))
                        if response.status != 200:
                            failures.append(response)
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask, args=(i,)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_the_answer_does_not_depend_on_the_company(self):
        alone = self.server.call("POST", infer_path(), infer_body("some text")).json()["outputs"]
        with self.server.connect() as connection:
            connection.send(b"".join(request("POST", infer_path(), infer_body("some text")) for _ in range(10)))
            for _ in range(10):
                self.assertEqual(connection.read_response().json()["outputs"], alone)


class Keys(TestCase):
    KEY = "correct-horse"

    @classmethod
    def setUpClass(cls):
        path = workplace() / "keys"
        path.write_text(f"# who may ask\n{cls.KEY}\n\n  another  \n", encoding="utf-8")
        cls.server = Server("--api-key-file", path, environment={"TILEWISE_API_KEY": "third"})

    def status(self, **headers):
        return self.server.call("POST", infer_path(), infer_body("a"), {name.replace("_", "-"): value for name, value in headers.items()}).status

    def test_who_may_ask(self):
        for key in (self.KEY, "another", "third"):
            self.assertEqual(self.status(Authorization=f"Bearer {key}"), 200)
            self.assertEqual(self.status(authorization=f"bearer {key}"), 200)
            self.assertEqual(self.status(x_api_key=key), 200)

    def test_who_may_not(self):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": self.KEY}, {"Authorization": "Bearer"},
                        {"Authorization": "Basic " + self.KEY}, {"x_api_key": self.KEY[:-1]}, {"x_api_key": self.KEY + "x"}):
            self.assertEqual(self.status(**headers), 401, headers)
        response = self.server.call("POST", infer_path(), infer_body("a"))
        self.assertEqual(response.headers["www-authenticate"], "Bearer")
        self.assertIn("error", response.json())
        self.assertEqual(self.server.call("GET", "/no/such/path").status, 401)

    def test_health_is_open(self):
        for path in ("/v2/health/live", "/v2/health/ready"):
            self.assertEqual(self.server.call("GET", path).status, 200)


@unittest.skipUnless(shutil.which("openssl"), "openssl is not here")
class Tls(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certificate, cls.key = workplace() / "certificate.pem", workplace() / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", cls.key,
                        "-out", cls.certificate], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.server = Server("--tls-cert", cls.certificate, "--tls-key", cls.key, "--header-timeout-ms", 1000)
        cls.context = ssl.create_default_context(cafile=cls.certificate)

    def test_requests(self):
        self.assertEqual(self.server.scheme, "https")
        with self.server.connect(self.context) as connection:
            for _ in range(5):
                self.assertEqual(connection.call("POST", infer_path(), infer_body("a")).status, 200)
            many = infer_body(*["text"] * 256)  # larger than a record
            self.assertEqual(len(connection.call("POST", infer_path(), many).json()["outputs"][0]["data"]) % 256, 0)
            connection.send(LIVE * 10)
            for _ in range(10):
                self.assertEqual(connection.read_response().status, 200)

    def test_http_1_1_is_chosen(self):
        context = ssl.create_default_context(cafile=self.certificate)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with self.server.connect(context) as connection:
            self.assertEqual(connection.socket.selected_alpn_protocol(), "http/1.1")
            self.assertEqual(connection.call("GET", "/v2").status, 200)

    def test_the_end_is_announced(self):
        with self.server.connect(self.context) as connection:
            connection.call("GET", "/v2", headers={"Connection": "close"})
            self.assertTrue(connection.is_closed())

    def test_old_versions_are_refused(self):
        context = ssl.create_default_context(cafile=self.certificate)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.server.connect(context)

    def test_plain_text_is_refused(self):
        with self.server.connect() as connection:
            connection.send(LIVE)
            self.assertTrue(connection.socket.recv(4096)[:1] in (b"", b"\x15"))  # an end, or an alert
        self.assertEqual(self.server.call("GET", "/v2", tls=self.context).status, 200)

    def test_handshakes_end_in_time(self):
        with self.server.connect() as connection:
            self.assertTrue(connection.is_closed())

    def test_clients_that_leave(self):
        for size in (0, 10, 500):
            with self.server.connect(self.context) as connection:
                connection.send(request("POST", infer_path(), infer_body(*["text"] * 200))[:size])
        self.assertEqual(self.server.call("GET", "/v2", tls=self.context).status, 200)


if __name__ == "__main__":
    main()
