"""The examples of README.md run as they stand there."""

import re
import shutil

from conftest import CHECKPOINTS, ROOT


def test_examples_run(tmp_path, monkeypatch, model_path):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_path, "model.tw")
    (tmp_path / "checkpoint").symlink_to(CHECKPOINTS / "multi_task")
    (tmp_path / "backbone").symlink_to(CHECKPOINTS / "bert")
    readme = (ROOT / "python" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["result"].column_names == ["id", "score", "label", "truncated", "error"]
    assert names["result"]["error"][1].as_py().startswith("The record has none of the fields")
    assert isinstance(names["score"], float) and len(names["scores"]) == 2
