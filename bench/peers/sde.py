"""Stochastic equations with torchsde: its settings are tried out, the step hint of its Brownian motion first."""

import torch
import torchsde


class Geometric(torch.nn.Module):
    noise_type = "diagonal"
    sde_type = "ito"

    def f(self, t, y):
        return -0.5 * y

    def g(self, t, y):
        return 0.3 * y

    def f_and_g(self, t, y):
        return -0.5 * y, 0.3 * y


MOTIONS = {
    "hint": dict(dt=0.01),
    "hint, no cache": dict(dt=0.01, cache_size=None),
    "hint, tolerance": dict(dt=0.01, tol=1e-2),
}


def solve(batch, columns):
    def make(mode, variant):
        sde = Geometric()
        if mode == "compile":
            sde.f_and_g = torch.compile(sde.f_and_g)
        ts = torch.tensor([0.0, 1.0])
        y = torch.ones(batch, columns)

        def run():
            with torch.no_grad():
                motion = torchsde.BrownianInterval(t0=0.0, t1=1.0, size=(batch, columns), **MOTIONS[variant])
                return torchsde.sdeint(sde, y, ts, bm=motion, method="euler", dt=0.01)[-1]

        return run

    return make


CASES = {"sde": (solve(1024, 2), {"eager": list(MOTIONS), "compile": list(MOTIONS)})}
