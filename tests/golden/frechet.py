#!/usr/bin/env python3
"""What SciPy says of the Frechet distance of sets that tests/eval/test_features.c makes again. The formula of FID's first
programs (Heusel et al. 2017) is |mean - mean|^2 + tr(A + B - 2 sqrtm(A B)); where A B is singular SciPy's root is good to
six digits only, so that the trace is taken as the sum of the singular values of X Y' / sqrt((n - 1)(m - 1)), X and Y
centred, and the root checks it. Writes frechet.inc beside this script."""

import os

import numpy as np
from scipy.linalg import sqrtm, svdvals

from hashed import number

# name, rows of the first, of the second, columns
CASES = [("tall", 60, 50, 7), ("square", 20, 21, 20), ("wide", 9, 12, 30), ("uneven", 40, 6, 16), ("dead", 50, 40, 9),
         ("large", 400, 300, 120)]


def rows(name, n, columns):
    """Columns of different sizes that hang together; of "dead" the third and the last are constant."""
    x = number(name, (n, columns)).numpy() * 0.8 ** (np.arange(columns) % 11)
    x = x + 0.7 * np.roll(x, 1, 1) + 0.3 * (name[-1] == "b")
    if name.startswith("dead"):
        x[:, [2, columns - 1]] = 0.25
    return x


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "frechet.inc"), "w") as out:
    out.write("/* Made by frechet.py: name, rows, rows, columns, distance. */\n")
    for name, n, m, columns in CASES:
        x, y = rows(name + "_a", n, columns), rows(name + "_b", m, columns)
        a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        trace = svdvals((x - x.mean(0)) @ (y - y.mean(0)).T).sum() / np.sqrt((n - 1) * (m - 1))
        assert abs(np.trace(sqrtm(a @ b)).real - trace) < 1e-6 * trace
        distance = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * trace
        out.write(f'{{"{name}", {n}, {m}, {columns}, {distance!r}}},\n'.replace("np.float64(", "").replace(")}", "}"))
