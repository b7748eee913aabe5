#!/usr/bin/env python3
"""make_import.py [FOLDER] - what the networks of other programs give in PyTorch: import_NAME.safetensors beside this file,
and small checkpoints, small.pt, small_old.pt and sit.pt.

The networks are written here once more after their publications, with the parameter names and the order of heads of the
programs that `thalweg import` reads from (flow/architectures.def); that those load these very names and give the same
numbers was checked by hand against torchcfm 1.0, flow_matching 1.0 and SiT. Weights are not in the files: value() makes
them from the name and the place of a number, here and in tests/flow/test_import.c. In the files:

    shape.NAME         the shape of a tensor of the state dict
    x, t               images (B,C,H,W), times
    class              classes, where there are any
    told, untold       what the network returns with and without them
    edited.N.M         SiT: x as edited() makes it in STEPS steps, N of them and the last M blocks sharing values

Written by PyTorch 2.15.0 on x86-64, in double precision.
"""

import collections
import json
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from hashed import number


def value(name, shape):
    """Single precision: matrices as large as keeps a layer's results of order one, scales about 1, the rest small."""
    x = number(name, shape)
    if len(shape) >= 2:
        x = x * math.sqrt(3 / np.prod(shape[1:]))
    else:
        x = 1 + 0.2 * x if name.endswith("weight") else 0.2 * x
    return x.float()


def features(t, count):
    f = torch.exp(-math.log(10000) * torch.arange(count // 2, dtype=t.dtype) / (count // 2))
    return torch.cat([torch.cos(t[:, None] * f), torch.sin(t[:, None] * f)], 1)


class Residual(nn.Module):
    def __init__(self, inputs, outputs, told, scale_shift, pixels=None):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(told, outputs * (1 + scale_shift)))
        self.out_layers = nn.Sequential(nn.GroupNorm(32, outputs), nn.SiLU(), nn.Dropout(0.1),
                                        nn.Conv2d(outputs, outputs, 3, padding=1))
        self.skip_connection = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.scale_shift, self.pixels = scale_shift, pixels or (lambda x: x)

    def forward(self, x, e):
        h = self.in_layers[2](self.pixels(self.in_layers[1](self.in_layers[0](x))))
        e = self.emb_layers(e)[:, :, None, None]
        if self.scale_shift:
            scale, shift = e.chunk(2, 1)
            h = self.out_layers[0](h) * (1 + scale) + shift
        else:
            h = self.out_layers[0](h + e)
        return self.skip_connection(self.pixels(x)) + self.out_layers[3](F.silu(h))


class Attention(nn.Module):
    def __init__(self, channels, heads, split):
        super().__init__()
        self.norm, self.qkv = nn.GroupNorm(32, channels), nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)
        self.heads, self.split = heads, split

    def forward(self, x, e):
        b, c = x.shape[:2]
        y = self.qkv(self.norm(x).reshape(b, c, -1))
        if self.split:  # q of all heads, then k, then v
            q, k, v = y.reshape(b, 3, self.heads, c // self.heads, -1).unbind(1)
        else:  # q, k, v of each head together
            q, k, v = y.reshape(b, self.heads, 3, c // self.heads, -1).unbind(2)
        w = torch.softmax(q.transpose(2, 3) @ k / math.sqrt(c // self.heads), 3)
        return x + self.proj_out((v @ w.transpose(2, 3)).reshape(b, c, -1)).reshape(x.shape)


class Step(nn.Module):
    """Half or twice the pixels, with a convolution or without."""

    def __init__(self, channels, name, convolved):
        super().__init__()
        if convolved:
            self.add_module(name, nn.Conv2d(channels, channels, 3, stride=2 if name == "op" else 1, padding=1))
        self.name, self.convolved = name, convolved

    def forward(self, x, e):
        if self.name == "conv":
            x = twice(x)
        elif not self.convolved:
            x = half(x)
        return getattr(self, self.name)(x) if self.convolved else x


def half(x):
    return F.avg_pool2d(x, 2)


def twice(x):
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


class First(nn.Conv2d):
    def forward(self, x, e):
        return super().forward(x)


class UNet(nn.Module):
    def __init__(self, channels, width, mult, blocks, attended, heads=0, head_channels=0, classes=0, null_class=False,
                 split=False, scale_shift=False, resample="conv"):
        super().__init__()
        told = 4 * width
        self.width, self.null_class, self.classes = width, null_class, classes
        self.time_embed = nn.Sequential(nn.Linear(width, told), nn.SiLU(), nn.Linear(told, told))
        if classes:
            self.label_emb = nn.Embedding(classes + null_class, told)
        attention = lambda c: Attention(c, c // head_channels if head_channels else heads, split)
        residual = lambda i, o, pixels=None: Residual(i, o, told, scale_shift, pixels)
        c = width * mult[0]
        down, kept = [[First(channels, c, 3, padding=1)]], [c]
        for level, m in enumerate(mult):
            for _ in range(blocks):
                down.append([residual(c, m * width)] + ([attention(m * width)] if attended[level] else []))
                c = m * width
                kept.append(c)
            if level + 1 < len(mult):
                down.append([residual(c, c, half) if resample == "residual" else Step(c, "op", resample == "conv")])
                kept.append(c)
        self.input_blocks = nn.ModuleList([nn.ModuleList(b) for b in down])
        self.middle_block = nn.ModuleList([residual(c, c), attention(c), residual(c, c)])
        up = []
        for level in reversed(range(len(mult))):
            for i in range(blocks + 1):
                o = mult[level] * width
                up.append([residual(c + kept.pop(), o)] + ([attention(o)] if attended[level] else []))
                c = o
                if level and i == blocks:
                    up[-1].append(residual(c, c, twice) if resample == "residual" else Step(c, "conv", resample == "conv"))
        self.output_blocks = nn.ModuleList([nn.ModuleList(b) for b in up])
        self.out = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), nn.Conv2d(c, channels, 3, padding=1))

    def forward(self, x, t, y=None):
        e = self.time_embed(features(t, self.width))
        if self.classes:
            if y is not None:
                e = e + self.label_emb(y)
            elif self.null_class:
                e = e + self.label_emb(torch.full((len(x),), self.classes))
        kept, h = [], x
        for block in self.input_blocks:
            for layer in block:
                h = layer(h, e)
            kept.append(h)
        for layer in self.middle_block:
            h = layer(h, e)
        for block in self.output_blocks:
            h = torch.cat([h, kept.pop()], 1)
            for layer in block:
                h = layer(h, e)
        return self.out(h)


class Named(nn.Module):
    """A module with these modules by name."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


def modulate(x, shift, scale):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


def adaptive(width, count):
    return nn.Sequential(nn.SiLU(), nn.Linear(width, count * width))


class SiT(nn.Module):
    values = None  # (block, v) -> the values that attention of a block goes by

    def __init__(self, side, channels, patch, width, depth, heads, classes, learn_sigma=True, waves=True):
        super().__init__()
        self.patch, self.heads, self.classes, self.channels = patch, heads, classes, channels
        self.x_embedder = Named(proj=nn.Conv2d(channels, width, patch, stride=patch))
        self.t_embedder = Named(mlp=nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width)))
        self.y_embedder = Named(embedding_table=nn.Embedding(classes + 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, (side // patch) ** 2, width), requires_grad=False)
        self.waves = positions(side // patch, width) if waves else None
        self.blocks = nn.ModuleList([
            Named(attn=Named(qkv=nn.Linear(width, 3 * width), proj=nn.Linear(width, width)),
                  mlp=Named(fc1=nn.Linear(width, 4 * width), fc2=nn.Linear(4 * width, width)),
                  adaLN_modulation=adaptive(width, 6)) for _ in range(depth)])
        out = patch * patch * channels * (1 + learn_sigma)
        self.final_layer = Named(linear=nn.Linear(width, out), adaLN_modulation=adaptive(width, 2))

    def attention(self, block, x):
        b, n, c = x.shape
        q, k, v = block.attn.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        v = self.values(block, v) if self.values else v
        w = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(c // self.heads), 3)
        return block.attn.proj((w @ v).transpose(1, 2).reshape(b, n, c))

    def forward(self, x, t, y=None):
        y = torch.full((len(x),), self.classes) if y is None else y
        p, (h, w) = self.patch, (x.shape[2] // self.patch, x.shape[3] // self.patch)
        c = self.t_embedder.mlp(features(t, 256)) + self.y_embedder.embedding_table(y)
        x = self.x_embedder.proj(x).flatten(2).transpose(1, 2) + self.pos_embed
        for block in self.blocks:
            s1, m1, g1, s2, m2, g2 = block.adaLN_modulation(c).chunk(6, 1)
            x = x + g1[:, None] * self.attention(block, modulate(x, s1, m1))
            y = F.gelu(block.mlp.fc1(modulate(x, s2, m2)), approximate="tanh")
            x = x + g2[:, None] * block.mlp.fc2(y)
        shift, scale = self.final_layer.adaLN_modulation(c).chunk(2, 1)
        x = self.final_layer.linear(modulate(x, shift, scale))
        x = x.reshape(len(x), h, w, p, p, -1).permute(0, 5, 1, 3, 2, 4).reshape(len(x), -1, h * p, w * p)
        return x[:, :self.channels]


def positions(side, width):
    """Sines and cosines of the column, then of the row."""
    f = 1 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width / 4))
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    wave = lambda at: torch.cat([torch.sin(at.reshape(-1, 1) * f), torch.cos(at.reshape(-1, 1) * f)], 1)
    return torch.cat([wave(column), wave(row)], 1)[None]


def prepare(network):
    """Weights from names; returns the network in double precision."""
    state = {n: value(n, tuple(v.shape)) for n, v in network.state_dict().items()}
    if getattr(network, "waves", None) is not None:
        state["pos_embed"] = network.waves.float()
    network.load_state_dict(state)
    return network.double().eval()


def dump(folder, name, network, size):
    prepare(network)
    x, t = number("x", size), number("t", size[:1]) / 2 + 0.5
    y = torch.arange(size[0]) % max(network.classes, 1)
    tensors = {"x": x, "t": t}
    with torch.no_grad():
        tensors["untold"] = network(x, t)
        if network.classes:
            tensors |= {"class": y, "told": network(x, t, y)}
        if name == "sit":
            for shared, layers in [(0, 2), (2, 2), (STEPS, 1)]:
                tensors[f"edited.{shared}.{layers}"] = edited(network, x, y, (y + 2) % network.classes, shared, layers)
    for n, v in network.state_dict().items():
        tensors["shape." + n] = torch.tensor(v.shape)
    write(os.path.join(folder, f"import_{name}.safetensors"), tensors)
    print(name, sum(v.numel() for v in network.parameters()), "parameters, rms", tensors["untold"].square().mean().sqrt().item())


STEPS = 5


def edited(network, x, told, now, shared, layers):
    """Euler's steps from x at t = 1 to 0 told one class, and back told another: in the first `shared` steps the last
    `layers` blocks take their values from the row that goes back told the first (Wang et al. 2024, RF-Edit)."""
    blocks, kept = list(network.blocks), {}

    def keep(block, v):
        kept[block] = v
        return v

    def take(block, v):
        return kept[block] if block in blocks[-layers:] else v

    at = lambda i: torch.full((len(x),), i / STEPS, dtype=x.dtype)
    for i in range(STEPS, 0, -1):
        x = x - network(x, at(i), told) / STEPS
    was = x
    for i in range(STEPS):
        network.values = keep
        ahead = was + network(was, at(i), told) / STEPS
        network.values = take if i < shared else None
        x, was = x + network(x, at(i), now) / STEPS, ahead
        network.values = None
    return x


def write(path, tensors):
    header, data = {"__metadata__": {"made_by": "tests/golden/make_import.py", "torch": torch.__version__}}, b""
    for name, t in tensors.items():
        raw = t.detach().double().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F64", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def checkpoints(folder):
    """small.pt: every type of numbers, views, what stands around tensors, in small_old.pt as before 1.6; sit.pt: a network
    as SiT's training leaves it."""
    base = torch.arange(12.0).reshape(3, 4)
    numbers = torch.tensor([-1.5, 0.25, 3.0])
    small = collections.OrderedDict(
        f32=numbers, f64=numbers.double(), f16=numbers.half(), bf16=numbers.bfloat16(),
        i64=torch.tensor([-(2**40), 7]), i32=torch.tensor([-5, 7], dtype=torch.int32),
        i16=torch.tensor([-5, 7], dtype=torch.int16), i8=torch.tensor([-5, 7], dtype=torch.int8),
        u8=torch.tensor([250, 7], dtype=torch.uint8), flag=torch.tensor([True, False]),
        turned=base.t(), part=base[1:, 1:3], scalar=torch.tensor(2.5), empty=torch.zeros(0, 3))
    small._metadata = collections.OrderedDict(version=1)
    for name, new in (("small.pt", True), ("small_old.pt", False)):
        torch.save({"model": small, "list": [numbers, (numbers, None)], "step": 70000, "long": 2**40, "rate": 1e-4,
                    "text": "none", "flags": (True, False)}, os.path.join(folder, name),
                   _use_new_zipfile_serialization=new)
    network = prepare(SiT(4, 1, 2, 8, 1, 2, 2)).float()
    raw = {n: torch.zeros_like(v) for n, v in network.state_dict().items()}
    torch.save({"model": {"module." + n: v for n, v in raw.items()}, "ema": network.state_dict(), "opt": {"state": {}}},
               os.path.join(folder, "sit.pt"))


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    dump(folder, "torchcfm", UNet(1, 32, (1, 2), 1, (False, True), heads=2, classes=3), (2, 1, 8, 8))
    dump(folder, "torchcfm_plain", UNet(3, 32, (1, 2, 1), 2, (False, True, False), head_channels=16), (2, 3, 8, 4))
    dump(folder, "flow_matching", UNet(1, 32, (2, 1), 1, (False, True), heads=4, classes=3, null_class=True, split=True,
                                       scale_shift=True, resample="plain"), (2, 1, 4, 4))
    dump(folder, "flow_matching_residual", UNet(3, 32, (1, 2), 1, (True, True), head_channels=16, split=True,
                                                scale_shift=True, resample="residual"), (2, 3, 4, 4))
    dump(folder, "sit", SiT(8, 4, 2, 24, 2, 3, 3), (2, 4, 8, 8))
    dump(folder, "sit_learned", SiT(4, 1, 1, 16, 1, 2, 2, learn_sigma=False, waves=False), (2, 1, 4, 4))
    checkpoints(folder)


if __name__ == "__main__":
    main()
