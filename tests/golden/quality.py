#!/usr/bin/env python3
"""What scikit-learn and scipy say of numbers that tests/support/quality_data.h makes again: writes quality.inc beside
this script. Trees on columns of few values see the same bins on both sides, so the first rounds agree to the single
precision of scikit-learn's gradients, until that decides a tie; of all rounds, and of quantiles of many values, which are
chosen differently, areas under curves are compared."""

import os

import numpy as np
from scipy import stats
from scipy.stats.contingency import association
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, r2_score, roc_auc_score

from hashed import number

TRAIN, TEST, ROUNDS, SHOWN = 800, 400, 5, 8
ROWS = TRAIN + TEST


def draw(name, rows=ROWS):
    return number(name, (rows,)).numpy()


def table():
    """Three columns of 33 values, the third with gaps, and one of twelve categories, rarer and rarer."""
    x = np.stack([np.floor(16 * draw(name)) / 16 for name in ("x0", "x1", "x2")], 1)
    x[draw("gap") > 0.6, 2] = np.nan
    category = np.floor(12 * (0.5 + 0.5 * draw("category")) ** 2)
    return x, category


def targets(x, category):
    x2 = np.nan_to_num(x[:, 2], nan=0.7)
    value = np.sin(3 * x[:, 0]) + x[:, 1] * x2 + 0.2 * draw("noise")
    binary = ((x[:, 0] * x[:, 1] > 0) != (draw("flip") > 0.8)).astype(int)
    classes = np.clip(np.floor(1.5 + x[:, 0] + x2 + 0.5 * draw("blur")), 0, 2).astype(int)
    odd = ((category.astype(int) * 7 % 5 + 2 * x[:, 0] + draw("flip")) > 2).astype(int)
    return value, binary, classes, odd


values = {}
x, category = table()
y, binary, classes, odd = targets(x, category)


def fit(kind, rounds, inputs, target, **more):
    return kind(max_iter=rounds, early_stopping=False, **more).fit(inputs[:TRAIN], target[:TRAIN])


def ask(kind, rounds, inputs, target, **more):
    return fit(kind, rounds, inputs, target, **more).predict_proba(inputs[TRAIN:])


def area(target, p):
    return roc_auc_score(target[TRAIN:], p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr", average="macro")


trees, few, all_rounds = HistGradientBoostingClassifier, ROUNDS, 100
mixed = np.concatenate([x, category[:, None]], 1)
values["binary"] = list(ask(trees, few, x, binary)[:SHOWN, 1]) + [area(binary, ask(trees, all_rounds, x, binary))]
values["numbers"] = list(fit(HistGradientBoostingRegressor, few, x, y).predict(x[TRAIN:])[:SHOWN])
values["classes"] = list(ask(trees, 1, x, classes)[:SHOWN].ravel())
kinds = dict(categorical_features=[3])
values["category"] = [area(odd, ask(trees, all_rounds, mixed, odd, **kinds))]

# what is learnt from the first rows about the others, by all rounds: R^2; area and accuracy
learnt = fit(HistGradientBoostingRegressor, all_rounds, x, y).predict(x[TRAIN:])
values["r2"] = [r2_score(y[TRAIN:], learnt)]
p = ask(trees, all_rounds, mixed, classes, **kinds)
values["learnt"] = [area(classes, p), accuracy_score(classes[TRAIN:], p.argmax(1))]

# many values: z0 + z1 z2 > noise
z = np.stack([draw(name, 3000) for name in ("z0", "z1", "z2")], 1)
many = (z[:, 0] + 2 * z[:, 1] * z[:, 2] > draw("zn", 3000)).astype(int)
classifier = HistGradientBoostingClassifier(early_stopping=False).fit(z[:2000], many[:2000])
values["many"] = [roc_auc_score(many[2000:], classifier.predict_proba(z[2000:])[:, 1])]

whole = np.nan_to_num(x, nan=0.7)[:, :2]
design = np.concatenate([(whole - whole.mean(0)) / whole.std(0), np.eye(12)[category.astype(int)]], 1)
p = LogisticRegression(tol=1e-10, max_iter=1000).fit(design[:TRAIN], odd[:TRAIN]).predict_proba(design[TRAIN:])[:, 1]
values["logistic"] = list(p[:SHOWN])

a, b = x[:500, 0], x[500:, 1] ** 3
values["ks"] = [stats.ks_2samp(a, b).statistic]
values["w1"] = [stats.wasserstein_distance(a, b) / a.std()]
values["spearman"] = [stats.spearmanr(x[:, 0], y).statistic]
h = stats.kruskal(*[y[category == k] for k in range(12)]).statistic
values["ratio"] = [np.sqrt(h / (ROWS - 1))]
counts = np.zeros((12, 3), int)
np.add.at(counts, (category.astype(int), classes), 1)
values["cramer"] = [association(counts, method="cramer")]
values["area"] = [roc_auc_score(binary, x[:, 0])]

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "quality.inc"), "w") as out:
    out.write("/* Made by quality.py. */\n")
    for name, numbers in values.items():
        out.write(f"static const double golden_{name}[] = {{\n")
        for v in numbers:
            out.write(f"    {v!r},\n".replace("np.float64(", "").replace(")", ""))
        out.write("};\n")
