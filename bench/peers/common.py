"""What the peer's cases share: numbers both sides know, ways of training."""

import numpy as np
import torch


def number(p, shape):
    """A number in (-1,1) for each element: bench_number of bench/cases/main.c."""
    n = int(np.prod(shape))
    h = np.arange(n, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(p * 0x85EBCA77 & 0xFFFFFFFF)
    h = (h ^ h >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    h = (h ^ h >> np.uint32(12)) * np.uint32(0x297A2D39)
    h ^= h >> np.uint32(15)
    x = ((h >> np.uint32(8)).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23) - np.float32(1)
    return torch.from_numpy(x.reshape(shape))


def fill(net, gain=1.0):
    """Fills a plain MLP as fill_weights of bench/cases/mlp.c does; the numbers lie in the order of ours, (in, out)."""
    scale = 1.0
    for p, parameter in enumerate(net.parameters()):
        shape = tuple(parameter.shape)
        if len(shape) == 2:
            scale = gain / shape[1] ** 0.5
            value = number(p, shape[::-1]).T
        else:
            value = number(p, shape)
        parameter.data.copy_(scale * value)


def optimiser(parameters, variant, weight_decay=0.0):
    kind = "foreach" if "foreach" in variant else "fused"
    cls = torch.optim.AdamW if weight_decay else torch.optim.Adam
    return cls(parameters, lr=1e-3, weight_decay=weight_decay, **{kind: True})


def training(loss, net, mode, variant, weight_decay=0.0):
    """One step of `loss`, a function of the network. Compiled is the network alone, the whole loss with its draws, or
    (whole) the optimiser's step beside it, as the variant says."""
    opt = optimiser(net.parameters(), variant, weight_decay)
    f, update = net, opt.step
    if mode == "compile" and "net" in variant:
        f = torch.compile(net)
    elif mode == "compile":
        loss = torch.compile(loss)
    if mode == "compile" and "whole" in variant:
        update = torch.compile(opt.step)

    def step():
        opt.zero_grad()
        value = loss(f)
        value.backward()
        update()
        return value.detach()

    return step


# ways of training to choose from
TRAINING = {"eager": ["fused", "foreach"], "compile": ["net fused", "loss fused", "loss whole foreach"]}
PLAIN = {"eager": [""], "compile": [""]}
