"""detest.py > detest.inc: the problems of DETEST (Hull, Enright, Fellen, Sedgwick 1972) from t = 0 to 20: evaluations that
torchdiffeq's dopri5 takes at rtol = atol = 1e-6, its error, and end values by scipy's DOP853 at 3e-14."""

import numpy as np
import scipy
import torch
import torchdiffeq
from scipy.integrate import solve_ivp
from torchdiffeq import odeint

MASSES = [1.00000597682, 0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449]
MASSES += [0.00000277777777778]
PLANETS = [
    [3.42947415189, 3.35386959711, 1.35494901715],
    [6.64145542550, 5.97156957878, 2.18231499728],
    [11.2630437207, 14.6952576794, 6.27960525067],
    [-30.1552268759, 1.65699966404, 1.43785752721],
    [-21.1238353380, 28.4465098142, 15.3882659679],
]
SPEEDS = [
    [-0.557160570446, 0.505696783289, 0.230578543901],
    [-0.415570776342, 0.365682722812, 0.169143213293],
    [-0.325325669158, 0.189706021964, 0.0877265322780],
    [-0.0240476254170, -0.287659532608, -0.117219543175],
    [-0.176860753121, -0.216393453025, -0.0148647893090],
]


def chain(t, y, m):
    rates = {"C1": np.ones(9), "C2": np.arange(1.0, 10)}[m]
    out = np.zeros(10)
    out[:9] -= rates * y[:9]
    out[1:] += rates * y[:9]
    return out


def neighbours(t, y):
    out = -2 * y
    out[1:] += y[:-1]
    out[:-1] += y[1:]
    return out


def planets(t, y):
    gravity, sun = 2.95912208286, MASSES[0]
    place, speed = y[:15].reshape(5, 3), y[15:]
    r = np.sqrt((place**2).sum(1))
    pull = np.zeros((5, 3))
    for j in range(5):
        pull[j] = -(sun + MASSES[j + 1]) * place[j] / r[j] ** 3
        for k in range(5):
            if k != j:
                d = place[k] - place[j]
                pull[j] += MASSES[k + 1] * (d / np.sqrt((d**2).sum()) ** 3 - place[k] / r[k] ** 3)
    return np.concatenate([speed, gravity * pull.ravel()])


def b4(t, y):
    r = np.hypot(y[0], y[1])
    return np.array([-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r])


def orbit(t, y):
    r = np.hypot(y[0], y[1]) ** 3
    return np.array([y[2], y[3], -y[0] / r, -y[1] / r])


def unit(n):
    return [1.0] + [0.0] * (n - 1)


def eccentric(e):
    return [1 - e, 0, 0, np.sqrt((1 + e) / (1 - e))]


A = np.array
PROBLEMS = {
    "A1": (lambda t, y: -y, [1]),
    "A2": (lambda t, y: -(y**3) / 2, [1]),
    "A3": (lambda t, y: y * np.cos(t), [1]),
    "A4": (lambda t, y: y / 4 * (1 - y / 20), [1]),
    "A5": (lambda t, y: (y - t) / (y + t), [4]),
    "B1": (lambda t, y: A([2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])]), [1, 3]),
    "B2": (lambda t, y: A([-y[0] + y[1], y[0] - 2 * y[1] + y[2], y[1] - y[2]]), [2, 0, 1]),
    "B3": (lambda t, y: A([-y[0], y[0] - y[1] ** 2, y[1] ** 2]), [1, 0, 0]),
    "B4": (b4, [3, 0, 0]),
    "B5": (lambda t, y: A([y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]]), [0, 1, 1]),
    "C1": (lambda t, y: chain(t, y, "C1"), unit(10)),
    "C2": (lambda t, y: chain(t, y, "C2"), unit(10)),
    "C3": (neighbours, unit(10)),
    "C4": (neighbours, unit(51)),
    "C5": (planets, [x for p in PLANETS for x in p] + [x for s in SPEEDS for x in s]),
    "D1": (orbit, eccentric(0.1)),
    "D2": (orbit, eccentric(0.3)),
    "D3": (orbit, eccentric(0.5)),
    "D4": (orbit, eccentric(0.7)),
    "D5": (orbit, eccentric(0.9)),
    "E1": (lambda t, y: A([y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * y[0])]), [0.6713967071418030, 0.09540051444747446]),
    "E2": (lambda t, y: A([y[1], (1 - y[0] ** 2) * y[1] - y[0]]), [2, 0]),
    "E3": (lambda t, y: A([y[1], y[0] ** 3 / 6 - y[0] + 2 * np.sin(2.78535 * t)]), [0, 0]),
    "E4": (lambda t, y: A([y[1], 0.032 - 0.4 * y[1] ** 2]), [30, 0]),
    "E5": (lambda t, y: A([y[1], np.sqrt(1 + y[1] ** 2) / (25 - t)]), [0, 0]),
}

print(f"/* By detest.py: torchdiffeq {torchdiffeq.__version__}, scipy {scipy.__version__}. Name, columns, evaluations of")
print(" * torchdiffeq's dopri5 at 1e-6 and its largest error, end values. */")
for name, (f, y0) in PROBLEMS.items():
    y0 = np.array(y0, dtype=float)
    count = 0

    def counted(t, y):
        global count
        count += 1
        return torch.from_numpy(np.asarray(f(float(t), y.numpy()), dtype=float))

    times = torch.tensor([0.0, 20.0], dtype=torch.float64)
    theirs = odeint(counted, torch.from_numpy(y0), times, rtol=1e-6, atol=1e-6, method="dopri5")[-1].numpy()
    end = solve_ivp(f, (0, 20), y0, method="DOP853", rtol=3e-14, atol=1e-16).y[:, -1]
    error = np.abs(theirs - end).max()
    values = ", ".join(f"{v:.17g}" for v in end)
    print(f'{{"{name}", {len(y0)}, {count}, {error:.3g}, {{{values}}}}},')
