"""The LTC projector (§4), in f64 straight from the equations.

No library has it. Its two attention mechanisms are therefore computed twice: deformable
attention with `grid_sample` and with a plain numpy loop, region attention with
`torch.nn.MultiheadAttention` and with einsum.
"""

import numpy as np
import torch
import torch.nn.functional as F

from common import (
    FAINT,
    Weights,
    attention,
    check_close,
    layer_norm,
    layer_norm_2d,
    linear,
    merge_heads,
    mlp,
    rounded_normal,
    save_model_fixture,
    split_heads,
)

CONFIG = {
    "kind": "ltc",
    "grid": 6,
    "d_vision": 24,
    "d_text": 40,
    "n_levels": 4,
    "stride": 2,
    "n_heads": 4,
    "n_points": 3,
    "n_learner_blocks": 2,
    "n_res_blocks": 2,
    "d_ff": 40,
    "se_dim": 8,
    "inject_heads": 3,
    "fusion": "residual",
    "d_hidden": 48,
}

LEARNER_EPS = 1e-5
INJECT_EPS = 1e-6


def init_deformable(weights, name, config, offsets=True):
    """`offsets=False` zeroes the offset layer: every point sits on its reference."""
    d, n_samples = config["d_vision"], config["n_heads"] * config["n_points"]
    if offsets:
        # About two cells: between cells, across several, and past the border.
        weights.linear(f"{name}.sampling_offsets", d, 2 * n_samples)
        weights.tensors[f"{name}.sampling_offsets.bias"] *= 8
    else:
        weights.put(f"{name}.sampling_offsets.weight", torch.zeros(2 * n_samples, d))
        weights.put(f"{name}.sampling_offsets.bias", torch.zeros(2 * n_samples))
    weights.linear(f"{name}.attention_weights", d, n_samples)
    weights.linear(f"{name}.value_proj", d, d)
    weights.linear(f"{name}.output_proj", d, d)


def init_learner(weights, config):
    """Adds `ltc.learner.*`."""
    d, n = config["d_vision"], config["grid"] ** 2
    weights.normal("ltc.learner.query", n, d, std=FAINT)
    weights.normal("ltc.learner.pos", n, d, std=0.5)
    for i in range(config["n_learner_blocks"]):
        block = f"ltc.learner.blocks.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            gain = FAINT if part == "out_proj" and i == 0 else 1.0
            weights.linear(f"{block}.self_attn.{part}", d, d, gain=gain)
        weights.norm(f"{block}.self_attn_layer_norm", d)
        init_deformable(weights, f"{block}.encoder_attn", config)
        weights.norm(f"{block}.encoder_attn_layer_norm", d)
        weights.linear(f"{block}.fc1", d, config["d_ff"])
        weights.linear(f"{block}.fc2", config["d_ff"], d)
        weights.norm(f"{block}.final_layer_norm", d)


def init_down(weights, config):
    """Adds `ltc.down.*`."""
    d, d_se = config["d_vision"], config["se_dim"]
    for half in ("pre", "post"):
        for k in range(config["n_res_blocks"]):
            block = f"ltc.down.{half}.{k}"
            weights.conv(f"{block}.conv1.conv", d, d, 1, bias=False, gain=FAINT)
            weights.norm(f"{block}.conv1.bn", d)
            weights.conv(f"{block}.conv2.conv", 1, d, 3, bias=False, gain=FAINT)
            weights.norm(f"{block}.conv2.bn", d)
            weights.conv(f"{block}.se.fc1", d, d_se, 1)
            weights.conv(f"{block}.se.fc2", d_se, d, 1)
            weights.conv(f"{block}.conv3.conv", d, d, 1, bias=False, gain=FAINT)
            weights.norm(f"{block}.conv3.bn", d)


def init_inject(weights, config):
    """Adds `ltc.inject.*`."""
    d = config["d_vision"]
    weights.linear("ltc.inject.q_proj", d, d, bias=False, gain=FAINT)
    weights.norm("ltc.inject.ln_q", d)
    init_packed_attention(weights, "ltc.inject.attn", d)
    for i in range(config["n_levels"]):
        for part in ("k", "v"):
            weights.linear(f"ltc.inject.levels.{i}.{part}_proj.0", d, d)
            weights.linear(f"ltc.inject.levels.{i}.{part}_proj.2", d, d, gain=FAINT)
            weights.norm(f"ltc.inject.levels.{i}.ln_{part}", d)


def init_packed_attention(weights, name, d):
    """The leaf names of `torch.nn.MultiheadAttention`."""
    weights.normal(f"{name}.in_proj_weight", 3 * d, d, std=d**-0.5)
    weights.normal(f"{name}.in_proj_bias", 3 * d, std=0.2)
    weights.linear(f"{name}.out_proj", d, d)


def init(weights, config):
    """Adds all of `ltc.*`."""
    init_learner(weights, config)
    init_down(weights, config)
    init_inject(weights, config)
    weights.linear("ltc.out.0", config["d_vision"], config["d_hidden"])
    weights.linear("ltc.out.2", config["d_hidden"], config["d_text"])


def cell_centres(n_side):
    """Eq. (19): centres of an n_side×n_side grid, row-major, `[n_side², 2]` as (x, y) in 0..1."""
    centre = (torch.arange(n_side, dtype=torch.float64) + 0.5) / n_side
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def deformable(w, name, config, query, position, value, reference):
    """Eq. (20): query, position `[b, n, d]`, value `[b, grid², d]`, reference `[n, 2]` → `[b, n, d]`."""
    g, n_heads, n_points = config["grid"], config["n_heads"], config["n_points"]
    batch, n, d = query.shape
    q = query + position
    offsets = linear(w, f"{name}.sampling_offsets", q).reshape(batch, n, n_heads, n_points, 2)
    share = linear(w, f"{name}.attention_weights", q).reshape(batch, n, n_heads, n_points).softmax(dim=-1)
    place = reference[None, :, None, None, :] + offsets / g  # (x, y) in 0..1
    values = linear(w, f"{name}.value_proj", value)  # [b, g², d]
    values = values.transpose(1, 2).reshape(batch * n_heads, d // n_heads, g, g)
    place = place.transpose(1, 2).reshape(batch * n_heads, n, n_points, 2)
    share = share.transpose(1, 2).reshape(batch * n_heads, 1, n, n_points)
    # [b * heads, d_head, n, points]
    sampled = F.grid_sample(values, 2 * place - 1, mode="bilinear", padding_mode="zeros", align_corners=False)
    mixed = (sampled * share).sum(dim=-1).reshape(batch, d, n).transpose(1, 2)
    return linear(w, f"{name}.output_proj", mixed)


def deformable_by_loops(w, name, config, query, position, value, reference):
    """The same, point by point in numpy."""
    g, n_heads, n_points = config["grid"], config["n_heads"], config["n_points"]
    w = {key: tensor.numpy() for key, tensor in w.items() if key.startswith(name)}
    query, position, value, reference = (t.numpy() for t in (query, position, value, reference))

    def project(part, x):
        return x @ w[f"{name}.{part}.weight"].T + w[f"{name}.{part}.bias"]

    batch, n, d = query.shape
    d_head = d // n_heads
    out = np.zeros((batch, n, d))
    for b in range(batch):
        values = project("value_proj", value[b]).reshape(g, g, n_heads, d_head)
        for r in range(n):
            q = query[b, r] + position[b, r]
            offsets = project("sampling_offsets", q).reshape(n_heads, n_points, 2)
            scores = project("attention_weights", q).reshape(n_heads, n_points)
            for h in range(n_heads):
                share = np.exp(scores[h]) / np.exp(scores[h]).sum()
                for k in range(n_points):
                    # In cells; the value of cell (i, j) sits at (j + ½, i + ½).
                    x, y = reference[r] * g + offsets[h, k] - 0.5
                    left, top = int(np.floor(x)), int(np.floor(y))
                    for i in (top, top + 1):
                        for j in (left, left + 1):
                            if 0 <= i < g and 0 <= j < g:
                                weight = share[k] * (1 - abs(x - j)) * (1 - abs(y - i))
                                out[b, r, h * d_head : (h + 1) * d_head] += weight * values[i, j, h]
    return torch.from_numpy(project("output_proj", out))


def learner(w, config, last_level):
    """§4.1: last_level `[b, grid², d]` → `[b, grid², d]`."""
    x = last_level + w["ltc.learner.pos"]
    q = w["ltc.learner.query"].expand(len(x), -1, -1)
    reference = cell_centres(config["grid"])
    for i in range(config["n_learner_blocks"]):
        block = f"ltc.learner.blocks.{i}"
        placed = q + x
        heads = [
            split_heads(linear(w, f"{block}.self_attn.{part}_proj", t), config["n_heads"])
            for part, t in (("q", placed), ("k", placed), ("v", q))
        ]
        y = linear(w, f"{block}.self_attn.out_proj", merge_heads(attention(*heads)))
        q = layer_norm(w, f"{block}.self_attn_layer_norm", q + y, LEARNER_EPS)
        y = deformable(w, f"{block}.encoder_attn", config, q, x, x, reference)
        q = layer_norm(w, f"{block}.encoder_attn_layer_norm", q + y, LEARNER_EPS)
        y = linear(w, f"{block}.fc2", F.relu(linear(w, f"{block}.fc1", q)))
        q = layer_norm(w, f"{block}.final_layer_norm", q + y, LEARNER_EPS)
    return q


def residual_block(w, name, x):
    """§4.2: x `[b, d, h, w]` → the same shape."""
    d = x.shape[1]
    y = torch.conv2d(x, w[f"{name}.conv1.conv.weight"])
    y = F.silu(layer_norm_2d(w, f"{name}.conv1.bn", y))
    y = torch.conv2d(y, w[f"{name}.conv2.conv.weight"], padding=1, groups=d)
    y = F.silu(layer_norm_2d(w, f"{name}.conv2.bn", y))
    scale = y.mean(dim=(2, 3), keepdim=True)
    scale = F.silu(torch.conv2d(scale, w[f"{name}.se.fc1.weight"], w[f"{name}.se.fc1.bias"]))
    y = y * torch.sigmoid(torch.conv2d(scale, w[f"{name}.se.fc2.weight"], w[f"{name}.se.fc2.bias"]))
    y = torch.conv2d(y, w[f"{name}.conv3.conv.weight"])
    return F.silu(x + layer_norm_2d(w, f"{name}.conv3.bn", y))


def downsample(w, config, x):
    """§4.2: x `[b, grid², d]` → Z₀ `[b, (grid / stride)², d]`."""
    g, s = config["grid"], config["stride"]
    batch, _, d = x.shape
    x = x.transpose(1, 2).reshape(batch, d, g, g)
    for k in range(config["n_res_blocks"]):
        x = residual_block(w, f"ltc.down.pre.{k}", x)
    x = F.adaptive_avg_pool2d(x, g // s)
    for k in range(config["n_res_blocks"]):
        x = residual_block(w, f"ltc.down.post.{k}", x)
    return x.flatten(2).transpose(1, 2)


def regions(x, g, s):
    """x `[b, g², d]` → the s² cells under each coarse cell, `[b, (g/s)², s², d]`."""
    batch, _, d = x.shape
    x = x.reshape(batch, g // s, s, g // s, s, d).transpose(2, 3)
    return x.reshape(batch, (g // s) ** 2, s * s, d)


def region_attention(w, name, n_heads, q, k, v):
    """One query per region: q `[b, r, d]`, k and v `[b, r, s², d]` → `[b, r, d]`."""
    batch, n_regions, d = q.shape
    module = torch.nn.MultiheadAttention(d, n_heads, batch_first=True, dtype=q.dtype)
    module.load_state_dict({key: w[f"{name}.{key}"] for key in module.state_dict()})
    # Every region is a batch entry of its own.
    out, _ = module(q.reshape(-1, 1, d), k.flatten(0, 1), v.flatten(0, 1), need_weights=False)
    out = out.reshape(batch, n_regions, d)

    (wq, wk, wv), (bq, bk, bv) = w[f"{name}.in_proj_weight"].chunk(3), w[f"{name}.in_proj_bias"].chunk(3)
    qh = F.linear(q, wq, bq).reshape(batch, n_regions, n_heads, -1)
    kh, vh = (F.linear(t, m, c).reshape(*t.shape[:3], n_heads, -1) for t, m, c in ((k, wk, bk), (v, wv, bv)))
    share = (torch.einsum("brhc,brshc->brhs", qh, kh) * qh.shape[-1] ** -0.5).softmax(dim=-1)
    mixed = torch.einsum("brhs,brshc->brhc", share, vh).reshape(batch, n_regions, d)
    check_close("region attention", out, linear(w, f"{name}.out_proj", mixed), 1e-12)
    return out


def inject(w, config, z0, levels):
    """§4.3: z0 `[b, r, d]`, levels `[n_levels, b, grid², d]` → O_l `[n_levels, b, r, d]`."""
    g, s = config["grid"], config["stride"]
    q = layer_norm(w, "ltc.inject.ln_q", linear(w, "ltc.inject.q_proj", z0), INJECT_EPS)
    outs = []
    for i, level in enumerate(levels):
        name = f"ltc.inject.levels.{i}"
        k = layer_norm(w, f"{name}.ln_k", mlp(w, f"{name}.k_proj", level, F.gelu), INJECT_EPS)
        v = layer_norm(w, f"{name}.ln_v", mlp(w, f"{name}.v_proj", level, F.gelu), INJECT_EPS)
        k, v = regions(k, g, s), regions(v, g, s)
        outs.append(region_attention(w, "ltc.inject.attn", config["inject_heads"], q, k, v))
    return torch.stack(outs)


def forward(w, config, levels):
    """levels `[n_levels, b, grid², d]` → every stage, ending in tokens `[b, r, d_text]`."""
    learned = learner(w, config, levels[-1])
    z0 = downsample(w, config, learned)
    z = z0 + inject(w, config, z0, levels).sum(dim=0)
    return {"learner": learned, "z0": z0, "z": z, "tokens": mlp(w, "ltc.out", z, F.gelu)}


def write_deformable(scope, config, reference, offsets):
    """`deformable*`: the first block's attention alone, with any reference points."""
    weights, name = Weights(scope), "ltc.learner.blocks.0.encoder_attn"
    init_deformable(weights, name, config, offsets)
    n, d = len(reference), config["d_vision"]
    query = rounded_normal(scope, "in.query", 2, n, d)
    position = rounded_normal(scope, "in.pos", 2, n, d)
    value = rounded_normal(scope, "in.value", 2, config["grid"] ** 2, d)
    reference = reference.float()
    inputs = [t.double() for t in (query, position, value, reference)]
    w = weights.double()
    y = deformable(w, name, config, *inputs)
    check_close(scope, y, deformable_by_loops(w, name, config, *inputs), 1e-12)
    if not offsets:
        # §15.3: centres of a grid of half the side lie between four cells.
        mean = regions(inputs[2], config["grid"], 2).mean(dim=2)
        check_close(scope, y, linear(w, f"{name}.output_proj", linear(w, f"{name}.value_proj", mean)), 1e-6)
    tensors = {"in.query": query, "in.pos": position, "in.value": value, "in.reference": reference}
    save_model_fixture(scope, {"projector": config}, {**tensors, "out.y": y, **weights.tensors})


def write_region(scope, config):
    """`region_attention_*`: §4.3 alone, per level and summed (eq. 22)."""
    weights = Weights(scope)
    init_inject(weights, config)
    g, s, d = config["grid"], config["stride"], config["d_vision"]
    z0 = rounded_normal(scope, "in.z0", 2, (g // s) ** 2, d)
    levels = rounded_normal(scope, "in.levels", config["n_levels"], 2, g * g, d)
    w = weights.double()
    outs = inject(w, config, z0.double(), levels.double())
    if s == 1:
        # §15.3: a region of one cell leaves nothing to weigh; the query drops out.
        name = "ltc.inject.levels.0"
        v = layer_norm(w, f"{name}.ln_v", mlp(w, f"{name}.v_proj", levels[0].double(), F.gelu), INJECT_EPS)
        wv, bv = w["ltc.inject.attn.in_proj_weight"].chunk(3)[2], w["ltc.inject.attn.in_proj_bias"].chunk(3)[2]
        check_close(scope, outs[0], linear(w, "ltc.inject.attn.out_proj", F.linear(v, wv, bv)), 1e-12)
    tensors = {"in.z0": z0, "in.levels": levels, "out.sum": outs.sum(dim=0), **weights.tensors}
    for i, out in enumerate(outs):
        tensors[f"out.level.{i}"] = out
    save_model_fixture(scope, {"projector": config}, tensors)


def write_whole():
    weights = Weights("ltc")
    init(weights, CONFIG)
    levels = rounded_normal("ltc", "in.levels", CONFIG["n_levels"], 2, CONFIG["grid"] ** 2, CONFIG["d_vision"])
    w = weights.double()
    stages = forward(w, CONFIG, levels.double())
    # §15.4: without the output projection only the residual path is left.
    muted = {key: t * 0 if key.startswith("ltc.inject.attn.out_proj") else t for key, t in w.items()}
    check_close("ltc muted", forward(muted, CONFIG, levels.double())["z"], stages["z0"], 0.0)
    tensors = {"in.levels": levels, **weights.tensors}
    for key, tensor in stages.items():
        tensors[f"out.{key}"] = tensor
    save_model_fixture("ltc", {"projector": CONFIG}, tensors)


def main():
    # More queries than any square, anywhere: near corners, on borders, between cells.
    anywhere = (rounded_normal("deformable", "in.reference", 19, 2).double() * 0.4 + 0.5).clamp(0, 1)
    write_deformable("deformable", CONFIG, anywhere, offsets=True)
    write_deformable("deformable_zero", CONFIG, cell_centres(CONFIG["grid"] // 2), offsets=False)
    write_region("region_attention_1", {**CONFIG, "n_levels": 1, "stride": 3})
    write_region("region_attention_4", CONFIG)
    write_region("region_attention_s1", {**CONFIG, "grid": 3, "n_levels": 1, "stride": 1})
    write_whole()
