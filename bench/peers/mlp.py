"""Flow matching of a two-dimensional checkerboard: the sizes of flow_matching's example, a step, sampling, likelihood."""

import torch
from torch import nn
from torchdiffeq import odeint

from common import PLAIN, TRAINING, fill, number, training


class MLP(nn.Module):
    def __init__(self, width, depth, act):
        super().__init__()
        sizes = [3] + [width] * depth
        layers = []
        for a, b in zip(sizes, sizes[1:]):
            layers += [nn.Linear(a, b), act()]
        self.main = nn.Sequential(*layers, nn.Linear(width, 2))

    def forward(self, x, t):
        return self.main(torch.cat([x, t.reshape(-1, 1).expand(x.shape[0], 1)], dim=1))


def checkerboard(n):
    x = torch.rand(n) * 4 - 2
    y = torch.rand(n) - torch.randint(high=2, size=(n,)) * 2 + torch.floor(x) % 2
    return torch.stack([x, y], dim=1) / 0.45


def step(batch, width, depth, act, low=False):
    def make(mode, variant):
        torch.manual_seed(0)
        net = MLP(width, depth, act)

        def loss(f):
            x1 = checkerboard(batch)
            x0 = torch.randn_like(x1)
            t = torch.rand(batch)
            dx = x1 - x0
            xt = x0 + t[:, None] * dx
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=low):
                u = f(xt, t)
            return (u.float() - dx).pow(2).mean()

        return training(loss, net, mode, variant)

    return make


def field(net, mode):
    def f(t, x):
        return net(x, t)

    return torch.compile(f) if mode == "compile" else f


def solve(batch, width, depth, act, gain, **solver):
    def make(mode, variant):
        torch.manual_seed(0)
        net = MLP(width, depth, act)
        fill(net, gain)
        f = field(net, mode)
        x = torch.randn(batch, 2)
        span = torch.tensor([0.0, 1.0])

        def run():
            with torch.no_grad():
                return odeint(f, x, span, **solver)[-1]

        return run

    return make


def likelihood(batch, width, depth, steps):
    """As flow_matching's ODESolver.compute_likelihood with the exact divergence: one backward pass a column."""

    def make(mode, variant):
        net = MLP(width, depth, nn.SiLU)
        fill(net)
        net.requires_grad_(False)
        f = field(net, mode)

        def both(t, state):
            with torch.enable_grad():
                x = state[0].detach().requires_grad_()
                u = f(t, x)
                div = 0
                for i in range(x.shape[1]):
                    div = div + torch.autograd.grad(u[:, i].sum(), x, retain_graph=i + 1 < x.shape[1])[0][:, i]
            return u.detach(), div.detach()

        x1 = 3 * number(99, (batch, 2))
        span = torch.tensor([1.0, 0.0])

        def run():
            x, log_det = odeint(both, (x1, torch.zeros(batch)), span, method="midpoint", options={"step_size": 1 / steps})
            return -0.5 * (x[-1] ** 2).sum(1) - 1.8378770664093453 + log_det[-1]

        return run

    return make


def scalar(mode, variant):
    """x' = -x from 0 to 100 at 1e-9: what the solver itself costs."""

    def f(t, x):
        return -x

    g = torch.compile(f) if mode == "compile" else f
    x, span = torch.ones(1, dtype=torch.float64), torch.tensor([0.0, 100.0], dtype=torch.float64)

    def run():
        with torch.no_grad():
            return odeint(g, x, span, method="dopri5", rtol=1e-9, atol=1e-9)[-1]

    return run


MIDPOINT = dict(method="midpoint", options={"step_size": 0.02})
DOPRI5 = dict(method="dopri5", rtol=1e-5, atol=1e-5)
CASES = {
    "step-4096": (step(4096, 512, 4, nn.SiLU), TRAINING),
    "step-256": (step(256, 512, 4, nn.SiLU), TRAINING),
    "step-4096-bf16": (step(4096, 512, 4, nn.SiLU, low=True), TRAINING),
    "step-256-bf16": (step(256, 512, 4, nn.SiLU, low=True), TRAINING),
    "step-small": (step(256, 64, 3, nn.SELU), TRAINING),
    "sample": (solve(10000, 512, 4, nn.SiLU, 1.0, **MIDPOINT), PLAIN),
    "ode-1": (solve(1, 64, 3, nn.SELU, 2.0, **DOPRI5), PLAIN),
    "ode-100": (solve(100, 64, 3, nn.SELU, 2.0, **DOPRI5), PLAIN),
    "ode-1000": (solve(1000, 64, 3, nn.SELU, 2.0, **DOPRI5), PLAIN),
    "ode-256": (solve(256, 64, 3, nn.SELU, 2.0, **DOPRI5), PLAIN),
    "ode-256-dopri8": (solve(256, 64, 3, nn.SELU, 2.0, **dict(DOPRI5, method="dopri8")), PLAIN),
    "ode-scalar": (scalar, PLAIN),
    "likelihood": (likelihood(10000, 512, 4, 20), PLAIN),
}
