#!/usr/bin/env python3
"""Every endpoint that /openapi.json describes, called with what schemathesis makes of the description: nothing may fail inside the
server, and every response has a status, a type and a body that the description names.

    python openapi_clients.py TILEWISE

Exits 77 where schemathesis (tests/requirements.txt) is not installed."""
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import schemathesis
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

from harness import Server

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
EXAMPLES = 12  # of each endpoint; some 40 endpoints end well within a minute
SECONDS = 50  # at most
SEED = 5

# What schemathesis has to be told: how lines of rows are sent, and names that exist (of tasks, so that nothing is unloaded).
HOOKS = """
import schemathesis

NAMES = ["intent", "tags", "urgency", "vector", "duplicate", "multi_task-fp32.intent"]


@schemathesis.serializer("application/jsonlines")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and len(str(path_parameters.get("model", ""))) % 2:
        path_parameters["model"] = NAMES[len(path_parameters["model"]) // 2 % len(NAMES)]
        if "version" in path_parameters:
            path_parameters["version"] = "1"
    return path_parameters
"""


def main():
    with Server("--default-task", "intent") as server, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks", ",".join(CHECKS),
                   "--max-examples", EXAMPLES, "--seed", SEED, "--phases", "examples,coverage,fuzzing", "--request-timeout", 20,
                   "--suppress-health-check", "all", "--generation-database", "none", "--max-time", SECONDS,
                   # Instead of the deadlines that it makes up: 504 is the right answer to a few nanoseconds.
                   "--header", "x-deadline-ms: 30000"]
        pathlib.Path(folder, "hooks.py").write_text(HOOKS, encoding="utf-8")
        done = subprocess.run(list(map(str, command)), cwd=folder, timeout=600, check=False,
                              env={**os.environ, "NO_COLOR": "1", "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": folder})
        alive = server.call("GET", "/v2/health/ready").status == 200
    print(f"schemathesis {schemathesis.__version__}: exit code {done.returncode}; the server is {'ready' if alive else 'not ready'}")
    return 0 if done.returncode == 0 and alive else 1


if __name__ == "__main__":
    sys.exit(main())
