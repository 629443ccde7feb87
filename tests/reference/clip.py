"""CLIP vision encoder (§3): expected values from transformers, checked by a second one."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

import stem
from common import (
    FAINT,
    Weights,
    attention,
    check_close,
    layer_norm,
    linear,
    merge_heads,
    rounded_normal,
    save_model_fixture,
    split_heads,
)

CONFIG = {
    "image_size": 24,
    "patch_size": 4,
    "d_model": 32,
    "n_layers": 5,
    "n_heads": 4,
    "d_ff": 48,
    "layer_norm_eps": 1e-5,
    "taps": [1, 2, 3, 4],
}

# Our two extensions: the stem of the shipped model, and the similarity prior added to the patches.
EXTENDED = {
    "image_size": 48,
    "patch_size": 16,
    "d_model": 16,
    "n_layers": 1,
    "n_heads": 2,
    "d_ff": 24,
    "layer_norm_eps": 1e-5,
    "taps": [1],
    "stem": "overlap_batch",
    "similarity_prompt": True,
}
STEM = "clip.embeddings.stem"
PRIOR_CHANNELS = PRIOR_CELLS = 4


def init(weights, config):
    """Adds `clip.*`; `post_layernorm` is left out because no tap passes it."""
    d, d_ff = config["d_model"], config["d_ff"]
    n = (config["image_size"] // config["patch_size"]) ** 2
    weights.normal("clip.embeddings.class_embedding", d, std=FAINT)
    if "stem" in config:
        stem.init(weights, STEM, config)
        weights.conv("clip.embeddings.patch_embedding", d, d, 1, bias=False, gain=FAINT)
    else:
        kernel = config["patch_size"]
        weights.conv("clip.embeddings.patch_embedding", 3, d, kernel, bias=False, gain=FAINT)
    if config.get("similarity_prompt"):
        name = "clip.embeddings.similarity_embedding"
        weights.conv(name, PRIOR_CHANNELS, d, PRIOR_CELLS, bias=False, gain=FAINT)
    weights.normal("clip.embeddings.position_embedding.weight", n + 1, d, std=FAINT)
    weights.norm("clip.pre_layrnorm", d)
    for i in range(config["n_layers"]):
        layer = f"clip.encoder.layers.{i}"
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{layer}.self_attn.{part}", d, d)
        weights.norm(f"{layer}.layer_norm1", d)
        weights.norm(f"{layer}.layer_norm2", d)
        weights.linear(f"{layer}.mlp.fc1", d, d_ff)
        weights.linear(f"{layer}.mlp.fc2", d_ff, d)


def embed_patches(w, config, pixels, batch_statistics):
    """pixels `[b, 3, S, S]` → `[b, d, g, g]`."""
    kernel = w["clip.embeddings.patch_embedding.weight"]
    if "stem" not in config:
        return torch.conv2d(pixels, kernel, stride=config["patch_size"])
    return torch.conv2d(stem.embed(w, STEM, config, pixels, batch_statistics), kernel)


def hidden_states(w, config, pixels, prior=None, batch_statistics=False):
    """pixels `[b, 3, S, S]` → n_layers + 1 states `[b, 1 + n, d]`, state 0 after pre-LN.

    prior: `[b, 4, 4 g, 4 g]`, for models that take one. batch_statistics: whether the stem's batch
    norms take those of `pixels` in place of the stored ones.
    """
    patches = embed_patches(w, config, pixels, batch_statistics)
    return encode(w, config, patches, prior)


def encode(w, config, patches, prior=None):
    """patches `[b, d, g, g]` → n_layers + 1 states `[b, 1 + n, d]`."""
    n_heads, eps = config["n_heads"], config["layer_norm_eps"]
    if prior is not None:
        kernel = w["clip.embeddings.similarity_embedding.weight"]
        patches = patches + torch.conv2d(prior, kernel, stride=PRIOR_CELLS)
    patches = patches.flatten(2).transpose(1, 2)  # [b, n, d]
    class_token = w["clip.embeddings.class_embedding"].expand(len(patches), 1, -1)
    x = torch.cat([class_token, patches], dim=1) + w["clip.embeddings.position_embedding.weight"]
    x = layer_norm(w, "clip.pre_layrnorm", x, eps)
    states = [x]
    for i in range(config["n_layers"]):
        layer = f"clip.encoder.layers.{i}"
        y = layer_norm(w, f"{layer}.layer_norm1", x, eps)
        q, k, v = (split_heads(linear(w, f"{layer}.self_attn.{p}_proj", y), n_heads) for p in "qkv")
        x = x + linear(w, f"{layer}.self_attn.out_proj", merge_heads(attention(q, k, v)))
        y = linear(w, f"{layer}.mlp.fc1", layer_norm(w, f"{layer}.layer_norm2", x, eps))
        y = y * torch.sigmoid(1.702 * y)  # QuickGELU
        x = x + linear(w, f"{layer}.mlp.fc2", y)
        states.append(x)
    return states


def taps(states, config):
    """The tapped states without the class token, `[n_levels, b, n, d]`."""
    return torch.stack([states[i][:, 1:] for i in config["taps"]])


def library_model(weights, config):
    model = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=config["d_model"],
            intermediate_size=config["d_ff"],
            num_hidden_layers=config["n_layers"],
            num_attention_heads=config["n_heads"],
            image_size=config["image_size"],
            patch_size=config["patch_size"],
            layer_norm_eps=config["layer_norm_eps"],
            hidden_act="quick_gelu",
        )
    ).eval()
    state = {name.removeprefix("clip."): tensor for name, tensor in weights.tensors.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    unused = ("post_layernorm.weight", "post_layernorm.bias", "embeddings.position_ids")
    assert all(name.endswith(unused) for name in missing), missing
    return model


def main():
    weights = Weights("clip")
    init(weights, CONFIG)
    pixels = rounded_normal("clip", "in.pixels", 2, 3, CONFIG["image_size"], CONFIG["image_size"])
    expected = library_model(weights, CONFIG)(pixels, output_hidden_states=True).hidden_states
    ours = hidden_states(weights.double(), CONFIG, pixels.double())
    assert len(expected) == len(ours) == CONFIG["n_layers"] + 1
    tensors = {"in.pixels": pixels, **weights.tensors}
    for i, (theirs, own) in enumerate(zip(expected, ours)):
        check_close(f"clip hidden {i}", theirs, own)
        tensors[f"out.hidden.{i}"] = theirs
    save_model_fixture("clip", {"clip": CONFIG}, tensors)
    extended()


def extended():
    """Our extensions: the stem from torch's modules in f32, the rest checked against f64."""
    weights = Weights("clip_extended")
    init(weights, EXTENDED)
    side = EXTENDED["image_size"]
    prior_side = PRIOR_CELLS * side // EXTENDED["patch_size"]
    pixels = rounded_normal("clip_extended", "in.pixels", 2, 3, side, side)
    shape = (2, PRIOR_CHANNELS, prior_side, prior_side)
    prior = rounded_normal("clip_extended", "in.prior", *shape)
    tensors = {"in.pixels": pixels, "in.prior": prior, **weights.tensors}
    library = stem.library_stem(weights.tensors, STEM, EXTENDED)
    # In training mode torch's batch norm takes the statistics of the batch.
    for prefix, with_batch in (("out", False), ("out.batch_statistics", True)):
        w = weights.tensors
        patches = library.train(with_batch)(pixels)
        patches = torch.conv2d(patches, w["clip.embeddings.patch_embedding.weight"])
        states = encode(w, EXTENDED, patches, prior)
        exact = (pixels.double(), prior.double(), with_batch)
        exact = hidden_states(weights.double(), EXTENDED, *exact)
        for i, (single, double) in enumerate(zip(states, exact)):
            check_close(f"{prefix} clip extended hidden {i}", single, double)
            tensors[f"{prefix}.hidden.{i}"] = double
    save_model_fixture("clip_extended", {"clip": EXTENDED}, tensors)
