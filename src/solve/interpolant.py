"""interpolant.py: the coefficients of dopri8's interpolant in tableaux.c, from its table there.

The continuous order conditions sum_i b_i(theta) weight_i(tree) = theta^order / density hold to order 5 at any theta for
the stages and the derivative at the end; so a node at theta is a state good to O(h^6), and two of them make order 6
solvable (Enright, Jackson, Norsett, Thomsen 1986). Each row is the shortest solution. What is printed: the rows of the
nodes, then the rows d of theta^2 (1-theta)^2 theta^k beside the Hermite polynomial.
"""

import pathlib
import re

import numpy as np

NODES = ("0.65", "0.85")
REAL = np.longdouble


def read_table():
    text = (pathlib.Path(__file__).parent / "tableaux.c").read_text()
    text = text[text.index('.info = {"dopri8"') :]

    def braces(pattern):
        return eval(re.search(pattern, text, re.S).group(1).replace("{", "[").replace("}", "]"))

    rows, b = braces(r"\.a = (\{.*?\}\}),"), braces(r"\.b = (\{.*?\}),")
    a = np.zeros((14, 14), dtype=REAL)
    for i, row in enumerate(rows):
        a[i, : len(row)] = row
    a[13, :13] = b
    return a, np.array(b, dtype=REAL)


def forest(most):
    """Rooted trees as (order, density, children), each an earlier tree with one more grafted onto its root."""
    trees = [(1, 1, ())]
    products = [1]
    for order in range(2, most + 1):
        for i, j in [(i, j) for i in range(len(trees)) for j in range(len(trees))]:
            children = trees[i][2]
            if trees[i][0] + trees[j][0] == order and (not children or j >= children[-1]):
                products.append(products[i] * trees[j][1])
                trees.append((order, order * products[-1], children + (j,)))
    return trees


TREES = forest(6)


def weights(a):
    known = []
    for _, _, children in TREES:
        w = np.ones(len(a), dtype=REAL)
        for j in children:
            w = w * (a @ known[j])
        known.append(w)
    return np.array(known)


def shortest(m, right):
    """The shortest solution without the stages 1 to 4, which no good row uses; refined beyond doubles."""
    used = [i for i in range(m.shape[1]) if not 1 <= i <= 4]
    inverse = np.linalg.pinv(m[:, used].astype(float), rcond=1e-12).astype(REAL)
    x = inverse @ right
    for _ in range(3):
        x = x + inverse @ (right - m[:, used] @ x)
    out = np.zeros(m.shape[1], dtype=REAL)
    out[used] = x
    return out


def add_node(a, theta):
    low = [k for k, t in enumerate(TREES) if t[0] <= 5]
    row = shortest(weights(a)[low], np.array([REAL(theta) ** TREES[k][0] / REAL(TREES[k][1]) for k in low]))
    out = np.zeros((len(a) + 1, len(a) + 1), dtype=REAL)
    out[:-1, :-1] = a
    out[-1, :-1] = row
    return out


def bumps(a, b):
    """What theta^order / density lacks of Hermite's polynomial, divided by theta^2 (1-theta)^2."""
    m, rights = weights(a), []
    for (order, density, _), w in zip(TREES, m):
        p = np.zeros(7, dtype=REAL)
        p[order] = 1 / REAL(density)
        end, first, last = w[:13] @ b, w[0], w[13]
        p[1:4] -= [first, 3 * end - 2 * first - last, first + last - 2 * end]
        quotient = []
        for k in range(3):
            quotient.append(p[2 + k])
            p[2 + k : 5 + k] -= quotient[-1] * np.array([1, -2, 1], dtype=REAL)
        assert abs(p).max() < 1e-14
        rights.append(quotient)
    return [shortest(m, right) for right in np.array(rights).T]


def show(row):
    print("{" + ", ".join("0" if v == 0 else np.format_float_positional(v, 19, unique=False, trim="-") for v in row) + "},")


table, solution = read_table()
for node in NODES:
    table = add_node(table, node)
    show(table[-1, :-1])
for row in bumps(table, solution):
    show(row)
