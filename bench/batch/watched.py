"""A run of the program with what it took: seconds, memory over time, when each part appeared."""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

PERIOD_S = 0.1


class Failed(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


def anonymous_mb(pid):
    """Memory that no file stands behind, in 10^6 bytes; None once the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return None


def run(command, watch=False):
    """{"seconds", "summary" (its JSON), "command", "memory": [(seconds, MB)...]}. Seconds are those of the whole process."""
    words = [str(word) for word in command]
    start, memory = time.monotonic(), []
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    while watch and process.poll() is None:
        if (now := anonymous_mb(process.pid)) is not None:
            memory.append((time.monotonic() - start, now))
        time.sleep(PERIOD_S)
    out, error = process.communicate()
    seconds = time.monotonic() - start
    if process.returncode:
        raise Failed(f"{' '.join(words)} ended with {process.returncode}: {error[-2000:]}")
    return {"seconds": seconds, "summary": json.loads(out), "command": " ".join(words), "memory": memory}


def parts_of(output):
    """The parts in their order."""
    return sorted(pathlib.Path(output).glob("part-*"))


def digest(output):
    """One hash over the bytes of all parts."""
    whole = hashlib.sha256()
    for part in parts_of(output):
        whole.update(part.read_bytes())
    return whole.hexdigest()


def part_seconds(output):
    """How long each part but the first took: parts appear one after the other."""
    times = [part.stat().st_mtime_ns / 1e9 for part in parts_of(output)]
    return [after - before for before, after in zip(times, times[1:])]


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine
