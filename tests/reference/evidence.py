"""What a mask holds, for the words after it: an extension of ours (`vmad_model::evidence`).

Each photograph is cut out of both squares and computed by itself, on features that torch has
interpolated to the mask's cells; the Rust code does all at once with weights over the patches.
"""

import copy

import torch
import torch.nn.functional as F

import composed
from common import Weights, layer_norm, linear, rounded_normal, save_model_fixture

D_HIDDEN = 20
BOUND = 12.0


def config():
    config = copy.deepcopy(composed.CONFIG)
    config["evidence"] = {"d_hidden": D_HIDDEN, "place": True}
    return config


def init(weights, config):
    clip, sam = config["clip"], config["sam"]
    d_clip = len(clip["taps"]) * clip["d_model"]
    weights.norm("evidence.clip_norm", d_clip)
    weights.norm("evidence.sam_norm", sam["d_out"])
    weights.linear("evidence.fc1", d_clip + sam["d_out"] + 2 + 36, D_HIDDEN)
    weights.linear("evidence.fc2", D_HIDDEN, config["llm"]["d_model"])
    weights.linear("evidence.place", 36 + 1, config["llm"]["d_model"])
    weights.normal("evidence.verdict", 2, config["llm"]["d_model"])


def evidence(w, logits, clip, image):
    """logits `[h, w]`, clip `[d, rows, columns]`, image `[d_out, h / 4, w / 4]`, all of the photograph alone."""
    logits = logits.clamp(-BOUND, BOUND)
    shares = logits.sigmoid()
    weights = (shares / shares.max()).pow(2)
    normed = weights / weights.sum()

    def pooled(features):
        return (features * normed).sum(dim=(1, 2))

    size = logits.shape
    clip = F.interpolate(clip[None], size=size, mode="bilinear", align_corners=False)[0]
    image = F.interpolate(image[None], size=size, mode="nearest")[0]
    # A cell belongs to the place that holds its centre.
    down, across = (((torch.arange(n) + 0.5) / n * 6).long() for n in size)
    places = torch.zeros(6, 6, dtype=torch.float64)
    for i, row in enumerate(down):
        for j, column in enumerate(across):
            places[row, column] += normed[i, j]
    places = places.flatten() * 6
    area = (shares.mean() + 1e-4).log() / 4
    joined = torch.cat(
        [
            layer_norm(w, "evidence.clip_norm", pooled(clip), 1e-5),
            layer_norm(w, "evidence.sam_norm", pooled(image), 1e-5),
            torch.stack([area, logits.max() / 4]),
            places,
        ]
    )
    held = linear(w, "evidence.fc2", F.gelu(linear(w, "evidence.fc1", joined)))
    return held + linear(w, "evidence.place", torch.cat([places, area[None]]))


def main():
    sizes = config()
    weights = Weights("evidence")
    init(weights, sizes)
    clip, sam = sizes["clip"], sizes["sam"]
    grid, sam_grid = clip["image_size"] // clip["patch_size"], sam["image_size"] // sam["patch_size"]
    logits = rounded_normal("evidence", "logits", 2, 1, 4 * sam_grid, 4 * sam_grid) * 3 - 2
    taps = [rounded_normal("evidence", f"tap.{i}", 2, grid * grid, clip["d_model"]) for i in range(len(clip["taps"]))]
    image = rounded_normal("evidence", "image", 2, sam["d_out"], sam_grid, sam_grid)
    # The second photograph is half as high as wide: the middle rows of CLIP's square, the upper of SAM's.
    photos = torch.tensor([[64, 64], [64, 32]])
    w = weights.double()
    features = torch.cat(taps, dim=2).double().transpose(1, 2).reshape(2, -1, grid, grid)
    half = slice(grid // 4, 3 * grid // 4)
    out = torch.stack(
        [
            evidence(w, logits[0, 0].double(), features[0], image[0].double()),
            evidence(
                w,
                logits[1, 0, : 2 * sam_grid].double(),
                features[1][:, half],
                image[1][:, : sam_grid // 2].double(),
            ),
        ]
    )
    inputs = {f"in.tap.{i}": tap for i, tap in enumerate(taps)}
    save_model_fixture(
        "evidence",
        sizes,
        {
            **weights.tensors,
            **inputs,
            "in.logits": logits,
            "in.image": image,
            "in.photos": photos,
            "out.evidence": out,
            # The first photograph is anomalous, the second passes.
            "out.judged": out + w["evidence.verdict"][[1, 0]],
        },
    )
