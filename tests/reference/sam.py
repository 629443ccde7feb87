"""SAM's image encoder, prompt encoder and mask decoder (§6) under the original names.

Expected values come from transformers' SamModel; the functions here are the second
implementation, and the renames of §13 F are inverted to load it.
"""

import math
import re

import torch
import torch.nn.functional as F
from transformers import SamConfig, SamModel

import stem
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
    split_heads,
)

ENCODER = {
    "image_size": 32,
    "patch_size": 4,
    "d_model": 32,
    "n_layers": 3,
    "n_heads": 4,
    "d_ff": 48,
    "window": 5,  # does not divide the grid of 8: windows are padded
    "global_blocks": [1],
    "d_out": 24,
    "layer_norm_eps": 1e-6,
    "decoder_heads": 3,
    "decoder_layers": 2,
    "decoder_ff": 40,
    "n_mask_tokens": 4,
    "cross_downsample": 2,
}
DECODER = {**ENCODER, "image_size": 24}
# Our stems on SAM's encoder, by the name of their fixture.
STEMS = {
    "sam_encoder_stem": {**ENCODER, "image_size": 80, "patch_size": 16, "stem": "overlap_batch"},
    "sam_encoder_overlap": {**ENCODER, "image_size": 24, "stem": "overlap"},
}
STEM = "sam.image_encoder.patch_embed.stem"

DECODER_NORM_EPS = 1e-5  # torch's default in the original code, not transformers' 1e-6


def grid_size(config):
    return config["image_size"] // config["patch_size"]


def init_encoder(weights, config):
    """Adds `sam.image_encoder.*`."""
    p, d, d_ff, d_out = "sam.image_encoder", config["d_model"], config["d_ff"], config["d_out"]
    g, d_head = grid_size(config), config["d_model"] // config["n_heads"]
    weights.normal(f"{p}.pos_embed", 1, g, g, d, std=FAINT)
    if "stem" in config:
        stem.init(weights, STEM, config)
        weights.conv(f"{p}.patch_embed.proj", d, d, 1, gain=FAINT)
    else:
        weights.conv(f"{p}.patch_embed.proj", 3, d, config["patch_size"], gain=FAINT)
    for i in range(config["n_layers"]):
        block = f"{p}.blocks.{i}"
        side = g if i in config["global_blocks"] else config["window"]
        weights.norm(f"{block}.norm1", d)
        weights.linear(f"{block}.attn.qkv", d, 3 * d)
        weights.linear(f"{block}.attn.proj", d, d)
        weights.normal(f"{block}.attn.rel_pos_h", 2 * side - 1, d_head, std=0.3)
        weights.normal(f"{block}.attn.rel_pos_w", 2 * side - 1, d_head, std=0.3)
        weights.norm(f"{block}.norm2", d)
        weights.linear(f"{block}.mlp.lin1", d, d_ff)
        weights.linear(f"{block}.mlp.lin2", d_ff, d)
    weights.conv(f"{p}.neck.0", d, d_out, 1, bias=False, gain=FAINT)
    weights.norm(f"{p}.neck.1", d_out)
    weights.conv(f"{p}.neck.2", d_out, d_out, 3, bias=False, gain=FAINT)
    weights.norm(f"{p}.neck.3", d_out)


def init_decoder(weights, config):
    """Adds `sam.prompt_encoder.*` and `sam.mask_decoder.*`, without points and IoU head."""
    d, d_ff = config["d_out"], config["decoder_ff"]
    p = "sam.prompt_encoder"
    weights.normal(f"{p}.pe_layer.positional_encoding_gaussian_matrix", 2, d // 2)
    weights.normal(f"{p}.no_mask_embed.weight", 1, d)
    weights.conv(f"{p}.mask_downscaling.0", 1, 4, 2, gain=FAINT)
    weights.norm(f"{p}.mask_downscaling.1", 4)
    weights.conv(f"{p}.mask_downscaling.3", 4, 16, 2, gain=FAINT)
    weights.norm(f"{p}.mask_downscaling.4", 16)
    weights.conv(f"{p}.mask_downscaling.6", 16, d, 1)

    p = "sam.mask_decoder"
    weights.normal(f"{p}.iou_token.weight", 1, d)
    weights.normal(f"{p}.mask_tokens.weight", config["n_mask_tokens"], d)

    def init_attention(name, d_inner, gain=1.0):
        for part in ("q_proj", "k_proj", "v_proj"):
            weights.linear(f"{name}.{part}", d, d_inner)
        weights.linear(f"{name}.out_proj", d_inner, d, gain=gain)

    d_cross = d // config["cross_downsample"]
    for i in range(config["decoder_layers"]):
        layer = f"{p}.transformer.layers.{i}"
        # The first layer's output replaces the tokens, so it meets its norm alone.
        init_attention(f"{layer}.self_attn", d, gain=FAINT if i == 0 else 1.0)
        init_attention(f"{layer}.cross_attn_token_to_image", d_cross)
        init_attention(f"{layer}.cross_attn_image_to_token", d_cross)
        for j in range(1, 5):
            weights.norm(f"{layer}.norm{j}", d)
        weights.linear(f"{layer}.mlp.lin1", d, d_ff)
        weights.linear(f"{layer}.mlp.lin2", d_ff, d)
    init_attention(f"{p}.transformer.final_attn_token_to_image", d_cross)
    weights.norm(f"{p}.transformer.norm_final_attn", d)
    weights.conv_transpose(f"{p}.output_upscaling.0", d, d // 4, 2)
    weights.norm(f"{p}.output_upscaling.1", d // 4)
    weights.conv_transpose(f"{p}.output_upscaling.3", d // 4, d // 8, 2)
    for i in range(config["n_mask_tokens"]):
        head = f"{p}.output_hypernetworks_mlps.{i}.layers"
        weights.linear(f"{head}.0", d, d)
        weights.linear(f"{head}.1", d, d)
        weights.linear(f"{head}.2", d, d // 8)


def relative_bias(q, table_h, table_w, side):
    """q `[b, heads, side², d_head]`, unscaled → logit bias `[b, heads, side², side²]`."""
    batch, n_heads, n, d_head = q.shape
    place = torch.arange(side)
    difference = place[:, None] - place[None, :] + side - 1  # [query, key]
    q = q.reshape(batch, n_heads, side, side, d_head)
    by_row = torch.einsum("bnijc,ikc->bnijk", q, table_h[difference])
    by_column = torch.einsum("bnijc,jlc->bnijl", q, table_w[difference])
    return (by_row[..., :, None] + by_column[..., None, :]).reshape(batch, n_heads, n, n)


def square_attention(w, name, x, n_heads):
    """Attention within each square of x `[b, side, side, d]`."""
    batch, side, _, d = x.shape
    q, k, v = linear(w, f"{name}.qkv", x.reshape(batch, side * side, d)).chunk(3, dim=-1)
    q, k, v = (split_heads(t, n_heads) for t in (q, k, v))
    bias = relative_bias(q, w[f"{name}.rel_pos_h"], w[f"{name}.rel_pos_w"], side)
    y = linear(w, f"{name}.proj", merge_heads(attention(q, k, v, bias)))
    return y.reshape(batch, side, side, d)


def windowed_attention(w, name, x, n_heads, window):
    """The same in windows cut out one by one; the padding is zero and takes part."""
    g = x.shape[1]
    padded = math.ceil(g / window) * window
    full = F.pad(x, (0, 0, 0, padded - g, 0, padded - g))
    out = torch.zeros_like(full)
    for top in range(0, padded, window):
        for left in range(0, padded, window):
            here = (slice(None), slice(top, top + window), slice(left, left + window))
            out[here] = square_attention(w, name, full[here], n_heads)
    return out[:, :g, :g]


def image_embedding(w, config, pixels):
    """pixels `[b, 3, S, S]` → `[b, d_out, g, g]`."""
    if "stem" in config:
        pixels, stride = stem.embed(w, STEM, config, pixels), 1
    else:
        stride = config["patch_size"]
    return encode(w, config, pixels, stride)


def encode(w, config, x, stride):
    """x `[b, c, S, S]`, the patch embedding's input → `[b, d_out, g, g]`."""
    p, eps, n_heads = "sam.image_encoder", config["layer_norm_eps"], config["n_heads"]
    kernel, bias = w[f"{p}.patch_embed.proj.weight"], w[f"{p}.patch_embed.proj.bias"]
    x = torch.conv2d(x, kernel, bias, stride=stride).permute(0, 2, 3, 1)
    x = x + w[f"{p}.pos_embed"]  # [b, g, g, d]
    for i in range(config["n_layers"]):
        block = f"{p}.blocks.{i}"
        y = layer_norm(w, f"{block}.norm1", x, eps)
        if i in config["global_blocks"]:
            y = square_attention(w, f"{block}.attn", y, n_heads)
        else:
            y = windowed_attention(w, f"{block}.attn", y, n_heads, config["window"])
        x = x + y
        y = F.gelu(linear(w, f"{block}.mlp.lin1", layer_norm(w, f"{block}.norm2", x, eps)))
        x = x + linear(w, f"{block}.mlp.lin2", y)
    x = torch.conv2d(x.permute(0, 3, 1, 2), w[f"{p}.neck.0.weight"])
    x = layer_norm_2d(w, f"{p}.neck.1", x)
    x = torch.conv2d(x, w[f"{p}.neck.2.weight"], padding=1)
    return layer_norm_2d(w, f"{p}.neck.3", x)


def dense_position(w, g):
    """The position encoding of the g×g cell centres, `[1, d, g, g]`."""
    matrix = w["sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]  # [2, d/2]
    centre = (torch.arange(g, dtype=matrix.dtype) + 0.5) / g
    y, x = torch.meshgrid(centre, centre, indexing="ij")
    angle = 2 * math.pi * ((2 * torch.stack([x, y], dim=-1) - 1) @ matrix)  # [g, g, d/2]
    return torch.cat([angle.sin(), angle.cos()], dim=-1).permute(2, 0, 1)[None]


def dense_without_mask(w, g):
    """`[1, d, g, g]`."""
    return w["sam.prompt_encoder.no_mask_embed.weight"].reshape(1, -1, 1, 1).expand(1, -1, g, g)


def dense_from_mask(w, mask):
    """mask `[b, 1, 4g, 4g]` → `[b, d, g, g]`."""
    p = "sam.prompt_encoder.mask_downscaling"
    x = torch.conv2d(mask, w[f"{p}.0.weight"], w[f"{p}.0.bias"], stride=2)
    x = F.gelu(layer_norm_2d(w, f"{p}.1", x))
    x = torch.conv2d(x, w[f"{p}.3.weight"], w[f"{p}.3.bias"], stride=2)
    x = F.gelu(layer_norm_2d(w, f"{p}.4", x))
    return torch.conv2d(x, w[f"{p}.6.weight"], w[f"{p}.6.bias"])


def mask_logits(w, config, embedding, sparse, trace=None):
    """embedding `[1, d, g, g]`, sparse `[n, 1, d]` → all masks `[n, n_mask_tokens, 4g, 4g]`.

    `trace`, a dict, receives the first layer's self-attention and the norm after it.
    """
    p, n_heads, n = "sam.mask_decoder", config["decoder_heads"], len(sparse)
    g, d = embedding.shape[-1], config["d_out"]
    image = (embedding + dense_without_mask(w, g)).flatten(2).transpose(1, 2).expand(n, -1, -1)
    image_pe = dense_position(w, g).flatten(2).transpose(1, 2)  # [1, g², d]
    own = torch.cat([w[f"{p}.iou_token.weight"], w[f"{p}.mask_tokens.weight"]])
    token_pe = torch.cat([own.expand(n, -1, -1), sparse], dim=1)  # [n, 1 + masks + 1, d]
    tokens = token_pe

    def attend(name, q, k, v):
        name = f"{p}.transformer.{name}"
        q = split_heads(linear(w, f"{name}.q_proj", q), n_heads)
        k = split_heads(linear(w, f"{name}.k_proj", k), n_heads)
        v = split_heads(linear(w, f"{name}.v_proj", v), n_heads)
        return linear(w, f"{name}.out_proj", merge_heads(attention(q, k, v)))

    def norm(name, x):
        return layer_norm(w, f"{p}.transformer.{name}", x, DECODER_NORM_EPS)

    for i in range(config["decoder_layers"]):
        layer = f"layers.{i}"
        if i == 0:
            tokens = attend(f"{layer}.self_attn", tokens, tokens, tokens)
            if trace is not None:
                trace["layer0.self_attn"] = tokens
        else:
            q = tokens + token_pe
            tokens = tokens + attend(f"{layer}.self_attn", q, q, tokens)
        tokens = norm(f"{layer}.norm1", tokens)
        if i == 0 and trace is not None:
            trace["layer0.norm1"] = tokens
        q, k = tokens + token_pe, image + image_pe
        tokens = tokens + attend(f"{layer}.cross_attn_token_to_image", q, k, image)
        tokens = norm(f"{layer}.norm2", tokens)
        y = F.relu(linear(w, f"{p}.transformer.{layer}.mlp.lin1", tokens))
        tokens = norm(f"{layer}.norm3", tokens + linear(w, f"{p}.transformer.{layer}.mlp.lin2", y))
        q, k = tokens + token_pe, image + image_pe
        image = norm(f"{layer}.norm4", image + attend(f"{layer}.cross_attn_image_to_token", k, q, tokens))
    q, k = tokens + token_pe, image + image_pe
    tokens = norm("norm_final_attn", tokens + attend("final_attn_token_to_image", q, k, image))

    x = image.transpose(1, 2).reshape(n, d, g, g)
    up = f"{p}.output_upscaling"
    x = F.conv_transpose2d(x, w[f"{up}.0.weight"], w[f"{up}.0.bias"], stride=2)
    x = F.gelu(layer_norm_2d(w, f"{up}.1", x))
    x = F.gelu(F.conv_transpose2d(x, w[f"{up}.3.weight"], w[f"{up}.3.bias"], stride=2))
    masks = []
    for i in range(config["n_mask_tokens"]):
        head = f"{p}.output_hypernetworks_mlps.{i}.layers"
        y = F.relu(linear(w, f"{head}.0", tokens[:, 1 + i]))
        y = linear(w, f"{head}.2", F.relu(linear(w, f"{head}.1", y)))  # [n, d/8]
        masks.append(torch.einsum("nc,nchw->nhw", y, x))
    return torch.stack(masks, dim=1)


# Original name → transformers name, in this order (§13 F read backwards).
RENAMES = [
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$", "shared_image_embedding.positional_embedding"),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
    (r"\.norm(_final_attn|\d)\.", r".layer_norm\1."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"(output_hypernetworks_mlps\.\d+)\.layers\.0\.", r"\1.proj_in."),
    (r"(output_hypernetworks_mlps\.\d+)\.layers\.1\.", r"\1.layers.0."),
    (r"(output_hypernetworks_mlps\.\d+)\.layers\.2\.", r"\1.proj_out."),
]


def library_name(name):
    name = name.removeprefix("sam.")
    for pattern, replacement in RENAMES:
        name = re.sub(pattern, replacement, name)
    return name


def library_model(weights, config):
    d_out = config["d_out"]
    model = SamModel(
        SamConfig(
            vision_config={
                "hidden_size": config["d_model"],
                "output_channels": d_out,
                "num_hidden_layers": config["n_layers"],
                "num_attention_heads": config["n_heads"],
                "image_size": config["image_size"],
                "patch_size": config["patch_size"],
                "layer_norm_eps": config["layer_norm_eps"],
                "window_size": config["window"],
                "global_attn_indexes": config["global_blocks"],
                "num_pos_feats": d_out // 2,
                "mlp_dim": config["d_ff"],
            },
            prompt_encoder_config={
                "hidden_size": d_out,
                "image_size": config["image_size"],
                "patch_size": config["patch_size"],
            },
            mask_decoder_config={
                "hidden_size": d_out,
                "mlp_dim": config["decoder_ff"],
                "num_hidden_layers": config["decoder_layers"],
                "num_attention_heads": config["decoder_heads"],
                "attention_downsample_rate": config["cross_downsample"],
                "num_multimask_outputs": config["n_mask_tokens"] - 1,
                "iou_head_hidden_dim": d_out,
                "layer_norm_eps": DECODER_NORM_EPS,
            },
            # Tying would let the prompt encoder's unset copy overwrite the Gaussian matrix.
            tie_word_embeddings=False,
            attn_implementation="eager",
        )
    ).eval()
    state = {library_name(name): tensor for name, tensor in weights.tensors.items()}
    _, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    return model


def write_encoder():
    weights = Weights("sam_encoder")
    init_encoder(weights, ENCODER)
    pixels = rounded_normal("sam_encoder", "in.pixels", 2, 3, ENCODER["image_size"], ENCODER["image_size"])
    expected = library_model(weights, ENCODER).get_image_embeddings(pixels)
    check_close("sam encoder", expected, image_embedding(weights.double(), ENCODER, pixels.double()))
    tensors = {"in.pixels": pixels, "out.image_embedding": expected, **weights.tensors}
    save_model_fixture("sam_encoder", {"sam": ENCODER}, tensors)


def write_encoder_with_stem(name, config):
    """The stem from torch's modules in f32, the rest checked against f64."""
    weights = Weights(name)
    init_encoder(weights, config)
    pixels = rounded_normal(name, "in.pixels", 2, 3, config["image_size"], config["image_size"])
    features = stem.library_stem(weights.tensors, STEM, config)(pixels)
    expected = encode(weights.tensors, config, features, 1)
    exact = image_embedding(weights.double(), config, pixels.double())
    check_close(name, expected, exact)
    tensors = {"in.pixels": pixels, "out.image_embedding": exact, **weights.tensors}
    save_model_fixture(name, {"sam": config}, tensors)


def write_decoder():
    weights = Weights("sam_decoder")
    init_decoder(weights, DECODER)
    g, d = grid_size(DECODER), DECODER["d_out"]
    embedding = rounded_normal("sam_decoder", "in.image_embedding", 1, d, g, g)
    sparse = rounded_normal("sam_decoder", "in.sparse", 2, 1, d)
    mask = rounded_normal("sam_decoder", "in.mask", 1, 1, 4 * g, 4 * g) * 3

    model = library_model(weights, DECODER)
    seen = {}
    first = model.mask_decoder.transformer.layers[0]
    first.self_attn.register_forward_hook(lambda _m, _i, out: seen.update({"layer0.self_attn": out[0][0]}))
    first.layer_norm1.register_forward_hook(lambda _m, _i, out: seen.update({"layer0.norm1": out[0]}))
    position = model.get_image_wide_positional_embeddings()
    _, dense = model.prompt_encoder(None, None, None, None)

    def decode(several):
        masks, _ = model.mask_decoder(
            image_embeddings=embedding,
            image_positional_embeddings=position,
            sparse_prompt_embeddings=sparse[None],  # [images, prompts, tokens, d]
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        return masks[0]  # [prompts, masks, 4g, 4g]

    mask0 = decode(False)
    expected = torch.cat([mask0, decode(True)], dim=1)
    _, from_mask = model.prompt_encoder(None, None, None, mask)

    w, trace = weights.double(), {}
    own = mask_logits(w, DECODER, embedding.double(), sparse.double(), trace)
    check_close("sam masks", expected, own)
    check_close("sam dense pe", position, dense_position(w, g))
    check_close("sam no mask", dense, dense_without_mask(w, g))
    check_close("sam mask prompt", from_mask, dense_from_mask(w, mask.double()))
    tensors = {
        "in.image_embedding": embedding,
        "in.sparse": sparse,
        "in.mask": mask,
        "out.dense_pe": position,
        "out.no_mask_dense": dense,
        "out.dense": from_mask,
        "out.mask_logits": expected,
        "out.mask0": mask0,
        **weights.tensors,
    }
    for key, tensor in seen.items():
        check_close(f"sam {key}", tensor, trace[key])
        tensors[f"out.{key}"] = tensor
    save_model_fixture("sam_decoder", {"sam": DECODER}, tensors)


def main():
    write_encoder()
    for name, config in STEMS.items():
        write_encoder_with_stem(name, config)
    write_decoder()
