#!/usr/bin/env python3
"""make_torch.py [FOLDER] - what PyTorch says about our networks: NAME.safetensors beside this file.

Each network is written here once more in plain PyTorch, in double precision, on parameters laid out as ours (linear:
inputs x outputs; convolution: height, width, inputs, outputs). Parameters, inputs and directions are not in the files:
value() makes them from the name and the place of a number, here and in tests/support/golden.h. In the files:

    out                what the network returns
    loss               mean square of out minus target
    grad.NAME          d loss / d NAME for every parameter and input
    hvp.NAME           the Hessian of the loss times the direction, for all of them together
    jvp                derivative of out along the direction
    losses             the loss before each of 50 steps of AdamW in single precision, rate 1e-3 (UNet block: 1e-4;
                       at 1e-3 PyTorch's own losses differ by 1e-3 after 45 steps between its two convolutions)

Of a whole UNet, which has too many numbers, grad.NAME and hvp.NAME hold two: the sum of squares and the product with
the direction. Written by PyTorch 2.15.0 on x86-64.
"""

import json
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

from hashed import number

torch.set_num_threads(1)


def value(name, shape):
    """Matrices as large as keeps a layer's results of order one, scales about 1, everything else small."""
    x = number(name, shape)
    if name in ("x", "t", "target"):
        return x
    if len(shape) >= 2:
        return x * math.sqrt(3 / np.prod(shape[:-1]))
    return 1 + 0.2 * x if name.endswith("weight") else 0.2 * x


class Parameters(dict):
    """Makes a parameter when it is first asked for."""

    def get(self, name, *shape):
        if name not in self:
            self[name] = value(name, shape).requires_grad_()
        return self[name]


def linear(p, name, x, width):
    return x @ p.get(name + ".weight", x.shape[-1], width) + p.get(name + ".bias", width)


def conv(p, name, x, channels, kernel, stride=1):
    w = p.get(name + ".weight", kernel, kernel, x.shape[-1], channels)
    y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(3, 2, 0, 1), p.get(name + ".bias", channels), stride, kernel // 2)
    return y.permute(0, 2, 3, 1)


def groupnorm(p, name, x):
    c = x.shape[-1]
    y = F.group_norm(x.permute(0, 3, 1, 2), 32, p.get(name + ".weight", c), p.get(name + ".bias", c))
    return y.permute(0, 2, 3, 1)


def layernorm(p, name, x):
    c = x.shape[-1]
    return F.layer_norm(x, (c,), p.get(name + ".weight", c), p.get(name + ".bias", c))


def attention(qkv, heads, by_head=False):
    b, t, c = qkv.shape
    if by_head:  # queries, keys, values of each head together
        q, k, v = qkv.reshape(b, t, heads, 3, -1).permute(3, 0, 2, 1, 4)
    else:
        q, k, v = qkv.reshape(b, t, 3, heads, -1).permute(2, 0, 3, 1, 4)
    weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(c // 3 // heads), 3)
    return (weights @ v).transpose(1, 2).reshape(b, t, c // 3)


def mlp(p, x, t):
    h = torch.cat([x, t[:, None]], 1)
    for i in range(3):
        h = F.silu(linear(p, f"main.{2 * i}", h, 24))
    return linear(p, "main.6", h, 2)


def residual(p, name, x, e, channels, scale_shift=False):
    h = conv(p, name + "in_layers.2", F.silu(groupnorm(p, name + "in_layers.0", x)), channels, 3)
    e = linear(p, name + "emb_layers.1", F.silu(e), 2 * channels if scale_shift else channels)[:, None, None]
    if scale_shift:
        scale, shift = e.chunk(2, 3)
        h = groupnorm(p, name + "out_layers.0", h) * (1 + scale) + shift
    else:
        h = groupnorm(p, name + "out_layers.0", h + e)
    h = conv(p, name + "out_layers.3", F.silu(h), channels, 3)
    if x.shape[-1] != channels:
        x = conv(p, name + "skip_connection", x, channels, 1)
    return x + h


def attend(p, name, x, heads):
    b, h, w, c = x.shape
    y = linear(p, name + "qkv", groupnorm(p, name + "norm", x).reshape(b, h * w, c), 3 * c)
    return x + linear(p, name + "proj_out", attention(y, heads, by_head=True), c).reshape(x.shape)


def timestep(t, count):
    f = torch.exp(-math.log(10000) * torch.arange(count // 2, dtype=t.dtype) / (count // 2))
    a = t[:, None] * f
    return torch.cat([torch.cos(a), torch.sin(a)], 1)


def unet_block(p, x, t):
    """A residual block that changes the number of channels, a convolution of stride 2, attention."""
    h = residual(p, "block.", x, timestep(t, 12), 32)
    return attend(p, "attend.", conv(p, "down", h, 32, 3, 2), 2)


def unet(p, x, t, width=32, mult=(1, 2), attended=(False, True), blocks=1, heads=2, scale_shift=True):
    e = F.silu(linear(p, "time_embed.0", timestep(t, width), 4 * width))
    e = linear(p, "time_embed.2", e, 4 * width)
    levels = len(mult)

    def block(place, h, level):
        h = residual(p, place + ".0.", h, e, mult[level] * width, scale_shift)
        return attend(p, place + ".1.", h, heads) if attended[level] else h

    kept = [conv(p, "input_blocks.0.0", x, mult[0] * width, 3)]
    for level in range(levels):
        for _ in range(blocks):
            kept.append(block(f"input_blocks.{len(kept)}", kept[-1], level))
        if level + 1 < levels:
            kept.append(conv(p, f"input_blocks.{len(kept)}.0.op", kept[-1], kept[-1].shape[-1], 3, 2))
    h = residual(p, "middle_block.0.", kept[-1], e, mult[-1] * width, scale_shift)
    h = residual(p, "middle_block.2.", attend(p, "middle_block.1.", h, heads), e, mult[-1] * width, scale_shift)
    index = 0
    for level in reversed(range(levels)):
        for i in range(blocks + 1):
            h = block(f"output_blocks.{index}", torch.cat([h, kept.pop()], 3), level)
            if level and i == blocks:
                h = h.repeat_interleave(2, 1).repeat_interleave(2, 2)
                h = conv(p, f"output_blocks.{index}.{2 if attended[level] else 1}.conv", h, h.shape[-1], 3)
            index += 1
    return conv(p, "out.2", F.silu(groupnorm(p, "out.0", h)), x.shape[-1], 3)


def transformer(p, tokens):
    symbols, width, heads = 11, 16, 2
    h = p.get("embedding.weight", symbols, width)[tokens] + p.get("position", tokens.shape[1], width)
    for i in range(2):
        b = f"blocks.{i}."
        y = attention(linear(p, b + "qkv", layernorm(p, b + "norm1", h), 3 * width), heads)
        h = h + linear(p, b + "out", y, width)
        y = F.gelu(linear(p, b + "mlp.0", layernorm(p, b + "norm2", h), 4 * width))
        h = h + linear(p, b + "mlp.2", y, width)
    return linear(p, "head", layernorm(p, "norm", h), symbols)


def steps(network, names, values, inputs, target, rate):
    """Losses of 50 AdamW steps in single precision; vectors are not decayed."""
    weights = [torch.nn.Parameter(v.detach().float()) for v in values]
    groups = [{"params": [w for w in weights if w.dim() > 1], "weight_decay": 0.01},
              {"params": [w for w in weights if w.dim() < 2], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    losses = []
    for _ in range(50):
        optimiser.zero_grad()
        loss = (network(Parameters(zip(names, weights)), *inputs) - target.float()).square().mean()
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
    return torch.tensor(losses, dtype=torch.float64)


def dump(folder, name, network, shapes, tokens=None, whole=True, rate=1e-3):
    inputs = {n: value(n, s).requires_grad_() for n, s in shapes.items()}
    arguments = list(inputs.values()) if tokens is None else [tokens]
    p = Parameters()
    out = network(p, *arguments)
    target = value("target", tuple(out.shape))
    names, values = list(p) + list(inputs), list(p.values()) + list(inputs.values())
    directions = [number("direction." + n, tuple(v.shape)) for n, v in zip(names, values)]

    def again(*v):
        q = Parameters(zip(names, v))
        return network(q, *([q[n] for n in inputs] if tokens is None else [tokens]))

    def loss(*v):
        return (again(*v) - target).square().mean()

    gradients = torch.autograd.grad(loss(*values), values, create_graph=True)
    product = sum((g * d).sum() for g, d in zip(gradients, directions))
    hvp = torch.autograd.grad(product, values)
    _, jvp = torch.func.jvp(again, tuple(v.detach() for v in values), tuple(directions))
    tensors = {"out": out, "loss": loss(*values), "jvp": jvp}
    for n, d, g, h in zip(names, directions, gradients, hvp):
        few = lambda z: torch.stack([z.square().sum(), (z * d).sum()])
        tensors["grad." + n], tensors["hvp." + n] = (g, h) if whole else (few(g), few(h))
    if whole:
        single = [v.detach().float() for v in inputs.values()] if tokens is None else [tokens]
        tensors["losses"] = steps(network, list(p), list(p.values()), single, target, rate)
    write(os.path.join(folder, name + ".safetensors"), tensors)
    print(name, sum(v.numel() for v in p.values()), "parameters, loss", tensors["loss"].item())


def write(path, tensors):
    header, data = {"__metadata__": {"made_by": "tests/golden/make_torch.py", "torch": torch.__version__}}, b""
    for name, t in tensors.items():
        raw = t.detach().double().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F64", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    dump(folder, "mlp", mlp, {"x": (7, 2), "t": (7,)})
    dump(folder, "unet_block", unet_block, {"x": (2, 6, 4, 64), "t": (2,)}, rate=1e-4)
    dump(folder, "transformer", transformer, {}, tokens=torch.arange(14).reshape(2, 7) * 5 % 11)
    dump(folder, "unet", unet, {"x": (2, 4, 4, 3), "t": (2,)}, whole=False)


main()
