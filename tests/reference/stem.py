"""Stems in place of a patch embedding: options of ours (`vmad_model::stem`).

Expected values come from torch's modules: convolutions whose kernel is twice their stride, batch
norm or a norm over channels, GELU. The second implementation adds up the four blocks that cover a
cell, in the order in which a package stores their weights.
"""

import torch
import torch.nn.functional as F
from torch import nn

from common import FAINT

IN_CHANNELS = 3


def strides(config):
    """4, then 2 until a patch is left: 16 pixels have the strides 4, 2, 2."""
    halvings = config["patch_size"].bit_length() - 1
    return [4] + [2] * (halvings - 2)


def stages(config):
    """Stride, input and output width of each stage; widths double up to d_model."""
    steps = strides(config)
    widths = [IN_CHANNELS] + [config["d_model"] >> (len(steps) - 1 - i) for i in range(len(steps))]
    return list(zip(steps, widths, widths[1:]))


def init(weights, name, config):
    """Adds `{name}.{i}.{merge,norm}`."""
    for i, (stride, d_in, d_out) in enumerate(stages(config)):
        merge, norm = f"{name}.{i}.merge", f"{name}.{i}.norm"
        weights.linear(merge, 4 * stride**2 * d_in, d_out, gain=FAINT)
        weights.norm(norm, d_out)
        if config["stem"] == "overlap_batch":
            # As large as what `merge` gives, so that the epsilon counts.
            weights.normal(f"{norm}.running_mean", d_out, std=0.3 * FAINT)
            variance = weights.draw(f"{norm}.running_var", d_out).mul(0.3).exp() * FAINT**2
            weights.put(f"{norm}.running_var", variance)


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of `[b, c, h, w]`."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def library_stem(w, name, config):
    """The stem of torch's modules, pixels `[b, 3, S, S]` → `[b, d_model, g, g]`."""
    modules = []
    for i, (stride, d_in, d_out) in enumerate(stages(config)):
        merge, norm = f"{name}.{i}.merge", f"{name}.{i}.norm"
        conv = nn.Conv2d(d_in, d_out, 2 * stride, stride=stride, padding=stride // 2)
        # Blocks (upper and lower, left and right), then rows, columns and channels of a block.
        kernel = w[f"{merge}.weight"].reshape(d_out, 2, 2, stride, stride, d_in)
        kernel = kernel.permute(0, 5, 1, 3, 2, 4).reshape(d_out, d_in, 2 * stride, 2 * stride)
        conv.load_state_dict({"weight": kernel, "bias": w[f"{merge}.bias"]})
        make = nn.BatchNorm2d if config["stem"] == "overlap_batch" else ChannelNorm
        module = make(d_out, eps=config["layer_norm_eps"])
        own = {part: w[f"{norm}.{part}"] for part in module.state_dict() if f"{norm}.{part}" in w}
        missing, _ = module.load_state_dict(own, strict=False)
        assert set(missing) <= {"num_batches_tracked"}, missing
        modules += [conv, module, nn.GELU()]
    return nn.Sequential(*modules).eval()


def embed(w, name, config, pixels, batch_statistics=False):
    """pixels `[b, 3, S, S]` → `[b, d_model, g, g]`."""
    x = pixels
    for i, (stride, _, _) in enumerate(stages(config)):
        x = overlapping_cells(x, stride)  # [b, g', g', 4 · stride² · d_in]
        x = F.linear(x, w[f"{name}.{i}.merge.weight"], w[f"{name}.{i}.merge.bias"])
        x = F.gelu(norm(w, f"{name}.{i}.norm", config, x, batch_statistics)).permute(0, 3, 1, 2)
    return x


def norm(w, name, config, x, batch_statistics):
    """A norm of the channels of `[b, h, w, d]`: over the batch, or over each place's channels."""
    dims = (0, 1, 2) if config["stem"] == "overlap_batch" else (-1,)
    if batch_statistics or config["stem"] != "overlap_batch":
        mean = x.mean(dim=dims, keepdim=True)
        variance = (x - mean).pow(2).mean(dim=dims, keepdim=True)
    else:
        mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
    x = (x - mean) / (variance + config["layer_norm_eps"]).sqrt()
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def overlapping_cells(x, stride):
    """x `[b, c, h, w]` → `[b, h / stride, w / stride, 4 · stride² · c]`."""
    b, c, h, w = x.shape
    padded = F.pad(x, [stride // 2] * 4)
    blocks = []
    for down in (0, stride):
        for right in (0, stride):
            block = padded[:, :, down : down + h, right : right + w]
            block = block.reshape(b, c, h // stride, stride, w // stride, stride)
            block = block.permute(0, 2, 4, 3, 5, 1)  # [b, rows, columns, stride, stride, c]
            blocks.append(block.reshape(b, h // stride, w // stride, -1))
    return torch.cat(blocks, dim=-1)
