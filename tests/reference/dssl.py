"""Defect-sensitive structure learning (§8, equations 8–18), in f64 from the equations.

`roi_align` comes from torchvision. Everything else is written down here a second time, with plain
loops where the Rust code multiplies matrices: means over the unpadded part run over pixels, the
distributions are exponentials divided by their sum. Gradients are autograd's.
"""

import numpy as np
import torch
from torchvision.ops import roi_align

from common import Weights, linear, mlp, rounded_normal, save_model_fixture

# The map is 9 × 9 cells of 16 px, of which the photograph covers 144 × 101 px.
CONFIG = {
    "d_sam": 10,
    "d_vision": 12,
    "d_text": 20,
    "d_bottleneck": 8,
    "n_boxes": 5,
    "n_visual": 4,
    "temperature": 0.07,
    "sam_size": 144,
    "sam_grid": 9,
    "clip_size": 70,
    "clip_grid": 5,
}
SAM_REGION = [0.0, 0.0, 144.0, 101.0]
# 70 · 101 / 144 px high, centred: no whole number, so the lattice below is finer than a pixel.
CLIP_REGION = [0.0, 10.5, 70.0, 59.5]
BOXES = [[0, 0, 96, 80], [17, 5, 75, 60], [100, 40, 144, 101], [3, 58, 60, 101], [50, 30, 91, 77]]
NORMAL = [1, 1, 0, 1, 1, 0, 1]
DESCRIPTIONS = [[3, 1, 4, 1, 5], [9, 2, 6]]
DESCRIPTION = [0, 0, 1, 1, 0, 0, 1]
SUPPORTS = ("positives", "all")


def unit(x):
    """ν: each row divided by its length."""
    return x / x.pow(2).sum(dim=-1, keepdim=True).sqrt()


def masked_mean(cells, side_px, region):
    """Mean of cells `[g, g, d]` over a region (x0, y0, x1, y1), by visiting half pixels."""
    grid = cells.shape[0]
    total, count = torch.zeros(cells.shape[-1], dtype=cells.dtype), 0
    centres = (np.arange(2 * side_px) + 0.5) / 2
    rows = np.floor(centres * grid / side_px).astype(int)
    for row in range(grid):
        n_y = int(((rows == row) & (centres > region[1]) & (centres < region[3])).sum())
        for col in range(grid):
            n_x = int(((rows == col) & (centres > region[0]) & (centres < region[2])).sum())
            total = total + cells[row, col] * (n_y * n_x)
            count += n_y * n_x
    return total / count


def distribution(boxes, keys, temperature):
    """(12), (17): `[k, m]`, not in logarithms."""
    rows = []
    for box in boxes:
        e = torch.stack([torch.exp((box * key).sum() / temperature) for key in keys])
        rows.append(e / e.sum())
    return torch.stack(rows)


def pbsd(p, q, normal, support):
    """(18)."""
    loss = 0.0
    for k in range(p.shape[0]):
        for i in range(p.shape[1]):
            if support == "all" or normal[i]:
                loss = loss - p[k, i].detach() * torch.log(q[k, i])
    return loss / p.shape[0]


def contrastive(anchor, keys, is_like, temperature):
    """Supervised contrast of one image: mean of −log p over the keys of its own label."""
    p = distribution(anchor[None], keys, temperature)[0]
    terms = [-torch.log(p[i]) for i in range(len(keys)) if is_like[i]]
    return sum(terms) / len(terms)


def init(weights, config, with_head):
    d_text, d_vision, d_sam = config["d_text"], config["d_vision"], config["d_sam"]
    weights.linear("dssl.meta_net.linear1", d_text, config["d_bottleneck"])
    weights.linear("dssl.meta_net.linear2", config["d_bottleneck"], d_text)
    weights.linear("dssl.vis_proj", 128, d_text, bias=False)
    weights.linear("dssl.clip_head.0", d_vision, d_vision)
    weights.linear("dssl.clip_head.2", d_vision, 128)
    if with_head:
        weights.linear("dssl.vis_head.0", d_sam, d_sam)
        weights.linear("dssl.vis_head.2", d_sam, 128)


def write(scope, with_head):
    c, m = CONFIG, len(NORMAL)
    weights = Weights(scope)
    init(weights, c, with_head)
    draw = lambda name, *shape: rounded_normal(scope, name, *shape)
    inputs = {
        "in.sam": draw("in.sam", 1, c["d_sam"], c["sam_grid"], c["sam_grid"]),
        "in.clip": draw("in.clip", 1, c["clip_grid"] ** 2, c["d_vision"]),
        "in.sam_region": torch.tensor(SAM_REGION),
        "in.clip_region": torch.tensor(CLIP_REGION),
        "in.boxes": torch.tensor(BOXES, dtype=torch.float32),
        "in.centre": 0.3 * draw("in.centre", c["d_sam"]),
        "in.memory.pooled": draw("in.memory.pooled", m, c["d_sam"]),
        "in.memory.clip": draw("in.memory.clip", m, c["d_vision"]),
        "in.memory.normal": torch.tensor(NORMAL),
        "in.memory.description": torch.tensor(DESCRIPTION),
        "in.embeddings": draw("in.embeddings", 11, c["d_text"]),
        "in.crops": draw("in.crops", c["n_boxes"], c["n_visual"], c["d_text"]),
    }
    for index, ids in enumerate(DESCRIPTIONS):
        inputs[f"in.ids.{index}"] = torch.tensor(ids)
    x = {key: t.double() if t.is_floating_point() else t for key, t in inputs.items()}
    w = {name: t.requires_grad_() for name, t in weights.double().items()}
    crops = x["in.crops"].requires_grad_()
    sam = x["in.sam"]

    def g(pooled):
        if with_head:
            return unit(mlp(w, "dssl.vis_head", pooled, torch.relu))
        return unit(pooled - x["in.centre"])

    # Visual branch, (8), (9), (12).
    scale = c["sam_grid"] / c["sam_size"]
    roi = roi_align(sam, [x["in.boxes"]], (2, 2), spatial_scale=scale, aligned=True)
    b, z = g(roi.mean(dim=(2, 3))), g(x["in.memory.pooled"])
    p = distribution(b, z, c["temperature"])

    # Text-visual branch, (13), (14), (17).
    b_text = unit(crops.mean(dim=1))
    b_text.retain_grad()
    keys = []
    for i in range(m):
        ids = x[f"in.ids.{DESCRIPTION[i]}"]
        t = sum(x["in.embeddings"][j] for j in ids) / len(ids)
        meta = linear(w, "dssl.meta_net.linear2", torch.relu(linear(w, "dssl.meta_net.linear1", t)))
        z_text = unit(mlp(w, "dssl.clip_head", x["in.memory.clip"][i], torch.relu))
        keys.append(unit(meta + linear(w, "dssl.vis_proj", z_text)))
    s = torch.stack(keys)
    q = distribution(b_text, s, c["temperature"])

    sam_cells = sam[0].permute(1, 2, 0)
    clip_cells = x["in.clip"][0].reshape(c["clip_grid"], c["clip_grid"], -1)
    outputs = {
        "roi": roi,
        "b": b,
        "z": z,
        "p": p,
        "b_text": b_text,
        "s": s,
        "p_text": q,
        "gap.sam": masked_mean(sam_cells, c["sam_size"], SAM_REGION),
        "gap.clip": masked_mean(clip_cells, c["clip_size"], CLIP_REGION),
    }
    losses = {f"loss.{support}": pbsd(p, q, NORMAL, support) for support in SUPPORTS}
    if with_head:
        # The picture counts as abnormal.
        anchor = g(outputs["gap.sam"][None])[0]
        is_like = [not normal for normal in NORMAL]
        losses["loss.contrastive"] = contrastive(anchor, z, is_like, c["temperature"])
    leaves = {"b_text": b_text, "crops": crops, **w}
    for name, loss in losses.items():
        for leaf in leaves.values():
            leaf.grad = None
        loss.backward(retain_graph=True)
        outputs[name] = loss[None]
        for leaf_name, leaf in leaves.items():
            if leaf.grad is not None:
                outputs[f"grad.{name[5:]}.{leaf_name}"] = leaf.grad.clone()
    tensors = {**inputs, **weights.tensors}
    for key, tensor in outputs.items():
        tensors[f"out.{key}"] = tensor
    save_model_fixture(scope, {"dssl": c}, tensors)


def write_roi_align():
    """Boxes on a map that is not square; out of it, thinner than a cell, larger than it."""
    boxes = torch.tensor(
        [
            [0.0, 0.0, 80.0, 112.0],
            [16.0, 16.0, 48.0, 48.0],
            [3.0, 7.0, 9.0, 10.0],
            [61.5, 90.25, 80.0, 112.0],
            [-30.0, -5.0, 40.0, 20.0],
            [60.0, 100.0, 130.0, 160.0],
            [33.0, 40.0, 33.0, 40.0],
        ]
    )
    features = rounded_normal("roi_align", "in.features", 1, 3, 7, 5)
    tensors = {"in.features": features, "in.boxes": boxes}
    for name, n_bins, ratio in (("adaptive", 2, -1), ("fixed", 2, 2), ("one", 1, 3), ("three", 3, -1)):
        tensors[f"out.{name}"] = roi_align(
            features.double(), [boxes.double()], n_bins, spatial_scale=1 / 16, sampling_ratio=ratio, aligned=True
        )
    save_model_fixture("roi_align", {"patch": 16}, tensors)


def main():
    with torch.enable_grad():
        write("dssl", with_head=False)
        write("dssl_head", with_head=True)
    write_roi_align()


if __name__ == "__main__":
    main()
