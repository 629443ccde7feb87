"""LLaMA (§6): multi-head and grouped-query, from transformers, checked by a second one."""

import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from common import (
    FAINT,
    Weights,
    attention,
    check_close,
    linear,
    merge_heads,
    save_model_fixture,
    split_heads,
)

MULTI_HEAD = {
    "vocab_size": 96,
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 4,
    "d_ff": 56,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "max_positions": 64,
    "tie_embeddings": False,
}
GROUPED_QUERY = {
    "vocab_size": 72,
    "d_model": 48,
    "n_layers": 2,
    "n_heads": 6,
    "n_kv_heads": 2,
    "d_ff": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
    "max_positions": 64,
    "tie_embeddings": True,
}


def init(weights, config):
    """Adds `llm.*`; a tied head has no tensor of its own."""
    d, d_ff, vocab = config["d_model"], config["d_ff"], config["vocab_size"]
    d_kv = d // config["n_heads"] * config["n_kv_heads"]
    weights.normal("llm.embed_tokens.weight", vocab, d, std=FAINT)
    for i in range(config["n_layers"]):
        layer = f"llm.layers.{i}"
        for part, d_out in (("q_proj", d), ("k_proj", d_kv), ("v_proj", d_kv), ("o_proj", d)):
            weights.linear(f"{layer}.self_attn.{part}", d, d_out, bias=False)
        weights.linear(f"{layer}.mlp.gate_proj", d, d_ff, bias=False)
        weights.linear(f"{layer}.mlp.up_proj", d, d_ff, bias=False)
        weights.linear(f"{layer}.mlp.down_proj", d_ff, d, bias=False)
        weights.norm(f"{layer}.input_layernorm", d, bias=False)
        weights.norm(f"{layer}.post_attention_layernorm", d, bias=False)
    weights.norm("llm.norm", d, bias=False)
    if not config["tie_embeddings"]:
        weights.linear("llm.lm_head", d, vocab, bias=False)


def rms_norm(w, name, x, eps):
    return x * (x.pow(2).mean(dim=-1, keepdim=True) + eps).rsqrt() * w[f"{name}.weight"]


def rotate(x, theta):
    """Rotary positions 0.. on x `[b, heads, n, d_head]`: element i turns with i + d_head/2."""
    n, d_head = x.shape[-2:]
    frequencies = theta ** (-torch.arange(0, d_head, 2, dtype=x.dtype) / d_head)  # [d_head/2]
    angles = torch.arange(n, dtype=x.dtype)[:, None] * frequencies  # [n, d_head/2]
    first, second = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def hidden(w, config, embeddings):
    """embeddings `[b, n, d]` → states `[b, n, d]` after the final norm."""
    n_heads, n_kv_heads, eps = config["n_heads"], config["n_kv_heads"], config["rms_norm_eps"]
    x = embeddings
    n = x.shape[1]
    causal = torch.full((n, n), float("-inf"), dtype=x.dtype).triu(1)
    for i in range(config["n_layers"]):
        layer = f"llm.layers.{i}"
        y = rms_norm(w, f"{layer}.input_layernorm", x, eps)
        q = split_heads(linear(w, f"{layer}.self_attn.q_proj", y), n_heads)
        k = split_heads(linear(w, f"{layer}.self_attn.k_proj", y), n_kv_heads)
        v = split_heads(linear(w, f"{layer}.self_attn.v_proj", y), n_kv_heads)
        q, k = rotate(q, config["rope_theta"]), rotate(k, config["rope_theta"])
        # Query head h reads key-value head h // group.
        k, v = (t.repeat_interleave(n_heads // n_kv_heads, dim=1) for t in (k, v))
        x = x + linear(w, f"{layer}.self_attn.o_proj", merge_heads(attention(q, k, v, causal)))
        y = rms_norm(w, f"{layer}.post_attention_layernorm", x, eps)
        y = F.silu(linear(w, f"{layer}.mlp.gate_proj", y)) * linear(w, f"{layer}.mlp.up_proj", y)
        x = x + linear(w, f"{layer}.mlp.down_proj", y)
    return rms_norm(w, "llm.norm", x, eps)


def logits(w, config, states):
    head = "llm.embed_tokens" if config["tie_embeddings"] else "llm.lm_head"
    return F.linear(states, w[f"{head}.weight"])


def library_model(weights, config):
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config["vocab_size"],
            hidden_size=config["d_model"],
            intermediate_size=config["d_ff"],
            num_hidden_layers=config["n_layers"],
            num_attention_heads=config["n_heads"],
            num_key_value_heads=config["n_kv_heads"],
            max_position_embeddings=config["max_positions"],
            rms_norm_eps=config["rms_norm_eps"],
            rope_parameters={"rope_type": "default", "rope_theta": config["rope_theta"]},
            tie_word_embeddings=config["tie_embeddings"],
            pad_token_id=None,
            bos_token_id=1,
            eos_token_id=2,
        )
    ).eval()
    state = {}
    for name, tensor in weights.tensors.items():
        name = name.removeprefix("llm.")
        state[name if name.startswith("lm_head") else f"model.{name}"] = tensor
    if config["tie_embeddings"]:
        state["lm_head.weight"] = weights.tensors["llm.embed_tokens.weight"]
    model.load_state_dict(state)
    return model


def token_ids(scope, n_rows, n_ids, vocab):
    """Ids over the whole vocabulary, from the same seeded source as the weights."""
    return (Weights(scope).draw("in.ids", n_rows, n_ids).abs() * 1e6).long() % vocab


def write(name, config):
    weights = Weights(name)
    init(weights, config)
    ids = token_ids(name, 2, 13, config["vocab_size"])
    model = library_model(weights, config)
    states = model.model(input_ids=ids).last_hidden_state
    expected = model(input_ids=ids).logits
    w = weights.double()
    own = hidden(w, config, w["llm.embed_tokens.weight"][ids])
    check_close(f"{name} hidden", states, own)
    check_close(f"{name} logits", expected, logits(w, config, own))
    tensors = {"in.ids": ids, "out.hidden": states, "out.logits": expected, **weights.tensors}
    save_model_fixture(name, {"llm": config}, tensors)


def main():
    write("llama_mha", MULTI_HEAD)
    write("llama_gqa", GROUPED_QUERY)
