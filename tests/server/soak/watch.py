"""What the soak test measures of the server's process, and what must be as before when the load has gone."""
import pathlib
import re
import statistics
import threading

from harness import eventually


def sanitizer_of(program):
    """"address", "thread" or None."""
    data = pathlib.Path(program).read_bytes()
    return "address" if b"__asan_init" in data else "thread" if b"__tsan_init" in data else None


class Process:
    def __init__(self, pid):
        self.folder = pathlib.Path(f"/proc/{pid}")

    def descriptors(self):
        return len(list((self.folder / "fd").iterdir()))

    def threads(self):
        """Of the program itself: gRPC names its own, and ends them when it likes."""
        names = [(task / "comm").read_text(encoding="utf-8").strip() for task in (self.folder / "task").iterdir()]
        return names.count(names[0])  # that of the program, from its first thread

    def resident_kb(self):
        """Memory of its own: the pages of mapped artifacts belong to the page cache."""
        status = (self.folder / "status").read_text(encoding="ascii")
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1])

    def deleted_artifacts(self):
        """Mapped files that are gone: a model keeps those with whose model it shares weights."""
        return re.findall(r"/\S*\.tw \(deleted\)", (self.folder / "maps").read_text(encoding="utf-8"))


class MemoryWatch(threading.Thread):
    """Memory of the process over time."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.samples, self.over = process, [], threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            try:
                self.samples.append(self.process.resident_kb())
            except OSError:
                return  # it has ended: others tell of it

    def stop(self):
        self.over.set()
        self.join()

    def tenths(self):
        """Medians of the tenths of the time, in kB."""
        size = max(1, len(self.samples) // 10)
        return [statistics.median(self.samples[at:at + size]) for at in range(0, len(self.samples) - size + 1, size)]


def gauges(server):
    """The metrics that have no labels: name -> value."""
    text = server.call("GET", "/metrics").body.decode()
    return {name: float(value) for name, value in re.findall(r"^([a-z_]+) (\S+)$", text, re.MULTILINE)}


def is_calm(server, descriptors, threads, artifacts, process):
    """Nothing of the load is left: "" or what is. The connection of the scrape itself is one."""
    now = gauges(server)
    left = {name: now[name] for name, most in (("tilewise_http_connections", 1), ("tilewise_waiting_sequences", 0),
                                               ("tilewise_waiting_tokens", 0)) if now[name] > most}
    for name, found, most in (("file descriptors", process.descriptors(), descriptors), ("threads", process.threads(), threads)):
        if found > most:
            left[name] = (most, found)
    files = set(process.deleted_artifacts())
    if len(files) > artifacts:
        left["artifacts that are mapped still"] = files
    return left


def wait_until_calm(*what):
    """What is left in the end: {} is well."""
    last = {}

    def calm():
        nonlocal last
        last = is_calm(*what)
        return not last

    eventually(calm)
    return last
