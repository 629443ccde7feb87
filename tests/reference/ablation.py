"""The projectors that Table IV of the paper compares LTC with, and LTC with parts left out, in f64.

The first three are built from torch's own modules. The resampler's positions are computed a second
time, in numpy and cell by cell.
"""

import numpy as np
import torch
import torch.nn.functional as F

import ltc
from common import Weights, check_close, mlp, rounded_normal, save_model_fixture

GRID, D_VISION, D_TEXT = 6, 24, 40
RESAMPLER_EPS = 1e-6


def to_image(x):
    """x `[b, n², d]` → `[b, d, n, n]`."""
    batch, n_cells, d = x.shape
    side = int(n_cells**0.5)
    return x.transpose(1, 2).reshape(batch, d, side, side)


def to_tokens(x):
    """The way back."""
    return x.flatten(2).transpose(1, 2)


def module_of(module, weights, name):
    """A torch module in f64 with the tensors below `name`."""
    module = module.double()
    module.load_state_dict({key: weights[f"{name}.{key}"] for key in module.state_dict()})
    return module.eval()


def init_avg_pool(weights, config):
    weights.linear("projector.0", D_VISION, D_TEXT)
    weights.linear("projector.2", D_TEXT, D_TEXT)


def avg_pool(w, config, last):
    pooled = to_tokens(torch.nn.AdaptiveAvgPool2d(config["side"])(to_image(last)))
    layers = torch.nn.Sequential(
        torch.nn.Linear(D_VISION, D_TEXT), torch.nn.GELU(), torch.nn.Linear(D_TEXT, D_TEXT)
    )
    return module_of(layers, w, "projector")(pooled)


def init_ldpv2(weights, config):
    weights.linear("projector.mlp.mlp.0", D_VISION, D_TEXT)
    weights.linear("projector.mlp.mlp.2", D_TEXT, D_TEXT)
    weights.conv("projector.peg.peg.0", 1, D_TEXT, 3)


def ldpv2(w, config, last):
    layers = torch.nn.Sequential(
        torch.nn.Linear(D_VISION, D_TEXT), torch.nn.GELU(), torch.nn.Linear(D_TEXT, D_TEXT)
    )
    x = to_image(module_of(layers, w, "projector.mlp.mlp")(last))
    x = torch.nn.AdaptiveAvgPool2d(config["side"])(x)
    peg = torch.nn.Conv2d(D_TEXT, D_TEXT, 3, padding=1, groups=D_TEXT)
    return to_tokens(module_of(peg, w, "projector.peg.peg.0")(x) + x)


def init_resampler(weights, config):
    weights.normal("projector.query", config["side"] ** 2, D_TEXT)
    weights.linear("projector.kv_proj", D_VISION, D_TEXT, bias=False)
    for norm in ("ln_q", "ln_kv", "ln_post"):
        weights.norm(f"projector.{norm}", D_TEXT)
    ltc.init_packed_attention(weights, "projector.attn", D_TEXT)
    weights.linear("projector.proj", D_TEXT, D_TEXT, bias=False)


def waves(places, d):
    """MAE's `get_1d_sincos_pos_embed_from_grid`: places `[n]` → `[n, d]`."""
    omega = 1.0 / 10000 ** (torch.arange(d // 2, dtype=torch.float64) / (d / 2))
    angles = torch.outer(places, omega)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def positions(n, side, d):
    """`[n², d]`: the first half of the width is x, the second y; places in cells of the queries."""
    places = (torch.arange(n, dtype=torch.float64) + 0.5) * side / n - 0.5
    y, x = torch.meshgrid(places, places, indexing="ij")
    table = torch.cat([waves(x.flatten(), d // 2), waves(y.flatten(), d // 2)], dim=1)
    if n == side:
        # Qwen-VL's own table: whole numbers.
        cells = [
            np.concatenate([f(p / 10000 ** (np.arange(d // 4) / (d // 4))) for p in (c, r) for f in (np.sin, np.cos)])
            for r in range(n)
            for c in range(n)
        ]
        check_close("positions", table, torch.from_numpy(np.stack(cells)), 1e-12)
    return table


def resampler(w, config, last):
    side = config["side"]
    norm = lambda name, x: module_of(torch.nn.LayerNorm(D_TEXT, eps=RESAMPLER_EPS), w, f"projector.{name}")(x)
    values = norm("ln_kv", F.linear(last, w["projector.kv_proj.weight"]))
    keys = values + positions(GRID, side, D_TEXT)
    queries = norm("ln_q", w["projector.query"]) + positions(side, side, D_TEXT)
    attention = torch.nn.MultiheadAttention(D_TEXT, config["n_heads"], batch_first=True)
    attention = module_of(attention, w, "projector.attn")
    out, _ = attention(queries.expand(len(last), -1, -1), keys, values, need_weights=False)
    return F.linear(norm("ln_post", out), w["projector.proj.weight"])


def write_simple(scope, config, init, forward):
    config = {"grid": GRID, "d_vision": D_VISION, "d_text": D_TEXT, **config}
    weights = Weights(scope)
    init(weights, config)
    # Two taps, so that taking the wrong one shows.
    levels = rounded_normal(scope, "in.levels", 2, 2, GRID**2, D_VISION)
    tokens = forward(weights.double(), config, levels[-1].double())
    save_model_fixture(scope, {"projector": config}, {"in.levels": levels, "out.tokens": tokens, **weights.tensors})


def ltc_parts(w, config, levels):
    """§4 with what the configuration leaves of it."""
    x = levels[-1] if config["n_learner_blocks"] == 0 else ltc.learner(w, config, levels[-1])
    z = ltc.downsample(w, config, x)
    injected = config.get("inject_levels", range(config["n_levels"]))
    if len(injected) > 0:
        # `ltc.inject` numbers what it is given from 0.
        names = {f"levels.{place}.": f"levels.{i}." for i, place in enumerate(injected)}
        renamed = {}
        for key, tensor in w.items():
            old = next((name for name in names if name in key), None)
            renamed[key.replace(old, names[old]) if old else key] = tensor
        z = z + ltc.inject(renamed, config, z, torch.stack([levels[i] for i in injected])).sum(dim=0)
    return mlp(w, "ltc.out", z, F.gelu)


def write_ltc(scope, **changes):
    config = {**ltc.CONFIG, **changes}
    weights = Weights(scope)
    whole = Weights(scope)
    ltc.init(whole, config)
    injected = config.get("inject_levels", range(config["n_levels"]))
    for name, tensor in whole.tensors.items():
        if name.startswith("ltc.learner.") and config["n_learner_blocks"] == 0:
            continue
        if name.startswith("ltc.inject.") and len(injected) == 0:
            continue
        level = name.split(".")[3] if name.startswith("ltc.inject.levels.") else None
        if level is None or int(level) in injected:
            weights.put(name, tensor)
    levels = rounded_normal(scope, "in.levels", config["n_levels"], 2, config["grid"] ** 2, config["d_vision"])
    w = weights.double()
    tokens = ltc_parts(w, config, levels.double())
    if scope == "ltc_pooled":
        pooled = to_tokens(F.adaptive_avg_pool2d(to_image(levels[-1].double()), config["grid"] // config["stride"]))
        check_close(scope, tokens, mlp(w, "ltc.out", pooled, F.gelu), 1e-12)
    save_model_fixture(scope, {"projector": config}, {"in.levels": levels, "out.tokens": tokens, **weights.tensors})


def main():
    for suffix, side in (("", 3), ("_uneven", 4)):
        write_simple(f"avg_pool{suffix}", {"kind": "avg_pool", "side": side}, init_avg_pool, avg_pool)
        write_simple(f"ldpv2{suffix}", {"kind": "ldpv2", "side": side}, init_ldpv2, ldpv2)
        config = {"kind": "resampler", "side": side, "n_heads": 5}
        write_simple(f"resampler{suffix}", config, init_resampler, resampler)
    bare = {"n_learner_blocks": 0, "n_res_blocks": 0}
    write_ltc("ltc_pooled", **bare, inject_levels=[], d_hidden=ltc.CONFIG["d_text"])
    write_ltc("ltc_injection", **bare, inject_levels=[3])
    write_ltc("ltc_multi_level", **bare)
    write_ltc("ltc_subset", **bare, inject_levels=[0, 2], stride=3)
    write_ltc("ltc_no_learner", n_learner_blocks=0, n_res_blocks=1)
    write_ltc("ltc_no_blocks", n_learner_blocks=1, n_res_blocks=0, inject_levels=[1])
