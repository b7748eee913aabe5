"""samplers.py > samplers.inc: points moved by the samplers of Hugging Face diffusers and azula on eight Gaussians of
deviation 0.3 at radius 4, whose posterior mean is closed (tests/path/g8.h).

Needs torch, diffusers and azula. diffusers rounds its noise levels to float32 and steps in it.
"""

import math

import azula
import diffusers
import numpy as np
import torch
from azula.noise import RectifiedSchedule
from azula.sample import DDIMSampler, vABSampler

CENTRES = torch.tensor([[4 * math.cos(k * math.pi / 4), 4 * math.sin(k * math.pi / 4)] for k in range(8)]).double()
START = torch.tensor([[0.3, -1.2], [1.5, 0.4], [-0.7, 0.9], [-2.1, -0.2]]).double()
STEPS = 16


def posterior_mean(x, alpha, sigma):
    variance = sigma**2 + 0.09 * alpha**2
    off = x[:, None] - alpha * CENTRES
    w = torch.softmax(-(off**2).sum(-1) / (2 * variance), 1)
    return (w[..., None] * (CENTRES + 0.09 * alpha / variance * off)).sum(1)


def by_diffusers(scheduler):
    scheduler.set_timesteps(STEPS)
    x = START.float()
    for sigma, t in zip(scheduler.sigmas[:-1], scheduler.timesteps):
        s = float(sigma)
        x1 = posterior_mean(x.double(), 1 - s, s)
        x = scheduler.step((((x.double() - x1) / s)).float(), t, x).prev_sample
    return scheduler.sigmas.double(), x.double()


class Denoiser(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.schedule = RectifiedSchedule()

    def forward(self, x, t, **kwargs):
        alpha, sigma = self.schedule(t)
        mean = posterior_mean(x, alpha, sigma)
        return type("Posterior", (), {"mean": mean})()


def show(name, grid, x):
    times = ", ".join(f"{float(np.float64(1) - s):.17g}" for s in grid)
    rows = ", ".join(f"{v:.9g}" for v in x.flatten().tolist())
    print(f'    {{"{name}", {{{times}}}, {{{rows}}}}},')


print(f"/* Made by samplers.py: diffusers {diffusers.__version__}, azula {azula.__version__}. */")
print(f"enum {{ GOLDEN_STEPS = {STEPS}, GOLDEN_ROWS = {len(START)} }};")
print("static const double golden_start[] = {" + ", ".join(f"{v:g}" for v in START.flatten().tolist()) + "};")
print("/* along condot, at these times */\nstatic const struct {\n    const char *name;")
print("    double times[GOLDEN_STEPS + 1], x[2 * GOLDEN_ROWS];\n} golden_diffusers[] = {")
flow = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, solver_order=2)
show("dpmpp_2m", *by_diffusers(diffusers.DPMSolverMultistepScheduler(algorithm_type="dpmsolver++", **flow)))
show("unipc", *by_diffusers(diffusers.UniPCMultistepScheduler(solver_type="bh2", **flow)))
print("};\n/* along rectified, in equal steps */\nstatic const struct {\n    const char *name;")
print("    double x[2 * GOLDEN_ROWS];\n} golden_azula[] = {")
torch.set_default_dtype(torch.float64)
for name, sampler in (("ddim", DDIMSampler(Denoiser(), steps=STEPS)), ("vab", vABSampler(Denoiser(), order=2, steps=STEPS))):
    x = sampler(START)
    print(f'    {{"{name}", {{' + ", ".join(f"{v:.15g}" for v in x.flatten().tolist()) + "}},")
print("};")
