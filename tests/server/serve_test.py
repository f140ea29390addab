"""The life of `tilewise serve`: start, signals, drain, exit codes: serve_test.py TILEWISE."""
import json
import signal
import socket
import threading
import time

from harness import (BAD_INPUT, DONE, FAILED, PATIENCE, WRONG_COMMAND_LINE, Server, cli, eventually,
                     infer_body, infer_path, main, model, request)


class Start(cli.TestCase):
    def test_the_line_that_says_where(self):
        with Server("--replicas", 1) as server:
            self.assertRegex(server.log(), r"info: listening on http://127\.0\.0\.1:\d+ and grpc://127\.0\.0\.1:\d+; 1 replica of multi_task-fp32 1\n")
            self.assertEqual(server.call("GET", "/v2/health/ready").status, 200)
            self.assertEqual(server.call("POST", infer_path(), infer_body("a")).status, 200)

    def test_without_grpc(self):
        with Server(grpc=False) as server:
            self.assertIsNone(server.grpc_port)
            self.assertNotIn("grpc", server.log())

    def test_several_threads(self):
        with Server("--io-threads", 3) as server:
            connections = [server.connect() for _ in range(6)]
            for connection in connections:
                self.assertEqual(connection.call("POST", infer_path(), infer_body("a")).status, 200)
                connection.close()

    def test_a_directory(self):
        (self.folder / "shop").mkdir()
        (self.folder / "shop" / "3.tw").symlink_to(model())
        with Server(path=self.folder) as server:
            self.assertIn("shop 3", server.log())
            self.assertEqual(server.call("POST", infer_path(name="shop"), infer_body("a")).status, 200)

    def test_what_cannot_be_served(self):
        self.error(BAD_INPUT, "serve", self.folder / "none.tw", "--port", 0, "--grpc-port", -1, says=["none.tw"])
        self.error(BAD_INPUT, "serve", self.folder, "--port", 0, "--grpc-port", -1)
        broken = self.write("broken.tw", b"x" * 5000)
        self.error(BAD_INPUT, "serve", broken, "--port", 0, "--grpc-port", 0, says=["broken.tw"])

    def test_flags_that_are_wrong(self):
        for flags, says in (([], "MODEL"), ([model(), "--port", 70000], "--port"), ([model(), "--deadline-ms", 0], "--deadline-ms"),
                            ([model(), "--io-threads", 0], "--io-threads"), ([model(), "--tls-cert", "x"], "--tls-key"),
                            ([model(), "--address", "nowhere"], "--address"), ([model(), "--isa", "z80"], "--isa"),
                            ([model(), "--no-such-flag"], "--no-such-flag")):
            self.error(WRONG_COMMAND_LINE, "serve", *flags, says=[says])

    def test_files_that_are_not_there(self):
        self.error(BAD_INPUT, "serve", model(), "--port", 0, "--api-key-file", self.folder / "keys", says=["keys"])
        empty = self.write("empty", "# nothing\n")
        self.error(BAD_INPUT, "serve", model(), "--port", 0, "--api-key-file", empty, says=["empty", "none"])
        self.error(BAD_INPUT, "serve", model(), "--port", 0, "--tls-cert", empty, "--tls-key", empty, says=["empty", "certificate"])
        self.error(FAILED, "serve", model(), "--port", 0, "--access-log", self.folder / "no" / "log", says=["log"])

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            for flags in (["--port", port, "--grpc-port", -1], ["--port", 0, "--grpc-port", port]):
                self.error(FAILED, "serve", model(), "--address", "127.0.0.1", *flags, says=[str(port)])


class Stop(cli.TestCase):
    def test_both_signals_end_it_well(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = Server()
            server.signal(number)
            self.assertEqual(server.wait(), DONE)

    def test_under_load_no_request_fails(self):
        server = Server("--io-threads", 2)
        answered, failures = [], []

        def ask():
            with server.connect() as connection:
                while True:
                    try:
                        response = connection.call("POST", infer_path(), infer_body("a text", "another"))
                    except OSError as error:
                        return failures.append(error)
                    answered.append(response.status)
                    if response.headers.get("connection") == "close":
                        return None

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        self.assertTrue(eventually(lambda: len(answered) > 100))
        server.signal()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual((server.wait(), failures, set(answered)), (DONE, [], {200}))

    def test_what_happens_meanwhile(self):
        server = Server("--drain-seconds", PATIENCE)
        begun, idle = server.connect(), server.connect()
        self.assertEqual(begun.call("GET", "/v2/health/ready").status, 200)
        self.assertEqual(idle.call("GET", "/v2/health/ready").status, 200)
        begun.send(request("GET", "/v2/health/ready")[:-2])  # the rest comes later
        time.sleep(0.1)
        server.signal()
        self.assertTrue(idle.is_closed())
        self.assertTrue(eventually(lambda: self.refuses_connections(server)))
        response = begun.send(b"\r\n").read_response()
        self.assertEqual((response.status, response.headers["connection"]), (503, "close"))  # not ready any more
        self.assertTrue(begun.is_closed())
        begun.close()
        idle.close()
        self.assertEqual(server.wait(), DONE)

    def refuses_connections(self, server):
        try:
            server.connect().close()
            return False
        except ConnectionRefusedError:
            return True

    def test_what_was_accepted_is_answered(self):
        server = Server()
        whole = request("POST", infer_path(), infer_body("a"))
        with server.connect() as connection:
            connection.send(whole[:-1])
            time.sleep(0.1)
            server.signal()
            self.assertTrue(eventually(lambda: self.refuses_connections(server)))
            response = connection.send(whole[-1:]).read_response()
            self.assertEqual((response.status, response.headers["connection"]), (200, "close"))
        self.assertEqual(server.wait(), DONE)

    def test_it_takes_no_longer_than_allowed(self):
        server = Server("--drain-seconds", 0.5)
        with server.connect() as connection:
            connection.send(b"GET /v2 HTTP/1.1\r\n")
            time.sleep(0.1)
            server.signal()
            self.assertEqual(server.wait(PATIENCE), DONE)
            self.assertIn("--drain-seconds", server.log())

    def test_a_second_signal_ends_it_at_once(self):
        server = Server("--drain-seconds", PATIENCE)
        with server.connect() as connection:
            connection.send(b"GET /v2 HTTP/1.1\r\n")
            time.sleep(0.1)
            server.signal()
            self.assertTrue(eventually(lambda: "stopping" in server.log()))
            server.signal()
            self.assertEqual(server.wait(5), -signal.SIGTERM)


class AccessLog(cli.TestCase):
    def test_a_line_a_request(self):
        path = self.folder / "access.log"
        with Server("--access-log", path) as server:
            trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            server.call("POST", infer_path() + "?secret=1", infer_body("a", "b"),
                        {"x-request-id": "mine", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
            server.call("GET", "/nowhere")
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        self.assertEqual([line["status"] for line in lines], [200, 404])
        self.assertEqual((lines[0]["request_id"], lines[0]["trace_id"], lines[0]["inputs"]), ("mine", trace, 2))
        self.assertNotIn("secret", path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
