"""Each family of backbones is trained with LoRA and an exit, and exported so that tilewise takes it."""
import pytest
import torch
from conftest import VOCABULARY, task_toml, write_tokenizer
from test_tilewise import TILEWISE, tilewise
from transformers import AutoConfig, AutoModel

from tilewise_training.__main__ import main
from tilewise_training.model import LINEAR_LAYERS, WITH_POOLER

SIZES = {"vocab_size": len(VOCABULARY), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
         "max_position_embeddings": 64, "pad_token_id": 0}
NAMES = {"distilbert": {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads", "intermediate_size": "hidden_dim"}}
MORE = {"electra": {"embedding_size": 16}, "modernbert": {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}}


@pytest.mark.parametrize("family", LINEAR_LAYERS)
def test_family(write_recipe, data, tmp_path, family):
    torch.manual_seed(0)
    sizes = {NAMES.get(family, {}).get(key, key): value for key, value in SIZES.items()}
    config = AutoConfig.for_model(family, **sizes, **MORE.get(family, {}))
    options = {"add_pooling_layer": False} if family in WITH_POOLER else {}
    backbone = tmp_path / "backbone"
    AutoModel.from_config(config, **options).save_pretrained(backbone)
    write_tokenizer(backbone, VOCABULARY)
    path = write_recipe([task_toml("intent", "exits = [1]\nmax_changed = 0.5\n")])
    arguments = ["--data", str(data), "--backbone", str(backbone), "--rows", "24", "--out", str(tmp_path / "run"), "--quiet"]
    assert main(["train", str(path), *arguments]) == 0
    if TILEWISE.exists():
        tilewise("check", tmp_path / "run/model", "--backbone", backbone)
