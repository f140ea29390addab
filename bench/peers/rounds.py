"""One precision and one set of texts: results checked, peers tuned, then rounds in which every side works once, in turn."""
import json
import sys

import numpy as np
import workloads
from sides import PEERS, Failed, Peer, Tilewise

CHECKED_ROWS = 250
# The root mean square difference to PyTorch's fp32 that is let through, as a share of the logits' standard deviation.
# fp32: another order of the sums, 2^-24 each, a thousand-fold. bf16: some 60 roundings of 2^-9 in a row, which add like a random
# walk to 1.5 %, twice. int8: steps of 1/127 of a row's largest value in 24 to 72 layers one after another, some 10 %, twice.
TOLERANCE = {"fp32": 1e-3, "bf16": 0.03, "int8": 0.2}


def say(text):
    print(text, file=sys.stderr, flush=True)


def compare_logits(found, exact, threshold):
    """What is seen against fp32: differences, and how many decisions are the same."""
    found, exact = np.array(found), np.array(exact)
    if found.shape != exact.shape or not np.isfinite(found).all():
        raise Failed(f"its logits have the shape {found.shape} where {exact.shape} was expected, or are not finite")
    if exact.shape[1] > 1:
        same = found.argmax(1) == exact.argmax(1)
    else:
        same = (found >= threshold) == (exact >= threshold)
    difference = found - exact
    return {"relative": float(np.sqrt((difference**2).mean()) / exact.std()), "largest": float(np.abs(difference).max()),
            "same_decisions": float(same.mean())}


def check(name, precision, found, exact, threshold):
    seen = compare_logits(found, exact, threshold)
    say(f"  {name}: differs from fp32 by {seen['relative']:.1e} of the logits' spread, {seen['same_decisions']:.1%} of the decisions are the same")
    if not seen["relative"] <= TOLERANCE[precision]:
        raise Failed(f"its logits differ from fp32 by {seen['relative']:.1%} of their spread, more than {TOLERANCE[precision]:.1%}")
    return seen


class Group:
    """Owns the peers' processes while it measures."""

    def __init__(self, precision, workload, exported, tilewise, arguments):
        """exported: the folder of export_models.py; tilewise: a Tilewise of this precision."""
        self.precision, self.workload, self.exported, self.tilewise, self.arguments = precision, workload, exported, tilewise, arguments
        self.rows_path = workloads.write_rows(workload.rows, exported / "texts.jsonl")
        self.exact = json.loads((exported / "reference.json").read_text())
        self.peers, self.failures, self.checks, self.first_use = {}, {}, {}, {}

    def start(self):
        """Starts, checks and tunes every peer; one that fails is left out, tilewise's failure is everybody's."""
        checked = checked_rows(self.workload)
        texts = workloads.write_rows([self.workload.rows[i] for i in checked], self.exported / "checked.jsonl")
        threshold = self.arguments.thresholds[self.workload.task]
        self.checks["tilewise"] = check("tilewise", self.precision, self.tilewise.logits(texts), self.exact, threshold)
        for name in self.arguments.peers:
            if self.precision not in PEERS[name].precisions:
                continue
            peer = None
            try:
                peer = Peer(PEERS[name], self.precision, self.exported, self.arguments.cores, self.arguments.fifo)
                self.first_use[name] = peer.ask(do="first_use")
                logits = peer.ask(do="logits", rows=checked, batch=8)["logits"]
                self.checks[name] = check(PEERS[name].title, self.precision, logits, self.exact, threshold)
                peer.tune(self.arguments.seconds / 4)
                self.peers[name] = peer
            except Failed as reason:
                say(f"  {PEERS[name].title}: left out: {reason}")
                self.failures[name] = str(reason)
                if peer:
                    peer.close()

    def throughput(self, how_many, number):
        mine = self.tilewise.bench("offline", how_many, self.rows_path, self.arguments.seconds)
        if mine["tokens"] % self.info["tokens"]:
            raise Failed(f"tilewise counts {mine['tokens']} tokens, the tokenizers library {self.info['tokens']}")
        taken = {"tilewise": {"arrival": mine}}
        for name, peer in self.peers.items():
            taken[name] = {order: peer.run_pass(order, how_many, self.arguments.seconds, number) for order in peer.orders}
        return taken

    def latency(self, number):
        mine = self.tilewise.bench("single", 1, self.rows_path, self.arguments.seconds)
        taken = {"tilewise": {**mine["latency_ms"], "taken": mine["taken"]}}
        for name, peer in self.peers.items():
            taken[name] = peer.latency(self.arguments.seconds, number)
        return taken

    def run(self):
        say(f"{self.precision}, {self.workload.name}: checking results, choosing batches")
        try:
            self.start()
            return self.measure()
        finally:
            for peer in self.peers.values():
                peer.close()

    def measure(self):
        lengths = [len(json.loads(line)["ids"]) for line in (self.exported / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
        self.info = {"rows": len(lengths), "tokens": sum(lengths)}
        counts = {"one": 1, "all": len(self.arguments.cores)}
        rounds = []
        for number in range(self.arguments.rounds):
            one = {cores: self.throughput(counts[cores], number) for cores in self.arguments.core_settings}
            one["latency"] = self.latency(number)
            rounds.append(one)
            say(f"  round {number + 1}: " + ", ".join(
                f"{side} {taken.get('sorted', taken['arrival'])['tokens_per_s']:,.0f}"
                for side, taken in one[self.arguments.core_settings[0]].items()) + " tokens/s")
        mine = rounds[-1][self.arguments.core_settings[0]]["tilewise"]["arrival"]
        return {"precision": self.precision, "workload": self.workload.name, **self.info, "checks": self.checks, "failures": self.failures,
                "rounds": rounds, "first_use": self.first_use, "isa": mine["isa"],
                "peers": {name: peer.info() for name, peer in self.peers.items()},
                "tilewise": {"load_seconds": mine["load_ms"] / 1e3, "ready_mb": self.tilewise.ready_mb(), "peak_mb": mine["rss_mb"]}}


def checked_rows(workload):
    count = min(CHECKED_ROWS, len(workload.rows))
    return [i * len(workload.rows) // count for i in range(count)]
