#!/usr/bin/env python3
"""Coefficients of the polynomials in cpu/math_f32.inc and cpu/math_f64.inc (needs mpmath; prints C tables).

Each polynomial is a weighted least-squares fit on Chebyshev nodes in 60-digit arithmetic, which is within a small factor of
the minimax polynomial. Coefficients are rounded to the target format one by one, lowest power first, and the others fitted
again, so that rounding of the early ones is absorbed by the later ones. The printed error is the largest weighted error of
the rounded polynomial in exact arithmetic.
"""
import struct
from mpmath import mp, mpf, matrix, lu_solve, exp, expm1, log, sin, cos, erf, erfc, sqrt, pi, erfinv, findroot, atan, asin

mp.dps = 60


def rounded(value, bits):
    return mpf(struct.unpack("f", struct.pack("f", float(value)))[0]) if bits == 24 else mpf(float(value))


def fit(name, target, weight, low, high, degree, bits, exact=()):
    """Fits sum_k c_k x^k to target(x) on [low, high]; the error is multiplied by weight(x). `exact` fixes c_0, c_1, ..."""
    count = 4 * (degree + 1)
    nodes = [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    values, weights = [target(x) for x in nodes], [weight(x) for x in nodes]
    known = [mpf(c) for c in exact]
    while True:
        free = range(len(known), degree + 1)
        rest = [v - sum(c * x**k for k, c in enumerate(known)) for x, v in zip(nodes, values)]
        if not free:
            break
        n = len(free)
        normal, right = matrix(n, n), matrix(n, 1)
        for a, i in enumerate(free):
            for b, j in enumerate(free):
                normal[a, b] = sum(w * w * x ** (i + j) for x, w in zip(nodes, weights))
            right[a] = sum(w * w * x**i * v for x, w, v in zip(nodes, weights, rest))
        known.append(rounded(lu_solve(normal, right)[0], bits))
    check = [low + (high - low) * mpf(i) / 300 for i in range(301)]
    error = max(abs((target(x) - sum(c * x**k for k, c in enumerate(known))) * weight(x)) for x in check if x != 0)
    suffix = "f" if bits == 24 else ""
    print(f"/* {name}: error {mp.nstr(error, 3)} (2^{mp.nstr(log(error, 2), 4)}) */")
    print("{" + ", ".join(float.hex(float(c)) + suffix for c in known) + "}", flush=True)


def series_safe(function, limit, x):
    """function(x), or its value at the limit when x is 0 (a removable singularity)."""
    return limit if x == 0 else function(x)


half_log2 = log(2) / 2 * mpf("1.0001")
for bits, degree in ((24, 4), (53, 10)):
    # e^r = 1 + r + r^2 E(r); the weight makes the error relative to e^r - 1
    fit(f"EXP f{bits}", lambda r: (expm1(r) - r) / r**2, lambda r: abs(r**2 / expm1(r)), -half_log2, half_log2, degree, bits)

half = mpf("0.5") * mpf("1.0001")
fit("EXP2 f24", lambda r: 2**r, lambda r: 2**-r, -half, half, 5, 24, exact=(1,))

root = sqrt(mpf(2))
# log(1+f) = f - f^2/2 + f^3 L(f)
fit("LOG f24", lambda f: (log(1 + f) - f + f * f / 2) / f**3, lambda f: abs(f**3 / log(1 + f)), 1 / root - 1, root - 1, 8, 24)
# log(1+f) = 2 s + s z G(z), s = f/(2+f), z = s^2
top = ((root - 1) / (root + 1)) ** 2


def log_tail(z):
    s = sqrt(z)
    return (log((1 + s) / (1 - s)) / s - 2) / z


fit("LOG f53", log_tail, lambda z: z, top * mpf("1e-6"), top * mpf("1.0001"), 7, 53)

quarter = (pi / 4) * mpf("1.0005")
tiny = mpf("1e-8")
fit("SIN f53", lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z, lambda z: z, tiny, quarter**2, 6, 53)
fit("COS f53", lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, lambda z: z**2, tiny, quarter**2, 5, 53)

fit("ATAN f24", lambda z: (atan(sqrt(z)) / sqrt(z) - 1) / z, lambda z: z, tiny, (root - 1) ** 2 * mpf("1.001"), 3, 24)
fit("ASIN f24", lambda z: (asin(sqrt(z)) / sqrt(z) - 1) / z, lambda z: z, tiny, mpf("0.2501"), 4, 24)

fit("ERF small f24", lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: mpf(1), tiny, mpf("0.9") ** 2, 6, 24)
fit("ERF large f24", lambda a: -log(erfc(a)), lambda a: erfc(a) / erf(a), mpf("0.9"), mpf("4.0"), 8, 24)


def normal_tail(a):
    """Phi(-a)"""
    return erfc(a / sqrt(mpf(2))) / 2


fit("NORMAL TAIL f24", lambda a: -log(normal_tail(a), 2), lambda a: normal_tail(a) * log(2) * max(a, 1) + mpf("1e-6"),
    mpf(0), mpf(9), 9, 24)


def normal_over_x(w):
    """z/x at w = -log(1 - x^2), z the normal quantile of (1 + x)/2."""
    mp.dps = 80
    x = sqrt(-expm1(-w))
    z = sqrt(mpf(2)) * erfinv(x)
    mp.dps = 60
    return z / x


def relative(w):
    return 1 / normal_over_x(w)


for bits, split, deg_center, deg_tail in ((24, mpf(5), 8, 8), (53, mpf("6.25"), 18, 16)):
    fit(f"NORMAL center f{bits}, in w - {split / 2}", lambda u: normal_over_x(u + split / 2),
        lambda u: relative(u + split / 2), -split / 2 + mpf("1e-12"), split / 2, deg_center, bits)
    low, high = sqrt(split), mpf("4.65")
    middle = mpf("3.25") if bits == 24 else mpf("3.5")
    fit(f"NORMAL tail f{bits}, in sqrt(w) - {middle}", lambda u: normal_over_x((u + middle) ** 2),
        lambda u: relative((u + middle) ** 2), low - middle, high - middle, deg_tail, bits)
