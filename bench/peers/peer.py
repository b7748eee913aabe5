"""peer.py CASE eager|compile [VARIANT]: the same work in PyTorch, answering the lines bench/cases/main.c answers.

Without a variant every one the case has is tried and the fastest is named: a case runs in a process of its own, so that
its memory is its own. Threads: OMP_NUM_THREADS.
"""

import importlib
import json
import os
import resource
import statistics
import sys
import time

import torch

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def find(case):
    for name in ("mlp", "unet", "transformer", "sde"):
        cases = importlib.import_module(name).CASES
        if case in cases:
            return cases[case]
    print("none no such case", flush=True)
    sys.exit(0)


def run_for(run, seconds):
    times = []
    begin = last = time.perf_counter()
    while not times or last - begin < seconds:
        run()
        now = time.perf_counter()
        times.append(now - last)
        last = now
    return times


def warm_up(run):
    """Two runs compile and settle; short ones are settled by more."""
    run()
    run_for(run, 0.2)


def fastest(make, mode, variants):
    """The fastest variant, by the median of a second of runs after warming up."""
    best = None
    for variant in variants:
        run = make(mode, variant)
        warm_up(run)
        seconds = statistics.median(run_for(run, 1.0))
        if best is None or seconds < best[0]:
            best = (seconds, variant)
    return best[1]


def answer(run):
    print("ready {}", flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "go":
            times = run_for(run, float(rest))
            report = {"median": statistics.median(times), "best": min(times), "runs": len(times)}
            print("time", json.dumps(report), flush=True)
        elif word == "loss":
            losses = [float(run()) for _ in range(int(rest))]
            tail = int(rest) // 10 + 1
            print("loss", sum(losses[-tail:]) / tail, flush=True)
        elif word == "end":
            break
    print("bytes", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)


def main():
    case, mode = sys.argv[1:3]
    make, variants = find(case)
    try:
        if len(sys.argv) < 4:
            print("variant", fastest(make, mode, variants[mode]), flush=True)
            return
        run = make(mode, sys.argv[3])
        warm_up(run)
    except Exception as error:  # a mode PyTorch cannot do here: the table says why
        print("none", type(error).__name__ + ": " + str(error).strip().split("\n")[0][:200], flush=True)
        return
    answer(run)


main()
