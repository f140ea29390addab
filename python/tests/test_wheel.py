"""The wheel alone: in an environment that has nothing else, far from the sources."""

import os
import subprocess
import venv

import pytest

import tilewise

PROGRAM = """
import sys
import tilewise
model = tilewise.open(sys.argv[1], replicas=1, pin=False)
assert "site-packages" in tilewise.__file__, tilewise.__file__
assert model.predict("intent", ["where is my parcel"])[0].label in model.tasks["intent"].labels
assert 0 < model.score("duplicate", {"title": "red mug"}, {"title": "mug, red"}) < 1
assert not {"numpy", "pyarrow"} & set(sys.modules)
print(tilewise.__version__)
"""


def test_works_without_anything_else(tmp_path, model_path):
    wheel = os.environ.get("TILEWISE_WHEEL")
    if not wheel:
        pytest.skip("TILEWISE_WHEEL does not name the wheel")
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(install, check=True, timeout=300)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LD_LIBRARY_PATH")}
    command = [python, "-I", "-c", PROGRAM, model_path]
    done = subprocess.run(command, cwd=tmp_path, env=clean, stdout=subprocess.PIPE, check=True, timeout=300)
    assert done.stdout.decode().strip() == tilewise.__version__
