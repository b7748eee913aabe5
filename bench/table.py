"""The table of bench/run.sh: every case run by us and by PyTorch, eager and compiled, in turns.

A case's three processes stay alive and are asked to run one after another, so that each pays for its start once and
all of them see the same machine; a fourth measures the machine's product peak in the same turns. Reported are medians
of the turns' medians. How PyTorch is run (optimiser, what is compiled, memory format) is tried out first and
remembered beside the environment; --tune tries again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

# name, bar for the ratio, whether memory may be at most half of torch's, what it is
CASES = [
    ("step-4096", 1.2, True, "flow-matching step, MLP 4x512, batch 4096"),
    ("step-4096-bf16", 1.4, True, "the same, products in bf16"),
    ("step-256", 1.4, True, "flow-matching step, MLP 4x512, batch 256"),
    ("step-256-bf16", 1.9, True, "the same, products in bf16"),
    ("step-small", 4, True, "flow-matching step, MLP 3x64, batch 256"),
    ("sample", 1.35, False, "10,000 points, midpoint 50 steps, MLP 4x512"),
    ("ode-1", 50, False, "dopri5 rtol 1e-5, MLP 3x64, 1 point"),
    ("ode-100", 5, False, "the same, 100 points"),
    ("ode-1000", 3, False, "the same, 1,000 points"),
    ("ode-256", 3, False, "the same, 256 points"),
    ("ode-256-dopri8", 3, False, "the same, dopri8 (torchdiffeq 0.2.5 has no tsit5)"),
    ("ode-scalar", 100, False, "dopri5 rtol 1e-9 on x' = -x, one number"),
    ("likelihood", 2.2, False, "exact log-likelihood, MLP 4x512, 10,000 points, midpoint 20 steps"),
    ("sde", 3, False, "Euler-Maruyama, 100 steps, 1,024 points; the peer is torchsde"),
    ("unet-train", 1.4, True, "UNet of torchcfm's MNIST example, 28x28, batch 128: training step"),
    ("unet-forward", 1.4, False, "the same, forward"),
    ("cifar-train", 1.2, True, "torchcfm's CIFAR-10 UNet, batch 8: training step"),
    ("dit-train", 1.4, True, "transformer 6 x 256, 4 heads, T = 256, batch 16: training step"),
    ("dit-forward", 1.3, False, "the same, forward"),
    ("unet-jvp", 1.8, False, "forward derivative of the MNIST UNet, against torch.func.jvp"),
    ("startup", 100, False, "--version against import torch"),
]
# steps after which losses are compared: the same training, and in bf16 as good a one
LOSS_STEPS = {"step-4096": 200, "step-4096-bf16": 200, "step-256": 1000, "step-256-bf16": 1000}
# PyTorch's allocator is malloc: kept from returning memory it is faster. Threads stay where they are.
PEER_SETTINGS = {
    "GLIBC_TUNABLES": "glibc.malloc.trim_threshold=8589934592:glibc.malloc.mmap_threshold=8589934592:glibc.malloc.hugetlb=1",
    "OMP_PROC_BIND": "true",
}
PEER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers", "peer.py")


class Process:
    """A program that answers lines (bench/cases/main.c says which); `why` holds what keeps it from running."""

    def __init__(self, *command, settings={}):
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.process = subprocess.Popen(command, env=dict(os.environ, **settings), **pipes)
        self.turns, self.bests, self.bytes, self.facts, self.why = [], [], None, {}, None
        word, rest = self.read()
        if word == "ready":
            self.facts = json.loads(rest)
        elif word != "variant":
            self.fail(rest or "ended without a word")
        self.word, self.rest = word, rest

    def read(self):
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            if word in ("ready", "time", "loss", "bytes", "none", "variant"):
                return word, rest
        return None, None

    def fail(self, why):
        self.why = why
        self.process.kill()
        self.process.wait()

    def ask(self, line):
        if self.why:
            return None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        word, rest = self.read()
        if word in (None, "none"):
            self.fail(rest or f"ended with status {self.process.wait()}")
            return None
        return rest

    def turn(self, seconds):
        answer = self.ask(f"go {seconds}")
        if answer:
            answer = json.loads(answer)
            self.turns.append(answer["median"])
            self.bests.append(answer["best"])

    def end(self):
        answer = self.ask("end")
        if answer:
            self.bytes = int(answer)
            self.process.wait()

    def seconds(self):
        return statistics.median(self.turns) if self.turns and not self.why else None


def ours(options, case):
    return Process(os.path.join(options.build, "bench_cases"), case, str(options.threads))


def tuned(options, case, mode):
    """The fastest way to run PyTorch, from the file beside the environment or by trying."""
    path = os.path.join(os.path.dirname(os.path.dirname(options.python)), f"thalweg-bench-{options.threads}.json")
    known = json.load(open(path)) if os.path.exists(path) else {}
    key = f"{case} {mode}"
    if options.tune or key not in known:
        trial = Process(options.python, PEER, case, mode, settings=PEER_SETTINGS)
        trial.process.wait()
        known[key] = "" if trial.why else trial.rest
        try:
            json.dump(known, open(path, "w"), indent=1)
        except OSError:
            pass  # an environment that cannot be written to: tried again next time
    return known[key]


def peer(options, case, mode):
    variant = tuned(options, case, mode)
    process = Process(options.python, PEER, case, mode, variant, settings=PEER_SETTINGS)
    process.variant = variant
    return process


def around(word, processes):
    """Tells the command that keeps other work off the machine, if there is one, that turns begin or end."""
    if "THALWEG_BENCH_AROUND" in os.environ:
        pids = [str(p.process.pid) for p in processes if not p.why]
        subprocess.run([os.environ["THALWEG_BENCH_AROUND"], word, *pids], check=True)


def measure(options, case):
    """The case's processes, after their turns: ours, eager, compile, peak."""
    processes = [ours(options, case), peer(options, case, "eager"), peer(options, case, "compile"), ours(options, "peak")]
    if case in LOSS_STEPS:
        for process in processes[:2]:
            process.loss = process.ask(f"loss {LOSS_STEPS[case]}")
    for _ in range(options.repeats):
        around("begin", processes)
        for process in processes[:3]:
            process.turn(options.seconds)
        processes[3].turn(0.1)
        around("end", processes)
    for process in processes:
        process.end()
    return processes


def row(options, name, bar):
    mine, eager, compiled, peak = measure(options, name)
    peers = [s for s in (eager.seconds(), compiled.seconds()) if s]
    share = None
    if mine.seconds() and peak.bests:
        share = mine.facts["flops"] / mine.seconds() / (peak.facts["flops"] / statistics.median(peak.bests))
    sizes = [p.bytes for p in (eager, compiled) if p.bytes]
    notes = [f"eager: {eager.why or eager.variant or 'as it is'}", f"compile: {compiled.why or compiled.variant or 'as it is'}"]
    if name in LOSS_STEPS and mine.loss and eager.loss:
        notes.append(f"loss after {LOSS_STEPS[name]} steps: ours {float(mine.loss):.3f}, torch {float(eager.loss):.3f}")
    if mine.why:
        notes.append("ours: " + mine.why)
    return {
        "case": name,
        "ours_s": mine.seconds(),
        "torch_eager_s": eager.seconds(),
        "torch_compile_s": compiled.seconds(),
        "ratio": min(peers) / mine.seconds() if peers and mine.seconds() else None,
        "bar": bar,
        "peak_share": share,
        "ours_bytes": mine.bytes,
        "torch_bytes": min(sizes) if sizes else None,
    }, notes


def start_up(options, bar):
    def once(*command):
        begin = time.perf_counter()
        pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
        assert status == 0, command
        return time.perf_counter() - begin, usage.ru_maxrss * 1024

    mine, theirs = [], []
    once(os.path.join(options.build, "thalweg"), "--version")
    once(options.python, "-c", "import torch")
    for _ in range(options.repeats):
        mine.append(min(once(os.path.join(options.build, "thalweg"), "--version") for _ in range(5)))
        theirs.append(once(options.python, "-c", "import torch"))
    mine = statistics.median(m[0] for m in mine), mine[0][1]
    theirs = statistics.median(t[0] for t in theirs), theirs[0][1]
    return {
        "case": "startup",
        "ours_s": mine[0],
        "torch_eager_s": theirs[0],
        "torch_compile_s": None,
        "ratio": theirs[0] / mine[0],
        "bar": bar,
        "peak_share": None,
        "ours_bytes": mine[1],
        "torch_bytes": theirs[1],
    }, []


COLUMNS = [("case", 15), ("ours ms", 11), ("torch eager ms", 14), ("torch.compile ms", 16), ("ratio", 6), ("bar", 5)]
COLUMNS += [("of GEMM peak", 12), ("our MiB", 7), ("torch MiB", 9)]


def print_head():
    print(" | ".join(name.ljust(width) if name == "case" else name.rjust(width) for name, width in COLUMNS), "|")


def show(value, form, scale=1.0):
    return "-" if value is None else form.format(value * scale)


def print_row(result, half, notes):
    ratio, mine, theirs = result["ratio"], result["ours_bytes"], result["torch_bytes"]
    verdict = [] if ratio is not None and ratio >= result["bar"] else ["below the bar"]
    if half and mine and theirs and mine > theirs / 2:
        verdict.append("more than half the memory")
    cells = [
        result["case"],
        show(result["ours_s"], "{:.3f}", 1e3),
        show(result["torch_eager_s"], "{:.3f}", 1e3),
        show(result["torch_compile_s"], "{:.3f}", 1e3),
        show(ratio, "{:.2f}"),
        f"{result['bar']:g}",
        show(result["peak_share"], "{:.0f} %", 100),
        show(mine, "{:.0f}", 2**-20),
        show(theirs, "{:.0f}", 2**-20),
    ]
    cells = [c.rjust(width) if i else c.ljust(width) for i, (c, (_, width)) in enumerate(zip(cells, COLUMNS))]
    print(" | ".join(cells), "|", ", ".join(verdict) or "ok", flush=True)
    for note in notes:
        print("    " + note, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all of " + ", ".join(f"{c[0]} ({c[3]})" for c in CASES))
    parser.add_argument("--json", action="store_true", help="an array of results instead of the table")
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S", help="length of a turn, at least one run")
    parser.add_argument("--tune", action="store_true", help="try again how PyTorch runs fastest")
    parser.add_argument("--python", default=sys.executable, help=argparse.SUPPRESS)
    parser.add_argument("--build", default="build/bench", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.cases) - {c[0] for c in CASES}
    if unknown:
        parser.error("no such case: " + " ".join(sorted(unknown)))
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    results = []
    if not options.json:
        print_head()
    for name, bar, half, about in CASES:
        if options.cases and name not in options.cases:
            continue
        result, notes = start_up(options, bar) if name == "startup" else row(options, name, bar)
        results.append(result)
        if not options.json:
            print_row(result, half, notes)
    if options.json:
        json.dump(results, sys.stdout, indent=1)
        print()


main()
