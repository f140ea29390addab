"""The GIL, Ctrl-C, and memory: what is not copied and what is not kept."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy
import pyarrow as pa
import pytest

TEXTS = ["where is my parcel, the red shoes and the refund"] * 100_000


def test_other_threads_run_meanwhile(model):
    """While one thread waits for the model, another goes through Python code: it could not if the GIL were held."""
    asking = threading.Thread(target=model.predict, args=("intent", pa.array(TEXTS)))
    steps = 0
    asking.start()
    while asking.is_alive():
        steps += 1
        time.sleep(0)
    assert steps > 100  # a few, before the call begins, would be there in any case


def test_threads_may_ask_at_once(model):
    expected = model.predict("vector", TEXTS[:50])
    answers = [None] * 4

    def ask(i):
        answers[i] = [model.predict("vector", TEXTS[:50]) for _ in range(5)]

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answer == [expected] * 5 for answer in answers)


def test_a_small_call_does_not_wait_for_a_large_one(model):
    large = threading.Thread(target=model.predict, args=("vector", pa.array(TEXTS)))
    large.start()
    model.predict("vector", "hello")
    assert large.is_alive()
    large.join()


def test_ctrl_c_ends_a_long_call(model_path):
    """In a process of its own, which a signal cannot take from the test."""
    program = f"""
import tilewise, pyarrow as pa
model = tilewise.open({str(model_path)!r}, replicas=1, pin=False)
texts = pa.repeat("where is my parcel", 5_000_000)
print("asking", flush=True)
try:
    model.predict("vector", texts)
except KeyboardInterrupt:
    print(model.predict("intent", "still here").label is not None)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "asking\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == "True\n"
    assert child.returncode == 0


def resident_megabytes(what):
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(what + ":"))
    return int(line.split()[1]) / 1024


def reset_peak():
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of memory cannot be reset here")


def test_strings_are_not_copied(model):
    """A column of 200 MB in rows of 100 KB: one copy of it, or of a large part, would show."""
    text = b"refund " + b"\xc2\xa0" * 50_000  # all but the first word are spaces
    rows, megabytes = 2000, 2000 * len(text) / 1e6
    assert megabytes > 190
    offsets = pa.array(range(0, (rows + 1) * len(text), len(text)), pa.int32()).buffers()[1]
    column = pa.Array.from_buffers(pa.string(), rows, [None, offsets, pa.py_buffer(text * rows)])
    record = pa.StructArray.from_arrays([column], ["title"])
    gc.collect()
    before = resident_megabytes("VmRSS")
    reset_peak()
    answers = model.predict("intent", column)
    model.predict_arrow("duplicate", pa.table({"left": record, "right": record}))
    assert resident_megabytes("VmHWM") - before < 60
    assert len(set(answers["score"].to_pylist())) == 1


def test_a_thousand_calls_keep_nothing(model):
    table = pa.table({"left_title": TEXTS[:64], "right_title": [None, *TEXTS[:63]]})
    texts = TEXTS[:64]
    ids = numpy.full((64, 20), 7)
    allocated = pa.total_allocated_bytes()

    def ask():
        model.run("vector", ids, attention_mask=ids > 0)
        with pytest.raises(ValueError):
            model.run("vector", ids, attention_mask=ids)
        model.predict_arrow("duplicate", table, logits=True)
        model.predict("vector", texts)
        model.predict("intent", ["x", None], top=0, errors="null")
        with pytest.raises(ValueError):
            model.predict("intent", [None])

    for _ in range(50):
        ask()
    gc.collect()
    before = resident_megabytes("VmRSS")
    for _ in range(1000):
        ask()
    gc.collect()
    assert resident_megabytes("VmRSS") - before < 8  # 8 KB a call would be this much
    assert pa.total_allocated_bytes() == allocated


def test_answers_outlive_the_model(model_path):
    import tilewise

    with tilewise.open(model_path, replicas=1, pin=False) as opened:
        answers = opened.predict("vector", pa.array(TEXTS[:100]))
        again = opened.predict("vector", pa.array(TEXTS[:100]))
    del opened
    gc.collect()
    assert os.getpid() and answers == again
