"""MobileSAM's image encoder: TinyViT whose last stage keeps its resolution, and SAM's neck.

Expected values come from timm's TinyVit, with that stage's stride changed; the functions here are
the second implementation. Batch norm has fixed statistics: timm applies them, the functions here
fold them, and the fixture holds the folded weights.
"""

import re

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from timm.models.tiny_vit import ConvNorm, TinyVit

from common import (
    FAINT,
    Weights,
    attention,
    check_close,
    layer_norm,
    layer_norm_2d,
    linear,
    merge_heads,
    rounded_normal,
    save_model_fixture,
)

P = "sam.image_encoder"
EPS = 1e-5  # of every norm but the neck's

SIZES = {
    "patch_size": 16,
    "d_out": 24,
    "decoder_heads": 3,
    "decoder_layers": 2,
    "decoder_ff": 40,
    "n_mask_tokens": 4,
    "cross_downsample": 2,
}
BATCH = {
    **SIZES,
    "image_size": 80,  # the stages have 20, 10, 5 and 5 cells along a side
    "encoder": {
        "kind": "tiny_vit",
        "embed_dims": [8, 12, 15, 20],
        "depths": [1, 2, 2, 1],
        "num_heads": [1, 3, 5, 4],
        "window_sizes": [1, 4, 3, 5],  # 10 and 5 leave a rest of 2; the last window is the whole map
        "mlp_ratio": 2,
        "mbconv_expand_ratio": 3,
        "local_conv_size": 3,
    },
}
LAYER = {
    **SIZES,
    "image_size": 48,  # 12, 6, 3 and 3 cells
    "encoder": {
        **BATCH["encoder"],
        "depths": [2, 1, 1, 1],
        "window_sizes": [1, 5, 7, 2],  # the second is larger than the map
        "mlp_ratio": 3,
        "mbconv_expand_ratio": 2,
        "local_conv_size": 5,
        "norm": "layer",
    },
}


def convolutions(sizes):
    """Every convolution with a norm: name, input channels of a group, output channels, side."""
    d, side = sizes["embed_dims"], sizes["local_conv_size"]
    yield "patch_embed.seq.0", 3, d[0] // 2, 3
    yield "patch_embed.seq.2", d[0] // 2, d[0], 3
    hidden = d[0] * sizes["mbconv_expand_ratio"]
    for i in range(sizes["depths"][0]):
        yield f"layers.0.blocks.{i}.conv1", d[0], hidden, 1
        yield f"layers.0.blocks.{i}.conv2", 1, hidden, 3
        yield f"layers.0.blocks.{i}.conv3", hidden, d[0], 1
    for stage in (1, 2, 3):
        merge = f"layers.{stage - 1}.downsample"
        yield f"{merge}.conv1", d[stage - 1], d[stage], 1
        yield f"{merge}.conv2", 1, d[stage], 3
        yield f"{merge}.conv3", d[stage], d[stage], 1
        for i in range(sizes["depths"][stage]):
            yield f"layers.{stage}.blocks.{i}.local_conv", 1, d[stage], side


# Convolutions that are drawn small, so that the epsilon of the norm behind them matters: their own,
# where the statistics are small too, or the next layer norm's.
FAINT_STATISTICS = ["patch_embed.seq.0"]
FAINT_OUTPUTS = ["layers.0.downsample.conv3", "layers.2.blocks.0.local_conv"]


def init_encoder(weights, config):
    """Adds `sam.image_encoder.*` under the public names, batch statistics and all."""
    sizes = config["encoder"]
    d, by_layer = sizes["embed_dims"], sizes.get("norm") == "layer"
    for name, c_in, c_out, side in convolutions(sizes):
        small = FAINT if name in FAINT_STATISTICS else 1.0
        weights.conv(f"{P}.{name}.c", c_in, c_out, side, bias=False, gain=small)
        small_out = FAINT if name in FAINT_OUTPUTS else 1.0
        weights.normal(f"{P}.{name}.bn.weight", c_out, std=0.2 * small_out, mean=small_out)
        weights.normal(f"{P}.{name}.bn.bias", c_out, std=0.2 * small_out)
        if not by_layer:
            weights.normal(f"{P}.{name}.bn.running_mean", c_out, std=0.3 * small)
            variance = weights.draw(f"{P}.{name}.bn.running_var", c_out).abs() + 0.2
            weights.put(f"{P}.{name}.bn.running_var", variance * small**2)
    for stage in (1, 2, 3):
        for i in range(sizes["depths"][stage]):
            block = f"{P}.layers.{stage}.blocks.{i}"
            n_offsets = sizes["window_sizes"][stage] ** 2
            weights.norm(f"{block}.attn.norm", d[stage])
            weights.linear(f"{block}.attn.qkv", d[stage], 3 * d[stage])
            weights.linear(f"{block}.attn.proj", d[stage], d[stage])
            weights.normal(f"{block}.attn.attention_biases", sizes["num_heads"][stage], n_offsets)
            weights.norm(f"{block}.mlp.norm", d[stage])
            weights.linear(f"{block}.mlp.fc1", d[stage], sizes["mlp_ratio"] * d[stage])
            weights.linear(f"{block}.mlp.fc2", sizes["mlp_ratio"] * d[stage], d[stage])
    d_out = config["d_out"]
    weights.conv(f"{P}.neck.0", d[3], d_out, 1, bias=False, gain=FAINT)
    weights.norm(f"{P}.neck.1", d_out)
    weights.conv(f"{P}.neck.2", d_out, d_out, 3, bias=False, gain=FAINT)
    weights.norm(f"{P}.neck.3", d_out)


def folded(w, sizes):
    """The weights with each batch norm folded into `c.weight` and `c.bias`."""
    w = dict(w)
    for name, *_ in convolutions(sizes):
        bn = f"{P}.{name}.bn"
        mean, variance = w.pop(f"{bn}.running_mean"), w.pop(f"{bn}.running_var")
        scale = w.pop(f"{bn}.weight") / torch.sqrt(variance + EPS)
        w[f"{P}.{name}.c.weight"] = w[f"{P}.{name}.c.weight"] * scale[:, None, None, None]
        w[f"{P}.{name}.c.bias"] = w.pop(f"{bn}.bias") - mean * scale
    return w


def convolve(w, name, x, stride=1):
    """A convolution, depthwise where its weight says so, and its norm."""
    weight, bias = w[f"{P}.{name}.c.weight"], w.get(f"{P}.{name}.c.bias")
    groups = x.shape[1] // weight.shape[1]
    x = F.conv2d(x, weight, bias, stride=stride, padding=weight.shape[-1] // 2, groups=groups)
    return x if bias is not None else layer_norm_2d(w, f"{P}.{name}.bn", x, EPS)


def window_attention(w, name, x, n_heads, window):
    """Attention within windows of x `[b, side, side, d]`, one after another."""
    b, side, _, d = x.shape
    place = torch.arange(window)
    apart = (place[:, None] - place[None, :]).abs()
    number = apart[:, None, :, None] * window + apart[None, :, None, :]  # [row, col, key row, key col]
    bias = w[f"{name}.attention_biases"][:, number.reshape(window**2, window**2)]
    padded = -(-side // window) * window
    full = F.pad(x, (0, 0, 0, padded - side, 0, padded - side))
    out = torch.zeros_like(full)
    for top in range(0, padded, window):
        for left in range(0, padded, window):
            here = (slice(None), slice(top, top + window), slice(left, left + window))
            y = layer_norm(w, f"{name}.norm", full[here].reshape(b, window**2, d), EPS)
            # Each head has its query, key and value beside each other.
            qkv = linear(w, f"{name}.qkv", y).reshape(b, window**2, n_heads, 3, d // n_heads)
            q, k, v = qkv.permute(3, 0, 2, 1, 4)
            y = linear(w, f"{name}.proj", merge_heads(attention(q, k, v, bias)))
            out[here] = y.reshape(b, window, window, d)
    return out[:, :side, :side]


def image_embedding(w, config, pixels):
    """pixels `[b, 3, S, S]` → `[b, d_out, S/16, S/16]`."""
    sizes = config["encoder"]
    x = F.gelu(convolve(w, "patch_embed.seq.0", pixels, stride=2))
    x = convolve(w, "patch_embed.seq.2", x, stride=2)
    for i in range(sizes["depths"][0]):
        block = f"layers.0.blocks.{i}"
        y = F.gelu(convolve(w, f"{block}.conv1", x))
        y = F.gelu(convolve(w, f"{block}.conv2", y))
        x = F.gelu(x + convolve(w, f"{block}.conv3", y))
    for stage in (1, 2, 3):
        merge = f"layers.{stage - 1}.downsample"
        x = F.gelu(convolve(w, f"{merge}.conv1", x))
        x = F.gelu(convolve(w, f"{merge}.conv2", x, stride=1 if stage == 3 else 2))
        x = convolve(w, f"{merge}.conv3", x)
        heads, window = sizes["num_heads"][stage], sizes["window_sizes"][stage]
        for i in range(sizes["depths"][stage]):
            block = f"layers.{stage}.blocks.{i}"
            y = window_attention(w, f"{P}.{block}.attn", x.permute(0, 2, 3, 1), heads, window)
            x = convolve(w, f"{block}.local_conv", x + y.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            y = layer_norm(w, f"{P}.{block}.mlp.norm", x, EPS)
            y = linear(w, f"{P}.{block}.mlp.fc2", F.gelu(linear(w, f"{P}.{block}.mlp.fc1", y)))
            x = (x + y).permute(0, 3, 1, 2)
    x = layer_norm_2d(w, f"{P}.neck.1", torch.conv2d(x, w[f"{P}.neck.0.weight"]))
    return layer_norm_2d(w, f"{P}.neck.3", torch.conv2d(x, w[f"{P}.neck.2.weight"], padding=1))


def library_name(name):
    """MobileSAM's name → timm's, whose stages begin with what MobileSAM's layers end with."""
    name = name.removeprefix(f"{P}.")
    name = re.sub(r"^patch_embed\.seq\.0\.", "patch_embed.conv1.", name)
    name = re.sub(r"^patch_embed\.seq\.2\.", "patch_embed.conv2.", name)
    name = re.sub(
        r"^layers\.(\d)\.downsample\.", lambda m: f"stages.{int(m[1]) + 1}.downsample.", name
    )
    return re.sub(r"\.c\.", ".conv.", re.sub(r"^layers\.", "stages.", name))


class Library(torch.nn.Module):
    """timm's encoder and SAM's neck of timm's layers."""

    def __init__(self, config):
        super().__init__()
        sizes, d_out = config["encoder"], config["d_out"]
        named = ("embed_dims", "depths", "num_heads", "window_sizes", "mlp_ratio")
        named += ("mbconv_expand_ratio", "local_conv_size")
        self.encoder = TinyVit(num_classes=0, global_pool="", **{key: sizes[key] for key in named})
        self.encoder.head = torch.nn.Identity()
        self.encoder.stages[3].downsample.conv2.conv.stride = (1, 1)
        if sizes.get("norm") == "layer":
            for module in self.encoder.modules():
                if isinstance(module, ConvNorm):
                    module.bn = LayerNorm2d(module.conv.out_channels, eps=EPS)
        self.neck = torch.nn.Sequential(
            torch.nn.Conv2d(sizes["embed_dims"][-1], d_out, 1, bias=False),
            LayerNorm2d(d_out, eps=1e-6),
            torch.nn.Conv2d(d_out, d_out, 3, padding=1, bias=False),
            LayerNorm2d(d_out, eps=1e-6),
        )

    def forward(self, pixels):
        return self.neck(self.encoder.forward_features(pixels))


def library_embedding(weights, config, pixels):
    model = Library(config).eval()
    state = {}
    for name, tensor in weights.tensors.items():
        name = library_name(name)
        state[name if name.startswith("neck.") else f"encoder.{name}"] = tensor
    missing, unexpected = model.load_state_dict(state, strict=False)
    buffers = ("attention_bias_idxs", "num_batches_tracked")
    missing = [name for name in missing if not name.endswith(buffers)]
    assert not missing and not unexpected, (missing, unexpected)
    return model(pixels)


def public_checkpoint(weights, config):
    """The same under the names of `mobile_sam.pt`, with all that such a file holds besides."""
    sizes = config["encoder"]
    public = {name.removeprefix("sam."): tensor for name, tensor in weights.tensors.items()}
    for name, *_ in convolutions(sizes):
        public[f"image_encoder.{name}.bn.num_batches_tracked"] = torch.tensor(7)
    d = sizes["embed_dims"][-1]
    for name, shape in {"norm_head": (d,), "head": (5, d)}.items():
        public[f"image_encoder.{name}.weight"] = torch.ones(shape)
        public[f"image_encoder.{name}.bias"] = torch.zeros(shape[0])
    return public


def write(name, config):
    weights = Weights(name)
    init_encoder(weights, config)
    side = config["image_size"]
    pixels = rounded_normal(name, "in.pixels", 2, 3, side, side)
    expected = library_embedding(weights, config, pixels)
    w = weights.double()
    if config["encoder"].get("norm") != "layer":
        w = folded(w, config["encoder"])
        save_model_fixture(f"{name}_public", {"sam": config}, public_checkpoint(weights, config))
    check_close(name, expected, image_embedding(w, config, pixels.double()))
    tensors = {"in.pixels": pixels, "out.image_embedding": expected, **w}
    save_model_fixture(name, {"sam": config}, tensors)


def main():
    write("tiny_vit", BATCH)
    write("tiny_vit_layer", LAYER)
