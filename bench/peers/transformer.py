"""A transformer over tokens with norms before the branches, the size of flow_matching's text example: training step and
forward pass."""

import torch
import torch.nn.functional as F
from torch import nn

from common import training


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(self.norm1(x)).chunk(3, 2))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, c))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self, symbols, length, width, depth, heads):
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, symbols)

    def forward(self, tokens):
        h = self.embedding(tokens) + self.position
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


SYMBOLS, LENGTH = 28, 256


def make_net():
    torch.manual_seed(0)
    return Transformer(SYMBOLS, LENGTH, 256, 6, 4)


def train(batch):
    """Tokens hidden with a probability that differs from row to row are guessed: masked discrete flow matching."""

    def make(mode, variant):
        net = make_net()
        x1 = torch.randint(0, SYMBOLS - 1, (batch, LENGTH))

        def loss(f):
            hidden = torch.rand(batch, LENGTH) >= torch.rand(batch)[:, None]
            logits = f(torch.where(hidden, SYMBOLS - 1, x1))
            return F.cross_entropy(logits.flatten(0, 1), x1.flatten())

        return training(loss, net, mode, variant, weight_decay=0.01)

    return make


def forward(batch):
    def make(mode, variant):
        net = make_net().requires_grad_(False)
        f = torch.compile(net) if mode == "compile" else net
        x1 = torch.randint(0, SYMBOLS - 1, (batch, LENGTH))

        def run():
            with torch.no_grad():
                return f(x1)

        return run

    return make


WAYS = {"eager": ["fused", "foreach"], "compile": ["net fused", "loss fused"]}
PLAIN = {"eager": [""], "compile": [""]}
CASES = {"dit-train": (train(16), WAYS), "dit-forward": (forward(16), PLAIN)}
