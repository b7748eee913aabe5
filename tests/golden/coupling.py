"""coupling.py > coupling.inc: optimal totals by scipy's linear_sum_assignment, partial and unequal ones by POT, entropic
plans by POT (balanced) and by
plain iteration in the log domain (unbalanced, where POT's stabilised one diverges; its plain one agrees).

Needs numpy, scipy and POT. The points are dyadic rationals from a congruential generator, so that a test in C makes the
same ones in single precision: 16 bits a number, the data points around eight places of a square ring.
"""

import numpy as np
import ot
import scipy
from scipy.optimize import linear_sum_assignment
from scipy.special import logsumexp


def numbers(seed, count):
    state, values = seed, np.empty(count)
    for k in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        values[k] = (state >> 48) / 2**15 - 1
    return values


RING = [(4, 0), (4, 4), (0, 4), (-4, 4), (-4, 0), (-4, -4), (0, -4), (4, -4)]


def points(n, columns, seed):
    source = numbers(seed, n * columns).reshape(n, columns)
    data = numbers(seed + 1, n * columns).reshape(n, columns) / 2
    for c in range(columns):
        data[:, c] += [RING[i % 8][c % 2] if c < 2 else 1 for i in range(n)]
    return source, data


def costs(n, columns, seed):
    source, data = points(n, columns, seed)
    return sum((data[:, None, c] - source[None, :, c]) ** 2 for c in range(columns))


def unbalanced(cost, epsilon, tau):
    n, keep = len(cost), tau / (tau + epsilon)
    f, g = np.zeros(n), np.zeros(n)
    for _ in range(5000):
        f = -keep * epsilon * (logsumexp((g[None, :] - cost) / epsilon, axis=1) - np.log(n))
        g = -keep * epsilon * (logsumexp((f[:, None] - cost) / epsilon, axis=0) - np.log(n))
    return np.exp((f[:, None] + g[None, :] - cost) / epsilon) / n**2


print(f"/* Made by coupling.py: scipy {scipy.__version__}, POT {ot.__version__}. */")
print("static const struct {\n    int64_t n, columns;\n    double total;\n} golden_assignments[] = {")
for n, columns in [(1, 1), (7, 1), (64, 1), (50, 2), (256, 2), (700, 2), (256, 3), (100, 16), (100, 17), (256, 64), (600, 64)]:
    cost = costs(n, columns, n + 1000 * columns)
    print(f"    {{{n}, {columns}, {cost[linear_sum_assignment(cost)].sum():.17g}}},")
print("};\n")
print("/* tau 0: balanced. `total` is <P, C>, `mass` the sum of P, `first` is P_00, `last` P_(n-1)(n-1). */")
print("static const struct {\n    int64_t n;\n    double epsilon, tau, total, mass, first, last;\n} golden_plans[] = {")
for n, epsilon, tau in [(20, 10, 0), (20, 1, 0), (20, 0.1, 0), (32, 0.02, 0), (20, 1, 5), (20, 0.5, 1), (24, 0.05, 2)]:
    cost, uniform = costs(n, 2, n), np.full(n, 1 / n)
    if tau == 0:
        plan = ot.sinkhorn(uniform, uniform, cost, epsilon, method="sinkhorn_log", numItermax=10**5, stopThr=1e-14)
    else:
        plan = unbalanced(cost, epsilon, tau)
        if epsilon >= 0.5:
            theirs = ot.unbalanced.sinkhorn_unbalanced(uniform, uniform, cost, epsilon, tau, numItermax=10**4, stopThr=1e-14)
            assert np.allclose(plan, theirs, rtol=1e-7, atol=1e-12)
    print(f"    {{{n}, {epsilon}, {tau}, {(plan * cost).sum():.15g}, {plan.sum():.15g}, {plan[0, 0]:.15g}, {plan[-1, -1]:.15g}}},")
print("};")

print("\nstatic const struct {\n    int64_t n;\n    double epsilon, mass, total, first, last;\n} golden_entropic_partials[] = {")
for n, epsilon, mass in [(20, 10, 0.5), (20, 1, 0.7), (32, 0.3, 0.9), (24, 0.1, 0.25), (20, 1, 0.99)]:
    cost, uniform = costs(n, 2, n), np.full(n, 1 / n)
    plan = ot.partial.entropic_partial_wasserstein(uniform, uniform, cost, epsilon, m=mass, numItermax=20000, stopThr=1e-15)
    print(f"    {{{n}, {epsilon}, {mass}, {(plan * cost).sum():.15g}, {plan[0, 0]:.15g}, {plan[-1, -1]:.15g}}},")
print("};")

print("\nstatic const struct {\n    int64_t n;\n    double mass, total;\n} golden_partials[] = {")
for n, mass in [(40, 0.5), (150, 0.9), (200, 0.25)]:
    cost, uniform = costs(n, 2, n), np.full(n, 1 / n)
    plan = ot.partial.partial_wasserstein(uniform, uniform, cost, m=mass, numItermax=10**7)
    print(f"    {{{n}, {mass}, {n * (plan * cost).sum():.15g}}},")
print("};\n")
print("/* Supplies 1 + i % 5 in n rows, demands in m columns: the same cut at equal places. */")
print("static const struct {\n    int64_t n, m;\n    double total;\n} golden_transports[] = {")
for n, m in [(30, 50), (200, 80), (300, 300)]:
    supply = np.array([1.0 + i % 5 for i in range(n)])
    total, size = int(supply.sum()), max(n, m)
    demand = np.array([(j + 1) * total // m - j * total // m for j in range(m)], float)
    cost = costs(size, 2, size)[:n, :m]
    print(f"    {{{n}, {m}, {ot.emd2(supply / total, demand / total, cost, numItermax=10**7) * total:.15g}}},")
print("};")
