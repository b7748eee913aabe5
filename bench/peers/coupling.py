"""coupling.py PROGRAM [--rounds N] [--sizes N,...] [--json]: couplings of one batch by us and by POT in turns, one thread.

Exact: POT's network simplex (ot.emd) and scipy's linear_sum_assignment, our assignment and our network simplex, all given
the same matrix of costs; the totals must be equal. Entropic: ot.sinkhorn at 0.05 of the mean cost to 1e-6. Times are medians
of the rounds, in CPU seconds of the thread; exit status 1 when the exact coupling is below its bar or not exact.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import ot
from scipy.optimize import linear_sum_assignment

BAR = 2.0


def points(n, columns):
    """Normal points to eight clusters on a ring (2-D), or to shifted normal points."""
    r = np.random.default_rng(7)
    source = r.standard_normal((n, columns))
    data = 1 + r.standard_normal((n, columns))
    if columns == 2:
        angle = r.integers(0, 8, n) * np.pi / 4
        data = 5 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.5 * r.standard_normal((n, 2))
    return source.astype(np.float32), data.astype(np.float32)


def clocked(work):
    begin = time.thread_time()
    plan = work()
    return time.thread_time() - begin, plan


class Ours:
    def __init__(self, program, source, data):
        self.file = tempfile.NamedTemporaryFile()
        self.file.write(source.tobytes() + data.tobytes())
        self.file.flush()
        command = [program, str(len(data)), str(data.shape[1]), self.file.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def once(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return tuple(map(float, self.process.stdout.readline().split()))

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def measure(options, n, columns):
    source, data = points(n, columns)
    x, y = data.astype(np.float64), source.astype(np.float64)
    cost = sum((x[:, None, c] - y[None, :, c]) ** 2 for c in range(columns))
    uniform, ours, times = np.full(n, 1 / n), Ours(options.program, source, data), {}
    reg = 0.05 * cost.mean()
    for _ in range(options.rounds):
        spent, plan = clocked(lambda: ot.emd(uniform, uniform, cost, numItermax=10**8))
        times.setdefault("emd", []).append(spent)
        theirs = n * (plan * cost).sum()
        spent, (rows, columns_of) = clocked(lambda: linear_sum_assignment(cost))
        times.setdefault("scipy", []).append(spent)
        golden = cost[rows, columns_of].sum()
        if options.sinkhorn:
            spent, _ = clocked(lambda: ot.sinkhorn(uniform, uniform, cost, reg, numItermax=1000, stopThr=1e-6))
            times.setdefault("ot.sinkhorn", []).append(spent)
        totals = {}
        for what in ("assignment", "simplex", "ot", "sinkhorn", "stable", "heuristic"):
            spent, totals[what] = ours.once(what)
            times.setdefault(what, []).append(spent)
    ours.end()
    result = {"n": n, "columns": columns, **{k: statistics.median(v) for k, v in times.items()}}
    result["ratio"] = result["emd"] / result["assignment"]
    result["off"] = max(abs(totals[k] / golden - 1) for k in ("assignment", "simplex", "ot"))
    result["emd_off"] = abs(theirs / golden - 1)
    result["totals"] = {k: totals[k] / golden for k in ("sinkhorn", "stable", "heuristic")}
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", default="256,1024,2048")
    parser.add_argument("--sinkhorn", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [measure(options, int(n), d) for d in (2, 64) for n in options.sizes.split(",")]
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        names = [k for k in results[0] if k not in ("n", "columns", "ratio", "off", "emd_off", "totals")]
        print("milliseconds  " + "".join(f"{name:>12}" for name in names) + "   emd/ours  off by")
        for r in results:
            print(f"{r['columns']:>2}-D n {r['n']:>5}  " + "".join(f"{1e3 * r[name]:12.2f}" for name in names)
                  + f"{r['ratio']:11.2f}  {r['off']:.0e}   " + ", ".join(f"{k} costs {v:.3f}" for k, v in r["totals"].items()))
    sys.exit(any(r["ratio"] < BAR or r["off"] > 1e-12 for r in results))


main()
