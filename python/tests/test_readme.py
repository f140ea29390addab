"""The examples of README.md and of docs/PYTHON.md run as they stand there."""

import re
import shutil

import pytest

from conftest import CHECKPOINTS, ROOT


def run_examples(document, names):
    """Its blocks of Python, one after the other, in one namespace; gives how many there are."""
    blocks = re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(compile(block, document.name, "exec"), names)
    return len(blocks)


def test_examples_run(tmp_path, monkeypatch, model_path):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model_path, "model.tw")
    (tmp_path / "checkpoint").symlink_to(CHECKPOINTS / "multi_task")
    (tmp_path / "backbone").symlink_to(CHECKPOINTS / "bert")
    names = {}
    assert run_examples(ROOT / "python" / "README.md", names) >= 6
    assert names["result"].column_names == ["id", "score", "label", "truncated", "error"]
    assert names["result"]["error"][1].as_py().startswith("The record has none of the fields")
    assert isinstance(names["score"], float) and len(names["scores"]) == 2


def test_examples_with_pytorch_run(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    classifier = transformers.BertForSequenceClassification.from_pretrained(CHECKPOINTS / "bert_classifier")
    names = {
        "tokenizer": transformers.AutoTokenizer.from_pretrained(CHECKPOINTS / "bert_classifier"),
        "model": classifier.eval(),
        "classifier": classifier,
        "encoder": transformers.BertModel.from_pretrained(CHECKPOINTS / "bert"),
    }
    assert run_examples(ROOT / "docs" / "PYTHON.md", names) >= 5
    assert (tmp_path / "intents.tw").is_file()
    assert names["logits"].shape == (2, classifier.config.num_labels)
