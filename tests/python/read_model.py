"""Reads a model with the safetensors package and checks it against a second implementation.

The network (nn/mlp.c), the standardisation and the likelihood are written again here in NumPy from their formulas: the
flow's equation is integrated from data to noise by RK4 with the exact trace of the Jacobian, and the log-densities
must agree with what `thalweg score` wrote. Single precision in the program bounds the agreement to about 1e-4.
"""

import csv
import json
import sys

import numpy as np
from safetensors import safe_open

model, points, scores = sys.argv[1:]
passed = failed = 0


def check(what, holds):
    global passed, failed
    if holds:
        passed += 1
    else:
        failed += 1
        print("FAILED:", what)


with safe_open(model, "np") as f:
    about = f.metadata()
    tensor = {name: f.get_tensor(name) for name in f.keys()}

check("format", about.get("format") == "thalweg-flow" and int(about["format_version"]) >= 1)
for key in ("method", "space", "source", "path", "schedule", "coupling", "network.kind", "seed", "thalweg_version"):
    check(f"metadata has {key}", about.get(key))
columns = json.loads(about["columns"])
check("two named columns", len(columns) == 2 and all(isinstance(c, str) for c in columns))
check("numbers are finite", all(np.isfinite(t).all() for t in tensor.values()))
check("weights are single precision", all(t.dtype == np.float32 for n, t in tensor.items() if "normaliser" not in n))

shift, scale = tensor["normaliser.shift"], tensor["normaliser.scale"]
w = {name.removeprefix("network."): t.astype(np.float64) for name, t in tensor.items()}
depth, features = int(about["network.depth"]), int(about["network.time_features"])
frequency = 30.0 ** (np.arange(features // 2) / (features // 2 - 1))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def silu(a):
    return a * sigmoid(a)


def silu_slope(a):
    s = sigmoid(a)
    return s * (1 + a * (1 - s))


def velocity(z, t):
    """u (B,2) and its divergence (B), all tangents carried along by hand."""
    angle = t * frequency
    time = np.concatenate([np.sin(angle), np.cos(angle)]) @ w["time.weight"]
    h = z @ w["in.weight"] + w["in.bias"] + time
    tangent = np.broadcast_to(w["in.weight"], (len(z),) + w["in.weight"].shape)  # (B, 2, width)
    for i in range(depth):
        weight, bias = w[f"block.{i}.weight"], w[f"block.{i}.bias"]
        tangent = tangent + (tangent * silu_slope(h)[:, None]) @ weight
        h = h + silu(h) @ weight + bias
    tangent = (tangent * silu_slope(h)[:, None]) @ w["out.weight"]  # (B, 2, 2)
    return silu(h) @ w["out.weight"] + w["out.bias"], np.trace(tangent, axis1=1, axis2=2)


def read(path):
    with open(path, newline="") as f:
        rows = list(csv.reader(f))
    return rows[0], np.array(rows[1:], dtype=float)


names, x = read(points)
check("samples carry the names of the columns", names == columns)
z, integral, steps = (x - shift) / scale, np.zeros(len(x)), 400
for i in range(steps):
    t, h = 1 - i / steps, -1 / steps
    k1, d1 = velocity(z, t)
    k2, d2 = velocity(z + h / 2 * k1, t + h / 2)
    k3, d3 = velocity(z + h / 2 * k2, t + h / 2)
    k4, d4 = velocity(z + h * k3, t + h)
    z = z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    integral += h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)
expected = -0.5 * (z**2).sum(1) - np.log(2 * np.pi) + integral - np.log(scale).sum()

header, table = read(scores)
got = table[:, -1]
worst = np.abs(got - expected).max()
check("as many scores as points", got.shape == expected.shape)
check(f"log-densities agree (largest difference {worst:.2e})", worst < 2e-4)
check("the densities differ from row to row", expected.std() > 0.1)

print(f"largest difference of log-densities {worst:.2e}")
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
