"""diffrax_ode.py BENCH_CASES [ROUNDS]: our dopri5 beside diffrax, jitted, in turns: MLP 3 x 64, rtol = atol = 1e-5.

diffrax is run both ways it can be: a step size for each point (vmap), and one for the whole batch. Run it with a Python
that has diffrax (pip install diffrax); both sides have one thread; BENCH_CASES is the program bench/run.sh builds. Exit status 1 when a ratio falls
below 1.
"""

import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

WIDTH, DEPTH, GAIN = 64, 3, 2.0


def number(p, shape):
    """bench_number of bench/cases/main.c."""
    h = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(p * 0x85EBCA77 & 0xFFFFFFFF)
    h = (h ^ h >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    h = (h ^ h >> np.uint32(12)) * np.uint32(0x297A2D39)
    h ^= h >> np.uint32(15)
    return ((h >> np.uint32(8)).astype(np.float32) + np.float32(0.5)).reshape(shape) * np.float32(2.0**-23) - np.float32(1)


def layers():
    sizes = [3] + [WIDTH] * DEPTH + [2]
    scales = [GAIN / a**0.5 for a in sizes[:-1]]
    return [
        (jnp.asarray(s * number(2 * i, (a, b))), jnp.asarray(s * number(2 * i + 1, (b,))))
        for i, (a, b, s) in enumerate(zip(sizes, sizes[1:], scales))
    ]


def make(batch, each):
    weights = layers()

    def field(t, x, args):
        h = jnp.concatenate([x, jnp.broadcast_to(t, x.shape[:-1] + (1,))], axis=-1)
        for w, b in weights[:-1]:
            h = jax.nn.selu(h @ w + b)
        return h @ weights[-1][0] + weights[-1][1]

    def solve(x):
        control = diffrax.PIDController(rtol=1e-5, atol=1e-5)
        term = diffrax.ODETerm(field)
        return diffrax.diffeqsolve(term, diffrax.Dopri5(), 0.0, 1.0, None, x, stepsize_controller=control).ys[-1]

    run = jax.jit(jax.vmap(solve) if each else solve)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((batch, 2)).astype(np.float32))
    run(x).block_until_ready()
    return lambda: run(x).block_until_ready()


def turn(run, seconds=0.5):
    times, begin = [], time.perf_counter()
    while not times or time.perf_counter() - begin < seconds:
        last = time.perf_counter()
        run()
        times.append(time.perf_counter() - last)
    return statistics.median(times)


class Ours:
    def __init__(self, program, case):
        self.process = subprocess.Popen([program, case, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("ready")

    def turn(self, seconds=0.5):
        self.process.stdin.write(f"go {seconds}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline().partition(" ")[2])["median"]


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    worst = None
    print("points | ours ms | diffrax ms, a step each | one step for all | ratio to the faster")
    for batch in (1, 100, 256, 1000):
        ours, peers = Ours(sys.argv[1], f"ode-{batch}"), [make(batch, True), make(batch, False)]
        times = [(ours.turn(), *(turn(p) for p in peers)) for _ in range(rounds)]
        mine, each, one = (statistics.median(t) for t in zip(*times))
        ratio = min(each, one) / mine
        worst = ratio if worst is None else min(worst, ratio)
        print(f"{batch:6} | {mine * 1e3:7.3f} | {each * 1e3:23.3f} | {one * 1e3:16.3f} | {ratio:.2f}", flush=True)
        ours.process.stdin.write("end\n")
        ours.process.stdin.flush()
    sys.exit(worst < 1)


main()
