"""What all actors of the soak test have in common."""
import collections
import random
import threading
import time
import traceback

MOST_PROBLEMS = 20


class Wrong(Exception):
    """The server has done what it must not do."""


class Soak:
    """What the actors share. Thread-safe."""

    def __init__(self, server, served, questions, seed):
        self.server, self.served, self.questions, self.seed = server, served, questions, seed
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.problems = []
        self.floods = []  # [from, until]: new connections may be refused

    def report(self, who, what):
        with self.lock:
            if len(self.problems) < MOST_PROBLEMS:
                self.problems.append(f"{who}: {what}")
                print("PROBLEM", self.problems[-1], flush=True)

    def begin_flood(self):
        with self.lock:
            self.floods.append([time.monotonic(), None])

    def end_flood(self):
        with self.lock:
            self.floods[-1][1] = time.monotonic()

    def may_be_flooded(self, begin, end):
        with self.lock:
            return any(since <= end and (until is None or until >= begin) for since, until in self.floods)


class Actor(threading.Thread):
    """Repeats step() until the soak ends. Whatever it raises is a problem."""

    pause = 0.005  # seconds between steps, at most

    def __init__(self, soak, number=0):
        super().__init__(name=f"{type(self).__name__} {number}", daemon=True)
        self.soak, self.server = soak, soak.server
        self.random = random.Random(f"{soak.seed}/{self.name}")
        self.counts = collections.Counter()

    def step(self):
        raise NotImplementedError

    def close(self):
        pass

    def sleep(self, seconds):
        self.soak.stopping.wait(seconds)

    def run(self):
        while not self.soak.stopping.is_set():
            try:
                self.step()
                self.counts["steps"] += 1
            except Wrong as wrong:
                self.soak.report(self.name, wrong)
                self.sleep(0.2)
            except Exception:  # pylint: disable=broad-exception-caught
                if self.server.process.poll() is not None:
                    self.soak.report(self.name, f"the server has ended with {self.server.process.returncode}")
                    self.soak.stopping.set()
                    break
                self.soak.report(self.name, traceback.format_exc())
                self.sleep(0.2)
            self.sleep(self.random.uniform(0, self.pause))
        self.close()
