"""A day of trouble in a few minutes: every kind of client, good and bad, while models come and go:
soak_test.py TILEWISE [--seconds N] [--seed N]. TILEWISE_SOAK_SECONDS is the default of --seconds.

Every answer is compared with what `tilewise predict` said about that version of the model. Afterwards nothing may be left of
the load, and the server must end well. Under sanitizers everything holds but memory, which they keep themselves."""
import argparse
import os
import random
import sys
import threading
import time

from harness import DONE, PATIENCE, ROOT, TILEWISE, Server, cli, eventually, infer_body, request, workplace
from soak import changes, clients, grpc_client, vandals, watch
from soak.actor import Soak
from soak.models import VARIANTS, Questions, Served, Variant

# A connection that is open keeps its buffers, a model that is served its packed weights, and malloc one arena a thread with
# what it did not give back: how much of it is in use changes from moment to moment. A leak of 16 bytes a request is more.
MOST_GROWTH_KB = 8 << 10
# All of that is there only after some time.
SHORTEST_MEMORY_CHECK = 120

FLAGS = ("--replicas", 2, "--io-threads", 2, "--poll-seconds", 0.2, "--cache-mb", 0.05, "--max-connections", 250, "--max-batch", 64,
         "--max-body-bytes", 200_000, "--header-timeout-ms", 3000, "--idle-timeout-ms", 20_000, "--write-timeout-ms", 2000,
         "--bulk-deadline-ms", PATIENCE * 1000)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tilewise")
    parser.add_argument("--seconds", type=float, default=float(os.environ.get("TILEWISE_SOAK_SECONDS") or 15))
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    return parser.parse_args()


def environment(sanitizer):
    """What gRPC, which is not built for it, makes the thread sanitizer say is passed over."""
    return {"TSAN_OPTIONS": f"suppressions={ROOT / 'tests' / 'sanitizers' / 'tsan.supp'}"} if sanitizer == "thread" else {}


def make_models(root):
    """Two models of one backbone; each begins with a variant of its own."""
    questions = Questions()
    variants = [Variant(number, questions) for number in range(VARIANTS)]
    served = [Served(name, root, variants) for name in ("shop", "store")]
    for number, each in enumerate(served):
        each.version = 1
        each.put(1, number)
    return questions, served


def make_actors(soak, log):
    actors = [clients.Client(soak, number) for number in range(4)]
    actors += [kind(soak) for kind in (
        clients.Pipeliner, clients.Bulk, clients.Burst, vandals.Leaver, vandals.Killer, vandals.SlowWriter, vandals.SlowReader,
        vandals.Malformed, vandals.BadBodies, vandals.Oversized, vandals.Flood, vandals.GrpcGarbage, changes.Scraper)]
    actors += [changes.Swapper(soak, number) for number in range(len(soak.served))]
    actors.append(changes.LogReader(soak, log))
    if grpc_client.grpc is None:
        print("without gRPC clients: grpcio is not installed", flush=True)
    else:
        actors += [grpc_client.GrpcClient(soak, number) for number in range(2)]
    return actors


def run_load(soak, actors, seconds):
    for actor in actors:
        actor.start()
    soak.stopping.wait(seconds)
    soak.stopping.set()
    for actor in actors:
        actor.join(2 * PATIENCE)
        if actor.is_alive():
            soak.report(actor.name, "is stuck")
        print(f"{actor.name:16}", " ".join(f"{key}:{count}" for key, count in sorted(actor.counts.items(), key=str)), flush=True)
        if actor.counts["steps"] == 0:
            soak.report(actor.name, "has done nothing")
        if isinstance(actor, clients.Client) and not isinstance(actor, vandals.BadBodies) and actor.counts["checked"] == 0:
            soak.report(actor.name, "has had no answer to check")


def check_newest(soak, actors):
    """What was put in place last is what answers in the end."""
    for swapper in (actor for actor in actors if isinstance(actor, changes.Swapper)):
        newest = max(swapper.present)
        swapper.wait_for(newest)
        expected = swapper.served.variants[swapper.present[newest]].numbers("intent", 5)
        path, body = f"/v2/models/{swapper.served.name}.intent/infer", infer_body(soak.questions.texts[5])

        def answer(path=path, body=body):
            return soak.server.call("POST", path, body).json()["outputs"][0]["data"]

        if not eventually(lambda answer=answer, expected=expected: answer() == expected):
            soak.report(swapper.served.name, f"version {newest} is not what answers in the end")


def check_memory(soak, tenths, seconds, sanitizer):
    print("memory over the time, MB:", *(f"{size / 1024:.1f}" for size in tenths), flush=True)
    if sanitizer or seconds < SHORTEST_MEMORY_CHECK:
        print("memory is not checked:", f"the {sanitizer} sanitizer keeps it" if sanitizer else "the time is too short for that")
    elif tenths[-1] - tenths[len(tenths) // 3] > MOST_GROWTH_KB:
        soak.report("memory", "has grown")


def check_end(soak):
    """A stop while requests are on their way: they are answered."""
    server = soak.server
    connections = [server.connect() for _ in range(8)]
    asked = [threading.Thread(target=lambda c=connection: c.call("GET", "/v2/health/live")) for connection in connections]
    for thread in asked:
        thread.start()
    for thread in asked:
        thread.join()
    whole = request("POST", f"/v2/models/{soak.served[0].name}.tags/infer", infer_body("red", "blue"))
    for connection in connections:
        connection.send(whole[:-1])
    time.sleep(0.2)
    server.signal()
    for connection in connections:
        response = connection.send(whole[-1:]).read_response()
        if response.status != 200:
            soak.report("stop", f"what was begun is not answered: {response}")
        connection.close()
    code = server.wait()
    if code != DONE:
        soak.report("stop", f"exit code {code}")


def check_log(soak):
    for line in soak.server.lines:
        allowed = " info: " in line or "is not served: " in line
        if not allowed:
            soak.report("standard error", line.rstrip())


def main():
    arguments = parse_arguments()
    print(f"seed {arguments.seed}, {arguments.seconds:g} s", flush=True)
    root, log = workplace() / "models", workplace() / "access.log"
    root.mkdir()
    questions, served = make_models(root)
    sanitizer = watch.sanitizer_of(TILEWISE)
    server = Server(*FLAGS, "--access-log", log, path=root, environment=environment(sanitizer))
    soak = Soak(server, served, questions, arguments.seed)
    try:
        process = watch.Process(server.process.pid)
        server.call("POST", "/embed", {"inputs": "red", "task": "shop.vector"})
        server.call("POST", "/v2/repository/models/shop/load", b"")  # its threads come with the first one
        eventually(lambda: watch.gauges(server)["tilewise_http_connections"] == 1)
        descriptors, threads = process.descriptors(), process.threads()
        memory = watch.MemoryWatch(process)
        memory.start()
        actors = make_actors(soak, log)
        run_load(soak, actors, arguments.seconds)
        memory.stop()
        if server.process.poll() is None:
            check_newest(soak, actors)
            # Each model may share weights with one that is gone, and so do the heads of its variant.
            if left := watch.wait_until_calm(server, descriptors, threads, 2 * len(served), process):
                soak.report("afterwards", f"left of the load: {left}")
            check_memory(soak, memory.tenths(), arguments.seconds, sanitizer)
            check_end(soak)
        check_log(soak)
    finally:
        if server.process.poll() is None:
            server.process.kill()
    print(f"{len(soak.problems)} problems, seed {arguments.seed}", flush=True)
    if soak.problems:
        print(server.log()[-100000:])
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
