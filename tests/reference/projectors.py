"""The simpler projectors and the [SEG] head, in f64 from the equations.

`linear` and `mlp2x_gelu` read the last tap; TokenPacker (§13 G, §4.4 `fusion=concat`) reads
the channel concatenation of all taps, first tap first, and takes its queries from the last.
"""

import torch
import torch.nn.functional as F

from common import FAINT, Weights, layer_norm, linear, mlp, rounded_normal, save_model_fixture
from ltc import INJECT_EPS, init_packed_attention, region_attention, regions

TOKEN_PACKER = {
    "kind": "tokenpacker",
    "grid": 6,
    "d_vision": 24,
    "d_text": 40,
    "n_levels": 4,
    "stride": 2,
    "inject_heads": 3,
    "fusion": "concat",
    "d_hidden": 40,
}


def init_token_packer(weights, config):
    """Adds `projector.*` under TokenPacker's leaf names."""
    d = config["d_vision"]
    weights.linear("projector.q_proj_1", d, d, bias=False, gain=FAINT)
    for part in ("k", "v"):
        weights.linear(f"projector.{part}_proj_1.0", config["n_levels"] * d, d)
        weights.linear(f"projector.{part}_proj_1.2", d, d, gain=FAINT)
    for part in ("q", "k", "v"):
        weights.norm(f"projector.ln_{part}_1", d)
    init_packed_attention(weights, "projector.clip_attn", d)
    weights.linear("projector.mlp.0", d, config["d_hidden"])
    weights.linear("projector.mlp.2", config["d_hidden"], config["d_text"])


def token_packer(w, config, levels):
    """levels `[n_levels, b, grid², d]` → query, attended `[b, r, d]` and tokens `[b, r, d_text]`."""
    g, s = config["grid"], config["stride"]
    _, batch, _, d = levels.shape
    last = levels[-1].transpose(1, 2).reshape(batch, d, g, g)
    # Half-pixel, not antialiased: a mean of the cell block for s = 2 only.
    coarse = F.interpolate(last, size=(g // s, g // s), mode="bilinear", align_corners=False)
    q = linear(w, "projector.q_proj_1", coarse.flatten(2).transpose(1, 2))
    q = layer_norm(w, "projector.ln_q_1", q, INJECT_EPS)
    every = torch.cat(list(levels), dim=-1)  # [b, grid², n_levels * d]
    k = layer_norm(w, "projector.ln_k_1", mlp(w, "projector.k_proj_1", every, F.gelu), INJECT_EPS)
    v = layer_norm(w, "projector.ln_v_1", mlp(w, "projector.v_proj_1", every, F.gelu), INJECT_EPS)
    k, v = regions(k, g, s), regions(v, g, s)
    attended = region_attention(w, "projector.clip_attn", config["inject_heads"], q, k, v)
    return {"query": q, "attended": attended, "tokens": mlp(w, "projector.mlp", attended, F.gelu)}


def write_token_packer(scope, config):
    weights = Weights(scope)
    init_token_packer(weights, config)
    levels = rounded_normal(scope, "in.levels", config["n_levels"], 2, config["grid"] ** 2, config["d_vision"])
    tensors = {"in.levels": levels, **weights.tensors}
    for key, tensor in token_packer(weights.double(), config, levels.double()).items():
        tensors[f"out.{key}"] = tensor
    save_model_fixture(scope, {"projector": config}, tensors)


def write_plain():
    config = {"kind": "linear", "grid": 6, "d_vision": 24, "d_text": 40}
    levels = rounded_normal("linear", "in.levels", 1, 2, config["grid"] ** 2, config["d_vision"])
    weights = Weights("linear")
    weights.linear("projector", config["d_vision"], config["d_text"])
    tokens = linear(weights.double(), "projector", levels[-1].double())
    tensors = {"in.levels": levels, "out.tokens": tokens, **weights.tensors}
    save_model_fixture("linear", {"projector": config}, tensors)

    config = {**config, "kind": "mlp2x_gelu", "d_hidden": config["d_text"]}
    levels = rounded_normal("mlp2x_gelu", "in.levels", 1, 2, config["grid"] ** 2, config["d_vision"])
    weights = Weights("mlp2x_gelu")
    weights.linear("projector.0", config["d_vision"], config["d_hidden"])
    weights.linear("projector.2", config["d_hidden"], config["d_text"])
    tokens = mlp(weights.double(), "projector", levels[-1].double(), F.gelu)
    tensors = {"in.levels": levels, "out.tokens": tokens, **weights.tensors}
    save_model_fixture("mlp2x_gelu", {"projector": config}, tensors)


def init_seg(weights, d_model, d_out):
    """Adds `seg.*`."""
    weights.linear("seg.0", d_model, d_model)
    weights.linear("seg.2", d_model, d_out)


def seg(w, hidden):
    """hidden `[.., d_model]` → prompt `[.., d_out]`."""
    return mlp(w, "seg", hidden, F.relu)


def write_seg():
    weights = Weights("seg")
    init_seg(weights, 48, 32)
    hidden = rounded_normal("seg", "in.hidden", 3, 48)
    tensors = {"in.hidden": hidden, "out.embedding": seg(weights.double(), hidden.double()), **weights.tensors}
    save_model_fixture("seg", {}, tensors)


def main():
    write_token_packer("token_packer", TOKEN_PACKER)
    write_token_packer("token_packer_s3", {**TOKEN_PACKER, "n_levels": 2, "stride": 3})
    write_plain()
    write_seg()
