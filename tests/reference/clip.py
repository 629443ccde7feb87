"""CLIP vision encoder (§3): expected values from transformers, checked by a second one."""

import torch
from transformers import CLIPVisionConfig, CLIPVisionModel

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


def init(weights, config):
    """Adds `clip.*`; `post_layernorm` is left out because no tap passes it."""
    d, d_ff = config["d_model"], config["d_ff"]
    n = (config["image_size"] // config["patch_size"]) ** 2
    weights.normal("clip.embeddings.class_embedding", d, std=FAINT)
    weights.conv("clip.embeddings.patch_embedding", 3, d, config["patch_size"], bias=False, gain=FAINT)
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


def hidden_states(w, config, pixels):
    """pixels `[b, 3, S, S]` → n_layers + 1 states `[b, 1 + n, d]`, state 0 after pre-LN."""
    n_heads, eps = config["n_heads"], config["layer_norm_eps"]
    kernel = w["clip.embeddings.patch_embedding.weight"]
    patches = torch.conv2d(pixels, kernel, stride=config["patch_size"])  # [b, d, g, g]
    patches = patches.flatten(2).transpose(1, 2)  # [b, n, d]
    class_token = w["clip.embeddings.class_embedding"].expand(len(pixels), 1, -1)
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
