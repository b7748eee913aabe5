"""tokens.py train|sample eager|compile --width W --depth D --heads H --length T --symbols K [--batch B] [--n N --steps S]
[--seconds S]: what bench/tokens.sh asks of PyTorch; prints one JSON object with the tokens a second.

The network is that of src/nn/ddit.c: rotary positions, adaptive norms that are told the time, zero at first. `train` takes
steps of masked discrete flow matching (Gat et al. 2024) with fused AdamW, clipping and averaged weights, the tokens of
Python's own choice, and gives the median of the time there is. `sample` goes N rows through S equal steps from masks to
data, every step asking for all rows. Threads: OMP_NUM_THREADS.
"""

import argparse
import json
import math
import os
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.width = heads, width
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width))

    def forward(self, x, c, cos, sin):
        b, t, w = x.shape
        m = self.modulation(c)[:, None].chunk(6, -1)
        h = F.layer_norm(x, (w,), eps=1e-5) * (1 + m[1]) + m[0]
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(h).chunk(3, -1))
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + m[2] * self.out(y.transpose(1, 2).reshape(b, t, w))
        return x + m[5] * self.mlp(F.layer_norm(x, (w,), eps=1e-5) * (1 + m[4]) + m[3])


class Ddit(nn.Module):
    def __init__(self, symbols, length, width, depth, heads, features=16):
        super().__init__()
        self.embedding = nn.Embedding(symbols + 1, width)
        self.time = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.last, self.logits = nn.Linear(width, 2 * width), nn.Linear(width, symbols)
        for layer in [self.last, self.logits] + [b.modulation for b in self.blocks]:
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)
        half = width // heads // 2
        angle = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos()), self.register_buffer("sin", angle.sin())
        self.register_buffer("frequency", math.pi * 2.0 ** torch.arange(features // 2))

    def forward(self, x, t):
        h = self.embedding(x)
        angle = t[:, None] * self.frequency
        c = self.time(torch.cat((angle.cos(), angle.sin()), -1))
        for block in self.blocks:
            h = block(h, c, self.cos, self.sin)
        m = self.last(c)[:, None].chunk(2, -1)
        return self.logits(F.layer_norm(h, h.shape[-1:], eps=1e-5) * (1 + m[1]) + m[0])


def train(net, o):
    mask = o.symbols
    weights = list(net.parameters())
    average = [w.detach().clone() for w in weights]
    optimiser = torch.optim.AdamW(weights, lr=3e-3, weight_decay=0.01, fused=True)
    data = torch.randint(0, o.symbols, (4096, o.length))
    f = torch.compile(net) if o.mode == "compile" else net

    def step():
        x1 = data[torch.randint(0, len(data), (o.batch,))]
        t = torch.rand(o.batch)
        hidden = torch.rand(o.batch, o.length) >= t[:, None]
        entropy = F.cross_entropy(f(torch.where(hidden, mask, x1), t).flatten(0, 1), x1.flatten(), reduction="none")
        optimiser.zero_grad()
        (entropy * hidden.flatten()).mean().backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 0.001)

    for _ in range(3):
        step()
    times, end = [], time.perf_counter() + o.seconds
    while not times or time.perf_counter() < end:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    return o.batch * o.length / statistics.median(times)


@torch.no_grad()
def sample(net, o):
    f = torch.compile(net) if o.mode == "compile" else net
    mask = o.symbols
    x = torch.full((o.n, o.length), mask)
    f(x, torch.zeros(o.n))  # compiles
    begin = time.perf_counter()
    for k in range(o.steps):
        t, s = k / o.steps, (k + 1) / o.steps
        p = torch.softmax(f(x, torch.full((o.n,), t)).double(), -1)
        x1 = torch.multinomial(p.flatten(0, 1), 1).view(o.n, o.length)
        jumps = (x == mask) & (torch.rand(o.n, o.length) < (s - t) / (1 - t))
        x = torch.where(jumps, x1, x)
    return o.n * o.length / (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["train", "sample"])
    parser.add_argument("mode", choices=["eager", "compile"])
    for name, value in dict(width=256, depth=6, heads=4, length=256, symbols=65, batch=16, n=64, steps=256).items():
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--seconds", type=float, default=10)
    o = parser.parse_args()
    torch.manual_seed(0)
    net = Ddit(o.symbols, o.length, o.width, o.depth, o.heads)
    print(json.dumps({"tokens_per_second": (train if o.what == "train" else sample)(net, o)}))


main()
