"""What the tests of the server share: they start `tilewise serve` and talk to it over sockets, as clients do."""
import importlib.util
import json
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

CLI = pathlib.Path(__file__).resolve().parents[1] / "cli" / "harness.py"
specification = importlib.util.spec_from_file_location("cli_harness", CLI)
cli = importlib.util.module_from_spec(specification)
specification.loader.exec_module(cli)

ROOT, TILEWISE, SKIPPED = cli.ROOT, cli.TILEWISE, cli.SKIPPED
DONE, FAILED, WRONG_COMMAND_LINE, BAD_INPUT = cli.DONE, cli.FAILED, cli.WRONG_COMMAND_LINE, cli.BAD_INPUT
model, workplace, main = cli.model, cli.workplace, cli.main

# How long anything may take before a test gives up: machines of tests are busy.
PATIENCE = 60


class Server:
    """A running `tilewise serve`. Use it with `with`, or call stop()."""

    def __init__(self, *flags, path=None, deadline_ms=PATIENCE * 1000, environment=(), grpc=True):
        """`deadline_ms`: so long that no test depends on how busy the machine is; None leaves the flag out."""
        command = [TILEWISE, "serve", path or model(), "--address", "127.0.0.1", "--port", 0, "--grpc-port", 0 if grpc else -1]
        if deadline_ms is not None:
            command += ["--deadline-ms", deadline_ms]
        variables = {**cli.environment(), **dict(environment)}
        self.process = subprocess.Popen([str(part) for part in [*command, *flags]], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables)
        self.lines = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._ready.wait(PATIENCE)
        self.port = self.grpc_port = None
        for line in self.lines:
            if found := re.search(r"listening on (https?)://\S+?:(\d+)(?: and grpc://\S+?:(\d+))?;", line):
                self.scheme, self.port, self.grpc_port = found[1], int(found[2]), found[3] and int(found[3])
        if self.port is None:
            self.process.kill()
            raise AssertionError("the server did not start: " + self.log())

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.decode(errors="replace"))
            if "listening on" in self.lines[-1]:
                self._ready.set()
        self._ready.set()

    def log(self):
        return "".join(self.lines)

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, timeout=PATIENCE):
        """The exit code."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def stop(self):
        if self.process.poll() is None:
            self.signal()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def connect(self, tls=None):
        return Connection(self, tls)

    def call(self, method, path, body=None, headers=(), tls=None):
        """One request on a connection of its own -> Response."""
        with self.connect(tls) as connection:
            return connection.call(method, path, body, {**dict(headers), "Connection": "close"})

    def sockets(self):
        """How many the process has open."""
        count = 0
        for entry in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                count += entry.readlink().name.startswith("socket:")
            except FileNotFoundError:  # closed meanwhile
                pass
        return count

    def resident_kb(self):
        """Memory of the process."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]!r}"


class Connection:
    """A socket on which bytes are sent as they are."""

    def __init__(self, server, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())
        return self

    def _more(self):
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionError(f"the connection ended after {self.rest!r}")
        self.rest += part

    def read_response(self, has_body=True):
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        assert version == "HTTP/1.1", lines[0]
        headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        size = int(headers.get("content-length", 0)) if has_body and int(status) >= 200 else 0
        while len(self.rest) < size:
            self._more()
        body, self.rest = self.rest[:size], self.rest[size:]
        return Response(int(status), headers, body)

    def call(self, method, path, body=None, headers=()):
        return self.send(request(method, path, body, headers)).read_response(has_body=method != "HEAD")

    def is_closed(self, within=PATIENCE):
        """Whether the server ends the connection, without sending anything more."""
        self.socket.settimeout(within)
        try:
            return self.socket.recv(1) == b"" and self.rest == b""
        except (ConnectionResetError, BrokenPipeError):
            return True
        except ssl.SSLError:
            return True
        except TimeoutError:
            return False


def request(method, path, body=None, headers=(), version="HTTP/1.1"):
    """The bytes of a request. `body`: bytes, or what becomes JSON."""
    fields = {"Host": "localhost", **dict(headers)}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields.setdefault("Content-Type", "application/json")
    if body is not None and "Transfer-Encoding" not in fields:
        fields.setdefault("Content-Length", len(body))
    head = f"{method} {path} {version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return head.encode("latin-1") + b"\r\n" + (body or b"")


def infer_path(task="tags", name="multi_task-fp32"):
    return f"/v2/models/{name}.{task}/infer"


def infer_body(*texts):
    return {"inputs": [{"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}]}


def eventually(condition, timeout=PATIENCE):
    """Waits until condition() is true; returns what it returned last."""
    end = time.monotonic() + timeout
    while True:
        result = condition()
        if result or time.monotonic() > end:
            return result
        time.sleep(0.02)


class TestCase(cli.TestCase):
    """One server for all tests of a class, with the flags in FLAGS."""

    FLAGS = ()
    server = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.FLAGS)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        assert code == DONE, f"exit code {code}: {cls.server.log()}"

    def assertHealthy(self):
        self.assertEqual(self.server.call("GET", "/v2/health/live").status, 200, self.server.log())
