#!/usr/bin/env python3
"""What rounding the residual stream to bf16 costs a model with norms before its layers: the reason why tilewise keeps it in fp32.

    tools/residual_stream.py [SEED]    prints the relative RMS error of ModernBERT-base's last hidden state, weights at random

Every operation rounds to bf16 where the bf16 kernels do; only the residual sums differ. Needs torch and transformers.
"""
import sys

import torch
from torch.nn.functional import gelu, layer_norm
from transformers import ModernBertConfig, ModernBertModel

TOKENS = 64


def bf16(x):
    return x.to(torch.bfloat16).float()


def rotate(x, base):
    half = x.shape[-1] // 2
    angles = torch.outer(torch.arange(TOKENS).float(), base ** (-torch.arange(half) / half))
    first, second = x[..., :half], x[..., half:]
    return torch.cat([first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()], -1)


def attention(qkv, heads, base):
    query, key, value = qkv.view(len(qkv), TOKENS, 3, heads, -1).permute(2, 0, 3, 1, 4)
    scores = bf16(rotate(query, base)) @ bf16(rotate(key, base)).transpose(-1, -2) / query.shape[-1] ** 0.5
    weights = bf16((scores - scores.max(-1, keepdim=True)[0]).exp())
    return bf16(weights @ value / weights.sum(-1, keepdim=True)).transpose(1, 2).flatten(2)


def last_hidden_state(model, ids, round_sum):
    """No sequence is longer than the window, so all layers are global but for their angles."""
    config = model.config
    weights = dict(model.named_parameters())

    def norm(x, name):
        return bf16(layer_norm(x, x.shape[-1:], weights[name], None, config.norm_eps))

    def linear(x, name):
        return bf16(x @ bf16(weights[name]).T)

    state = norm(bf16(weights["embeddings.tok_embeddings.weight"])[ids], "embeddings.norm.weight")
    for i in range(config.num_hidden_layers):
        layer = f"layers.{i}"
        normal = state if i == 0 else norm(state, f"{layer}.attn_norm.weight")
        base = 160000.0 if i % 3 == 0 else 10000.0
        context = attention(linear(normal, f"{layer}.attn.Wqkv.weight"), config.num_attention_heads, base)
        state = round_sum(state + linear(context, f"{layer}.attn.Wo.weight"))
        inner, gate = linear(norm(state, f"{layer}.mlp_norm.weight"), f"{layer}.mlp.Wi.weight").chunk(2, -1)
        state = round_sum(state + linear(bf16(gelu(inner) * gate), f"{layer}.mlp.Wo.weight"))
    return norm(state, "final_norm.weight")


@torch.no_grad()
def main():
    torch.manual_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    model = ModernBertModel(ModernBertConfig(vocab_size=1000, pad_token_id=0, attn_implementation="eager")).eval()
    ids = torch.randint(1, 1000, (2, TOKENS))
    expected = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    for name, round_sum in (("fp32", lambda x: x), ("bf16", bf16)):
        error = last_hidden_state(model, ids, round_sum) - expected
        print(f"residual stream in {name}: {100 * (error.square().mean() / expected.square().mean()).sqrt():.2f} % of the RMS value")


if __name__ == "__main__":
    main()
