"""Who changes what is served, and who watches it from outside."""
import json
import re
import shutil
import time

from harness import PATIENCE, Connection
from soak.actor import Actor, Wrong


class Operator(Actor):
    """Has a connection that a flood may end."""

    def call(self, method, path, body=None):
        """The response; None where a flood kept it away."""
        begin = time.monotonic()
        try:
            with Connection(self.server) as connection:
                response = connection.call(method, path, body, {"Connection": "close"})
        except ConnectionError:
            if self.soak.may_be_flooded(begin, time.monotonic()):
                return None
            raise
        if response.status == 503 and b"connections" in response.body and self.soak.may_be_flooded(begin, time.monotonic()):
            return None
        self.counts[response.status] += 1
        return response

    def insist(self, method, path, body=None):
        """As call(), until there is a response."""
        for _ in range(PATIENCE * 10):
            if response := self.call(method, path, body):
                return response
            time.sleep(0.1)
        raise Wrong(f"no response to {path} for {PATIENCE} s")


class Swapper(Operator):
    """Puts new versions of a model in place, takes old ones away, drops broken ones in."""

    pause = 1.5

    def __init__(self, soak, number=0):
        super().__init__(soak, number)
        self.served = soak.served[number]
        self.present = {self.served.version: self.served.turns[-1][1]}  # version -> variant

    def step(self):
        actions = (self.swap, self.move, self.roll_back, self.replace, self.drop_broken, self.reload, self.vanish)
        action, = self.random.choices(actions, (6, 4, 3, 3, 3, 1, 1))
        action()
        self.counts[action.__name__] += 1

    def index_entry(self):
        response = self.insist("POST", "/v2/repository/index")
        for entry in response.json():
            if entry["name"] == self.served.name:
                return entry
        return None

    def wait_for(self, version, variant=None):
        """Until this one is served; then no other is."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            entry = self.index_entry()
            if entry and entry["state"] == "READY" and entry["version"] == str(version):
                self.served.settle(version, self.present[version] if variant is None else variant)
                return
            time.sleep(0.05)
        raise Wrong(f"{self.served.name} {version} is not served after {PATIENCE} s; the index says {entry}")

    def other_variant(self):
        return self.random.choice([i for i in range(len(self.served.variants)) if i not in self.present.values()])

    def put(self, version):
        self.present[version] = self.other_variant()
        self.served.put(version, self.present[version])

    def remove(self, version):
        self.served.remove(version)
        del self.present[version]

    def next_version(self):
        self.served.version += 1
        return self.served.version

    # What may happen to a directory.

    def swap(self):
        """A new version beside the old one, which goes once it is not served any more; now and then it stays for a while."""
        version = self.next_version()
        self.put(version)
        self.wait_for(version)
        while len(self.present) > self.random.randint(1, 3):
            self.remove(min(self.present))

    def move(self):
        """The old one goes at once; it serves on until the new one does."""
        version = self.next_version()
        old = list(self.present)
        self.put(version)
        for each in old:
            self.remove(each)
        self.wait_for(version)

    def roll_back(self):
        """The newest goes: the one before it serves again."""
        if len(self.present) < 2:
            return
        newest = max(self.present)
        before = max(version for version in self.present if version != newest)
        self.served.begin(before, self.present[before])
        self.remove(newest)
        self.wait_for(before)

    def replace(self):
        """Another file under the same version, which the index cannot show: so its turn just begins."""
        newest = max(self.present)
        self.put(newest)

    def drop_broken(self):
        """A newer version that cannot be served; the old one serves on, and the index says why."""
        version = self.next_version()
        good = bytearray(self.served.variants[0].path.read_bytes())
        match self.random.randrange(4):
            case 0:
                good = good[:self.random.randrange(len(good))]
            case 1:
                for _ in range(3):
                    good[self.random.randrange(len(good))] ^= 1 << self.random.randrange(8)
            case 2:
                good = b"no artifact"
            case 3:
                good = b""
        self.served.put_bytes(version, bytes(good))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            entry = self.index_entry()
            if entry["state"] != "READY" or entry["version"] == str(version):
                raise Wrong(f"a broken version took the place of a good one: {entry}")
            if entry["reason"]:
                break
            time.sleep(0.05)
        else:
            raise Wrong(f"nothing tells of a broken version: {entry}")
        (self.served.folder / f"{version}.tw").unlink()

    def reload(self):
        """Unloaded and loaded by name."""
        self.served.leave()
        path = f"/v2/repository/models/{self.served.name}"
        response = self.insist("POST", path + "/unload", b"")
        if response.status != 200:
            raise Wrong(f"cannot unload: {response}")
        self.sleep(self.random.uniform(0, 0.5))
        newest = max(self.present)
        self.served.begin(newest, self.present[newest])
        response = self.insist("POST", path + "/load", b"")
        if response.status != 200:
            raise Wrong(f"cannot load: {response}")
        self.wait_for(newest)
        self.served.come_back()

    def vanish(self):
        """All of the model goes, and comes back."""
        self.served.leave()
        shutil.rmtree(self.served.folder)
        self.present.clear()
        end = time.monotonic() + PATIENCE
        while self.index_entry() is not None:
            if time.monotonic() > end:
                raise Wrong(f"{self.served.name} is in the index {PATIENCE} s after its files have gone")
            time.sleep(0.05)
        version = self.next_version()
        self.put(version)
        self.wait_for(version)
        self.served.come_back()


class Scraper(Operator):
    """Reads what there is to read, and whether it has the form that it should have."""

    pause = 0.3
    LINE = re.compile(r'(# (HELP|TYPE) .*|[a-z_]+(\{([a-z_]+="(\\.|[^"\\])*",?)*\})? (-?[0-9.e+-]+|[+-]?Inf|NaN))')

    def step(self):
        path = self.random.choice(("/metrics", "/metrics", "/", "/openapi.json", "/v2", "/v2/models/stats", "/info?task=shop.intent",
                                   "/v1/models", "/v2/health/ready", "/health", "/ping", "/v2/models/store/config"))
        begin = time.monotonic()
        response = self.call("GET", path)
        if response is None:
            return
        absent = any(served.may_be_absent(begin, time.monotonic()) for served in self.soak.served)
        if response.status != 200 and not (absent and response.status in (404, 503)):
            raise Wrong(f"{path} was answered with {response}")
        if response.headers.get("content-type", "").startswith("application/json"):
            response.json()
        if path == "/metrics":
            for line in response.body.decode().splitlines():
                if not self.LINE.fullmatch(line):
                    raise Wrong(f"no metric: {line!r}")
            if "\ntilewise_ready 1\n" not in response.body.decode():
                raise Wrong("the metrics say that the server is not ready")


class LogReader(Actor):
    """Rotates the access log, and looks at every line of it."""

    pause = 2.0

    def __init__(self, soak, path):
        super().__init__(soak)
        self.path = path

    def close(self):
        self.step()

    def step(self):
        """What is written until the server has seen the new name is read the next time."""
        old = self.path.with_suffix(".1")
        if old.exists():
            self.read(old)
            old.unlink()
        if self.path.exists():
            self.path.rename(old)

    def read(self, path):
        with path.open("rb") as lines:
            for line in lines:
                entry = json.loads(line)
                self.counts[entry["status"]] += 1
                if entry["status"] == 500:
                    raise Wrong(f"an internal error: {line!r}")
