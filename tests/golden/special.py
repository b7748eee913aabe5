#!/usr/bin/env python3
"""Values of the special functions in 50-digit arithmetic (needs mpmath): writes special.inc beside this script.

Half of the arguments are floats, so that the same table serves the kernels of both widths. Values are rounded once, to
double.
"""
import os
import random
import struct
from mpmath import mp, mpf, sinh, cosh, asin, acos, atan, atan2, log, loggamma, erfinv, polygamma

mp.dps = 50
random.seed(20)


def as_float(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def points(low, high, count=40, logarithmic=False):
    out = []
    for i in range(count):
        u = random.random()
        x = low * (high / low) ** u if logarithmic else low + (high - low) * u
        out.append(as_float(x) if i % 2 else x)
    return out


def both(values):
    return values + [-x for x in values]


def near_one(count=20):
    floats = [1 - as_float(2.0 ** -random.uniform(1, 24)) for _ in range(count)]
    return both(floats + [1 - 2.0 ** -random.uniform(20, 52) for _ in range(count)])


def lgamma(x):
    return loggamma(x).real


tiny = both(points(1e-30, 1e-3, 10, True))
unit = both(points(0, 1)) + near_one() + tiny
real = both(points(0, 10) + points(1e-3, 80, 20, True)) + tiny
functions = {
    "SINH": (sinh, real + both([88.5, 89.25, 700.0, 710.25])),
    "COSH": (cosh, real + both([88.5, 89.25, 700.0, 710.25])),
    "ASIN": (asin, unit + [1.0, -1.0]),
    "ACOS": (acos, unit + [1.0, -1.0]),
    "ATAN": (atan, real + both(points(10, 1e30, 20, True))),
    "EXP2": (lambda x: mpf(2) ** x, real + both([126.5, 148.5, 1000.25, 1023.75]) + [3.0, -5.0]),
    "LOG2": (lambda x: log(x) / log(mpf(2)), points(0.5, 2) + points(1e-30, 1e30, 40, True) + [8.0, 0.25, 1.0]),
    "ERFINV": (erfinv, unit),
    "LGAMMA": (lgamma, points(0.01, 30) + points(1e-20, 1e20, 20, True) + [-x for x in points(0.05, 10)] + [1.0, 2.0]),
}
orders = {
    0: points(0.01, 30) + points(1e-10, 1e10, 20, True) + [-x for x in points(0.05, 20)] + [1.5, -0.5, -1000.25],
    1: points(0.01, 30) + points(1e-10, 1e10, 20, True) + [-x for x in points(0.05, 20)] + [-0.5],
    2: points(0.05, 30, 20) + [-x for x in points(0.05, 20, 20)],
    3: points(0.05, 30, 20) + [-x for x in points(0.05, 20, 20)],
    6: points(0.2, 40, 20) + [-x for x in points(0.05, 10, 20)],
    15: points(0.2, 40, 20) + [-x for x in points(0.05, 10, 20)],
    30: points(0.5, 60, 20),
}
pairs = zip(points(1e-6, 1e6, 40, True), points(1e-6, 1e6, 40, True))
plane = [(random.choice((-1, 1)) * y, random.choice((-1, 1)) * x) for y, x in pairs]
plane += [(as_float(1e-30), as_float(3e-30)), (as_float(2e38), as_float(3e38)), (1.0, 1.0), (-1.0, -1.0), (0.5, -1e-20)]
plane += [(as_float(1e-39), -1.0), (as_float(1e-40), as_float(2e-40)), (as_float(3e38), as_float(-1e-3))]


def row(name, x, y, value):
    return f'    {{"{name}", {float(x).hex()}, {float(y).hex()}, {float(value).hex()}}},\n'


with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "special.inc"), "w") as out:
    out.write("/* Made by special.py: op, first and second argument, value. */\n")
    for name, (function, xs) in functions.items():
        for x in xs:
            out.write(row(name, x, 0, function(mpf(x))))
    for order, xs in orders.items():
        for x in xs:
            out.write(row("POLYGAMMA", order, x, polygamma(order, mpf(x)).real))
    for y, x in plane:
        out.write(row("ATAN2", y, x, atan2(mpf(y), mpf(x))))
