"""The UNet of guided-diffusion as torchcfm's image examples use it: training step, forward pass, forward derivative.

Written after the paper and the original's layer names (a state dict of torchcfm's UNetModelWrapper loads); attention is
the original's, softmax of a product of queries and keys by einsum; "sdpa" uses scaled_dot_product_attention instead.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from common import training


def conv(inputs, outputs, kernel=3, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)


def zero(layer):
    for p in layer.parameters():
        nn.init.zeros_(p)
    return layer


class Residual(nn.Module):
    def __init__(self, inputs, embedding, outputs):
        super().__init__()
        self.in_layers = nn.Sequential(nn.GroupNorm(32, inputs), nn.SiLU(), conv(inputs, outputs))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, outputs))
        self.out_layers = nn.Sequential(nn.GroupNorm(32, outputs), nn.SiLU(), nn.Dropout(0.0), zero(conv(outputs, outputs)))
        self.skip_connection = nn.Identity() if inputs == outputs else conv(inputs, outputs, 1)

    def forward(self, x, e):
        h = self.in_layers(x) + self.emb_layers(e)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Attention(nn.Module):
    def __init__(self, channels, heads, sdpa):
        super().__init__()
        self.heads, self.sdpa = heads, sdpa
        self.norm = nn.GroupNorm(32, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x, e):
        b, c, *pixels = x.shape
        x = x.reshape(b, c, -1)
        q, k, v = self.qkv(self.norm(x)).reshape(b * self.heads, 3 * c // self.heads, -1).chunk(3, 1)
        if self.sdpa:
            h = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)).transpose(1, 2)
        else:
            scale = (c // self.heads) ** -0.25
            weight = torch.softmax(torch.einsum("bct,bcs->bts", q * scale, k * scale), -1)
            h = torch.einsum("bts,bcs->bct", weight, v)
        return (x + self.proj_out(h.reshape(b, c, -1))).reshape(b, c, *pixels)


class Down(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.op = conv(channels, channels, 3, 2)

    def forward(self, x, e):
        return self.op(x)


class Up(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = conv(channels, channels)

    def forward(self, x, e):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class First(nn.Conv2d):
    def forward(self, x, e):
        return super().forward(x)


class UNet(nn.Module):
    def __init__(self, images, width, mult, blocks, attended, heads=1, head_channels=0, sdpa=False, classes=0):
        super().__init__()
        self.width = width
        embedding = 4 * width

        def block(inputs, level):
            outputs = mult[level] * width
            layers = [Residual(inputs, embedding, outputs)]
            if level in attended:
                layers.append(attention(outputs))
            return outputs, layers

        def attention(c):
            return Attention(c, c // head_channels if head_channels else heads, sdpa)

        self.time_embed = nn.Sequential(nn.Linear(width, embedding), nn.SiLU(), nn.Linear(embedding, embedding))
        if classes:
            self.label_emb = nn.Embedding(classes, embedding)
        c = mult[0] * width
        down, kept = [[First(images, c, 3, 1, 1)]], [c]
        for level in range(len(mult)):
            for _ in range(blocks):
                c, layers = block(c, level)
                down.append(layers)
                kept.append(c)
            if level + 1 < len(mult):
                down.append([Down(c)])
                kept.append(c)
        self.middle_block = nn.ModuleList([Residual(c, embedding, c), attention(c), Residual(c, embedding, c)])
        up = []
        for level in reversed(range(len(mult))):
            for i in range(blocks + 1):
                c, layers = block(c + kept.pop(), level)
                if level and i == blocks:
                    layers.append(Up(c))
                up.append(layers)
        self.input_blocks = nn.ModuleList(nn.ModuleList(layers) for layers in down)
        self.output_blocks = nn.ModuleList(nn.ModuleList(layers) for layers in up)
        self.out = nn.Sequential(nn.GroupNorm(32, c), nn.SiLU(), zero(conv(c, images)))

    def forward(self, t, x, told=None):
        """told (B, classes): a one among zeros, or zeros alone for pictures that are told nothing."""
        half = self.width // 2
        angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half, dtype=t.dtype) / half)
        e = self.time_embed(torch.cat([torch.cos(angle), torch.sin(angle)], 1))
        if told is not None:
            e = e + told @ self.label_emb.weight
        kept = []
        for layers in self.input_blocks:
            for layer in layers:
                x = layer(x, e)
            kept.append(x)
        for layer in self.middle_block:
            x = layer(x, e)
        for layers in self.output_blocks:
            x = torch.cat([x, kept.pop()], 1)
            for layer in layers:
                x = layer(x, e)
        return self.out(x)


MNIST = dict(images=1, width=32, mult=(1, 2, 2), blocks=1, attended=(0,))
CIFAR = dict(images=3, width=128, mult=(1, 2, 2, 2), blocks=2, attended=(1,), head_channels=64)


def make_net(config, variant):
    torch.manual_seed(0)
    net = UNet(**config, sdpa="sdpa" in variant)
    return net.to(memory_format=torch.channels_last) if "last" in variant else net


def images(variant, *shape):
    x = torch.randn(*shape)
    return x.contiguous(memory_format=torch.channels_last) if "last" in variant else x


def train(config, batch, size):
    def make(mode, variant):
        net = make_net(config, variant)
        x1 = images(variant, batch, config["images"], size, size)

        def loss(f):
            x0 = torch.randn_like(x1)
            t = torch.rand(batch)
            dx = x1 - x0
            return (f(t, x0 + t[:, None, None, None] * dx) - dx).square().mean()

        return training(loss, net, mode, variant)

    return make


def forward(config, batch, size):
    def make(mode, variant):
        net = make_net(config, variant).requires_grad_(False)
        f = torch.compile(net) if mode == "compile" else net
        x, t = images(variant, batch, config["images"], size, size), torch.rand(batch)

        def run():
            with torch.no_grad():
                return f(t, x)

        return run

    return make


def derivative(config, batch, size):
    """u and du/dt along (v, 1), MeanFlow's need (Geng et al. 2025, section 4)."""

    def make(mode, variant):
        net = make_net(config, variant).requires_grad_(False)
        x, t = images(variant, batch, config["images"], size, size), torch.rand(batch)
        v, one = torch.randn_like(x), torch.ones(batch)

        def both(t, x, dt, dx):
            return torch.func.jvp(net, (t, x), (dt, dx))

        f = torch.compile(both) if mode == "compile" else both

        def run():
            with torch.no_grad():
                return f(t, x, one, v)

        return run

    return make


WAYS = {"eager": ["fused", "fused last"], "compile": ["net fused", "net fused last"]}
PLAIN = {"eager": ["", "last"], "compile": ["", "last"]}
CASES = {
    "unet-train": (train(MNIST, 128, 28), WAYS),
    "unet-forward": (forward(MNIST, 128, 28), PLAIN),
    "unet-jvp": (derivative(MNIST, 128, 28), PLAIN),
    "cifar-train": (train(CIFAR, 8, 32), WAYS),
}
