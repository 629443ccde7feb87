"""Seeded weights, small helpers and the fixture writer shared by all references."""

import json
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"

# Two f32 or f64 implementations of the same small model must agree this well before a
# fixture is written; a tenth of the 1e-4 that the Rust code is held to.
AGREEMENT = 1e-5

# Gain of layers that end in front of a norm. The norm undoes it, but for its epsilon: at
# ordinary size, 1e-5 in the place of 1e-6 would be lost in the tolerance.
FAINT = 0.03


class Weights:
    """Draws tensors by name. Each name has its own seed, so adding one moves no other.

    Values are rounded to f32 at once: what is written is exactly what was computed with.
    """

    def __init__(self, scope):
        self.scope = scope
        self.tensors = {}

    def draw(self, name, *shape):
        """Standard normal values that depend on the scope and the name only."""
        seed = [zlib.crc32(self.scope.encode()), zlib.crc32(name.encode())]
        values = np.random.default_rng(seed).standard_normal(shape)
        return torch.from_numpy(values)

    def put(self, name, tensor):
        assert name not in self.tensors, name
        self.tensors[name] = tensor.to(torch.float32).contiguous()

    def normal(self, name, *shape, std=1.0, mean=0.0):
        self.put(name, self.draw(name, *shape) * std + mean)

    def linear(self, name, d_in, d_out, bias=True, gain=1.0):
        """`{name}.weight` `[d_out, d_in]`, `{name}.bias` `[d_out]`."""
        self.normal(f"{name}.weight", d_out, d_in, std=gain * d_in**-0.5)
        if bias:
            self.normal(f"{name}.bias", d_out, std=0.2 * gain)

    def norm(self, name, d, bias=True):
        """A layer norm whose scale and shift are far enough from 1 and 0 to be missed."""
        self.normal(f"{name}.weight", d, std=0.2, mean=1.0)
        if bias:
            self.normal(f"{name}.bias", d, std=0.2)

    def conv(self, name, c_in_per_group, c_out, k, bias=True, gain=1.0):
        """`{name}.weight` `[c_out, c_in_per_group, k, k]`."""
        self.normal(f"{name}.weight", c_out, c_in_per_group, k, k, std=gain * (c_in_per_group * k * k) ** -0.5)
        if bias:
            self.normal(f"{name}.bias", c_out, std=0.2 * gain)

    def conv_transpose(self, name, c_in, c_out, k):
        """`{name}.weight` `[c_in, c_out, k, k]`, PyTorch's transposed orientation."""
        self.normal(f"{name}.weight", c_in, c_out, k, k, std=c_in**-0.5)
        self.normal(f"{name}.bias", c_out, std=0.2)

    def double(self):
        """The same values in f64, for references that compute in f64."""
        return {name: tensor.double() for name, tensor in self.tensors.items()}


def rounded_normal(scope, name, *shape):
    """A standard normal input, rounded to f32."""
    return Weights(scope).draw(name, *shape).float()


def linear(w, name, x):
    """x `[.., d_in]` → `[.., d_out]`."""
    return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))


def layer_norm(w, name, x, eps):
    """Layer norm over the last dimension."""
    scale, shift = w[f"{name}.weight"], w[f"{name}.bias"]
    return F.layer_norm(x, scale.shape, scale, shift, eps)


def layer_norm_2d(w, name, x, eps=1e-6):
    """Layer norm over the channels of x `[b, c, h, w]`, at every place on its own."""
    mean = x.mean(dim=1, keepdim=True)
    variance = (x - mean).pow(2).mean(dim=1, keepdim=True)
    x = (x - mean) / (variance + eps).sqrt()
    return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def split_heads(x, n_heads):
    """x `[b, n, d]` → `[b, n_heads, n, d / n_heads]`."""
    batch, n, d = x.shape
    return x.reshape(batch, n, n_heads, d // n_heads).transpose(1, 2)


def merge_heads(x):
    """x `[b, n_heads, n, d_head]` → `[b, n, n_heads * d_head]`."""
    batch, n_heads, n, d_head = x.shape
    return x.transpose(1, 2).reshape(batch, n, n_heads * d_head)


def attention(q, k, v, bias=None):
    """softmax(q kᵀ / √d_head + bias) v for q, k, v `[b, n_heads, n, d_head]`."""
    logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if bias is not None:
        logits = logits + bias
    return logits.softmax(dim=-1) @ v


def mlp(w, name, x, activation):
    """The two linear layers `{name}.0` and `{name}.2` around an activation."""
    return linear(w, f"{name}.2", activation(linear(w, f"{name}.0", x)))


def check_close(what, left, right, tolerance=AGREEMENT):
    """Stops the run when two implementations disagree."""
    assert left.shape == right.shape, f"{what}: {tuple(left.shape)} and {tuple(right.shape)}"
    worst = (left.double() - right.double()).abs().max().item()
    assert worst <= tolerance, f"{what}: implementations differ by {worst:.3e}"


def save_model_fixture(name, config, tensors):
    """Writes `fixtures/model/{name}.safetensors`: f32, or int32 for whole numbers."""
    stored = {}
    for key, tensor in tensors.items():
        dtype = torch.float32 if tensor.is_floating_point() else torch.int32
        tensor = tensor.detach().to(dtype)
        assert torch.isfinite(tensor).all(), f"{name}: {key} is not finite"
        # A clone: safetensors refuses tensors that share memory.
        stored[key] = tensor.clone().contiguous()
    path = FIXTURES / "model" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    # One metadata key only: the writer does not keep the order of several.
    save_file(stored, path, metadata={"config": json.dumps(config, sort_keys=True)})
    print(f"{path.name:32} {path.stat().st_size:>9,} bytes")
    for key in sorted(stored):
        if key.startswith(("in.", "out.")):
            print(f"    {key:32} {list(stored[key].shape)}")
