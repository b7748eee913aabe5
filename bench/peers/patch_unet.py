"""`--network patch_unet` of ours in PyTorch, layer by layer: src/nn/patch_unet.c says what it is."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from unet import conv, zero

GROUPS, TIME_FEATURES, TOLD = 8, 64, 4
SLOWEST, FASTEST = 1.0, 30.0  # radians of t


class Residual(nn.Module):
    def __init__(self, channels, told):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, channels), nn.GroupNorm(GROUPS, channels)
        self.conv1, self.conv2 = conv(channels, channels), zero(conv(channels, channels))
        self.told = nn.Linear(told, 2 * channels)

    def forward(self, x, told):
        scale, shift = self.told(told)[:, :, None, None].chunk(2, 1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return x + self.conv2(F.silu(h))


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(GROUPS, channels)
        self.qkv, self.out = nn.Linear(channels, 3 * channels), zero(nn.Linear(channels, channels))

    def forward(self, x, told):
        b, c, height, width = x.shape
        h = self.qkv(self.norm(x).flatten(2).transpose(1, 2))
        q, k, v = h.reshape(b, -1, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, -1, c)
        return x + self.out(h).transpose(1, 2).reshape(b, c, height, width)


class Level(nn.Module):
    """A level and all below it: blocks, the levels below on half the pixels, blocks."""

    def __init__(self, channels, told, blocks, heads, attended):
        super().__init__()
        c = channels[0]

        def layers():
            return nn.ModuleList(
                layer for _ in range(blocks)
                for layer in [Residual(c, told)] + ([Attention(c, heads)] if attended[0] else []))

        self.down, self.up, self.below = layers(), layers(), None
        if len(channels) > 1:
            self.halve, self.widen = conv(c, channels[1], 3, 2), conv(channels[1], 4 * c, 1)
            self.below, self.join = Level(channels[1:], told, blocks, heads, attended[1:]), conv(2 * c, c, 1)

    def forward(self, x, told):
        for layer in self.down:
            x = layer(x, told)
        if self.below is not None:
            h = F.pixel_shuffle(self.widen(self.below(self.halve(x), told)), 2)
            x = self.join(torch.cat([x, h], 1))
        for layer in self.up:
            x = layer(x, told)
        return x


class PatchUNet(nn.Module):
    """Its defaults for 28 x 28 pixels: attention at the lowest level alone, of 7 x 7."""

    def __init__(self, images, width=64, mult=(1, 2), blocks=2, heads=4, patch=2, classes=10):
        super().__init__()
        told, attended = TOLD * width, [False] * (len(mult) - 1) + [True]
        self.patch = patch
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, told), nn.SiLU(), nn.Linear(told, told))
        self.condition = nn.Linear(classes, told, bias=False)
        self.first = conv(patch * patch * images, width * mult[0])
        self.levels = Level([width * m for m in mult], told, blocks, heads, attended)
        self.norm = nn.GroupNorm(GROUPS, width * mult[0])
        self.last = zero(conv(width * mult[0], patch * patch * images))

    def forward(self, t, x, told=None):
        """told (B, classes): a one among zeros, or zeros alone for pictures that are told nothing."""
        half = TIME_FEATURES // 2
        rates = SLOWEST * (FASTEST / SLOWEST) ** (torch.arange(half) / (half - 1))
        angle = t[:, None] * rates.to(t.device)
        e = self.time(torch.cat([torch.sin(angle), torch.cos(angle)], 1))
        if told is not None:
            e = e + self.condition(told)
        h = self.levels(self.first(F.pixel_unshuffle(x, self.patch)), F.silu(e))
        return F.pixel_shuffle(self.last(F.silu(self.norm(h))), self.patch)
