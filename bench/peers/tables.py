"""tables.py split DATA NAME OUT | train PEER OUT --minutes M | rank OUT: what bench/tables.sh asks of Python.

`split` writes OUT/train.csv and OUT/test.csv of one of the data sets NAMES, found in the folder DATA: the files given for
testing where there are such, else a fifth of the rows by chance. `train` learns OUT/train.csv with a peer for about so many
minutes and writes as many rows as that file has to OUT/PEER.csv:

    forest  ForestDiffusion's flow on XGBoost trees (Jolicoeur-Martineau et al. 2024), its defaults but for the copies of each
            row and the noise levels, as many as the time allows
    ctgan, tvae  of SDV (Xu et al. 2019), their defaults, epochs until the time is over

`rank` prints what `thalweg eval --json` left in OUT/SET/GENERATOR.json as one table, with the average rank of each generator.

Gaps of the peers are levels of their own in categories; in numbers the median stands in their place, and a column more says
where they were.
"""

import argparse
import gzip
import io
import json
import os
import sys
import time
import warnings

import numpy as np
import pandas as pd

ADULT = ("age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,sex,capital-gain,"
         "capital-loss,hours-per-week,native-country,income").split(",")
PIMA = "pregnancies,glucose,pressure,skin,insulin,bmi,pedigree,age,diabetes".split(",")
WINE = ("alcohol,malic_acid,ash,alcalinity,magnesium,phenols,flavanoids,nonflavanoid,proanthocyanins,color,hue,od280,"
        "proline,class").split(",")
# file(s), names where the file has none, lines in front, column to be predicted
SETS = {
    "adult": (("adult/adult.train.gz", "adult/adult.test.gz"), ADULT, 0, "income"),
    "california_housing": (("california_housing/housing.csv.gz",), None, 0, "median_house_value"),
    "diamonds": (("tabular_small/diamonds.csv.gz",), None, 0, "price"),
    "penguins": (("tabular_small/penguins.csv",), None, 0, "species"),
    "mpg": (("tabular_small/mpg.csv",), None, 0, "mpg"),
    "pima": (("tabular_small/pima-indians-diabetes.csv",), PIMA, 0, "diabetes"),
    "wine": (("tabular_small/wine_data.csv",), WINE, 1, "class"),
}
FEW = 20  # numbers of at most so many different values that are whole are levels for a peer


def read(folder, name, skip, names):
    path = os.path.join(folder, name)
    raw = gzip.open(path, "rt").read() if name.endswith(".gz") else open(path).read()
    frame = pd.read_csv(io.StringIO(raw), header=None if names else 0, names=names, skiprows=skip, skipinitialspace=True,
                        na_values=["?"], keep_default_na=True)
    if "income" in frame:
        frame["income"] = frame["income"].str.rstrip(".")
    return frame


def split(folder, name, out):
    files, names, skip, target = SETS[name]
    frames = [read(folder, file, skip, names) for file in files]
    if len(frames) == 1:
        order = np.random.default_rng(0).permutation(len(frames[0]))
        cut = len(order) // 5
        frames = [frames[0].iloc[order[cut:]], frames[0].iloc[order[:cut]]]
    if "name" in frames[0]:  # of a car: nearly every row has its own
        frames = [frame.drop(columns="name") for frame in frames]
    os.makedirs(out, exist_ok=True)
    for frame, file in zip(frames, ("train.csv", "test.csv")):
        frame.to_csv(os.path.join(out, file), index=False)
    print(target)


def is_level(column):
    """Texts, and few whole numbers."""
    if not pd.api.types.is_numeric_dtype(column):
        return True
    seen = column.dropna()
    return seen.nunique() <= FEW and bool((seen == seen.round()).all())


def without_gaps(frame):
    """Gaps of levels are a level; those of numbers are filled, and a column more says so."""
    frame, levels = frame.copy(), [name for name in frame if is_level(frame[name])]
    for name in list(frame):
        if name in levels:
            frame[name] = frame[name].map(str).where(frame[name].notna(), "(missing)")
        elif frame[name].isna().any():
            frame[name + " missing"] = np.where(frame[name].isna(), "yes", "no")
            levels.append(name + " missing")
            frame[name] = frame[name].fillna(frame[name].median())
    return frame, levels


def with_gaps(frame, like):
    frame = frame.copy()
    for name in like:
        if name + " missing" in frame:
            frame[name] = frame[name].where(frame[name + " missing"] == "no")
        if frame[name].dtype == object:
            frame[name] = frame[name].where(frame[name] != "(missing)")
    return frame[list(like)]


def in_its_form(frame, like):
    """Whole numbers as whole numbers, others with as many digits as the data have."""
    for name in like:
        if pd.api.types.is_numeric_dtype(like[name]):
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
            seen = like[name].dropna()
            digits = next((d for d in range(7) if np.allclose(seen, seen.round(d), atol=1e-9)), 9)
            frame[name] = frame[name].round(digits)
    return frame


def stop_at(deadline, module):
    """Ends the epochs of one of SDV's modules at the deadline: its loop asks tqdm for them."""

    def epochs(rounds, **_):
        for i in rounds:
            if time.time() > deadline:
                return
            yield i

    module.tqdm = epochs


def sdv(peer, train, deadline):
    import ctgan
    from ctgan.synthesizers import ctgan as ctgan_module, tvae as tvae_module

    frame, levels = without_gaps(train)
    stop_at(deadline, ctgan_module if peer == "ctgan" else tvae_module)
    kinds = {"ctgan": ctgan.CTGAN, "tvae": ctgan.TVAE}
    model = kinds[peer](epochs=10**6, enable_gpu=False)
    model.fit(frame, levels)
    return with_gaps(model.sample(len(train)), train)


def forest(train, minutes):
    """Its cost is known only after it was paid: levels of noise and copies of each row are doubled while a run twice as
    long still fits, and the last run is the one that counts."""
    os.environ["OMP_NUM_THREADS"] = "1"  # of each of two workers: with two each they wait for one another
    from ForestDiffusion import ForestDiffusionModel

    frame, levels = without_gaps(train)
    codes = {name: pd.Categorical(frame[name]) for name in levels}
    x = np.stack([codes[n].codes if n in codes else frame[n].to_numpy(float) for n in frame], 1).astype(float)
    columns = list(frame)
    two = [i for i, n in enumerate(columns) if n in codes and len(codes[n].categories) == 2]
    more = [i for i, n in enumerate(columns) if n in codes and len(codes[n].categories) > 2]
    whole = [i for i, n in enumerate(columns) if n not in codes and (frame[n] == frame[n].round()).all()]
    begun, last, made, setting = time.time(), 0.0, None, None
    for n_t, copies in ((5, 1), (10, 2), (15, 5), (20, 10), (30, 20), (50, 50), (50, 100)):
        left = 60 * minutes - (time.time() - begun)
        if made is not None and 2.5 * last > left:
            break
        start = time.time()
        model = ForestDiffusionModel(x, n_t=n_t, duplicate_K=copies, bin_indexes=two, cat_indexes=more, int_indexes=whole,
                                     diffusion_type="flow", n_jobs=2, seed=0)
        made = model.generate(batch_size=len(x))
        last, setting = time.time() - start, (n_t, copies)
    print(f"forest: {setting[0]} levels of noise, {setting[1]} copies of each row", file=sys.stderr)
    out = pd.DataFrame(made, columns=columns)
    for name, kind in codes.items():
        place = np.clip(out[name].round().astype(int), 0, len(kind.categories) - 1)
        out[name] = np.asarray(kind.categories)[place]
    return with_gaps(out, train)


def train(peer, out, minutes):
    warnings.filterwarnings("ignore")
    frame = pd.read_csv(os.path.join(out, "train.csv"))
    begun = time.time()
    made = forest(frame, minutes) if peer == "forest" else sdv(peer, frame, begun + 60 * minutes)
    in_its_form(made, frame).to_csv(os.path.join(out, peer + ".csv"), index=False)
    print(f"{peer}: {time.time() - begun:.0f} s", file=sys.stderr)


# measure, smaller is better, of what
MEASURES = (
    ("detection", lambda r: abs(r["detection"] - 0.5), True),
    ("use", lambda r: r["utility_auc"] if "utility_auc" in r else r["utility_r2"], False),
    ("columns", lambda r: r["marginal"], True),
    ("pairs", lambda r: r["association"], True),
)
GENERATORS = ("ours", "forest", "ctgan", "tvae")


def rank(out):
    ranks = {g: {m[0]: [] for m in MEASURES} for g in GENERATORS}
    print(f"{'set':20} {'generator':10} {'detection':>10} {'use':>8} {'columns':>8} {'pairs':>8} {'closer':>8} {'copies':>8}")
    for name in SETS:
        found = {}
        for g in GENERATORS:
            path = os.path.join(out, name, g + ".json")
            if os.path.exists(path) and os.path.getsize(path):
                found[g] = json.load(open(path))
        for g, r in found.items():
            print(f"{name:20} {g:10} {r['detection']:10.3f} {MEASURES[1][1](r):8.3f} {r['marginal']:8.4f} "
                  f"{r['association']:8.4f} {r['closer']:8.3f} {r['copies']:8.4f}")
            for measure, value, smaller in MEASURES:
                mine = value(r)
                better = sum((value(o) < mine) if smaller else (value(o) > mine) for o in found.values())
                equal = sum(value(o) == mine for o in found.values())
                ranks[g][measure].append(better + (equal + 1) / 2)
        if found:
            r = next(iter(found.values()))
            floor = r["utility_auc_floor"] if "utility_auc" in r else r["utility_r2_floor"]
            print(f"{name:20} {'(floor)':10} {r['detection_floor']:10.3f} {floor:8.3f} {r['marginal_floor']:8.4f} "
                  f"{r['association_floor']:8.4f} {r['closer_floor']:8.3f} {r['copies_floor']:8.4f}")
    print("\naverage rank" + " " * 19 + "".join(f"{m[0]:>11}" for m in MEASURES) + f"{'all':>11}")
    overall = {}
    for g in GENERATORS:
        if ranks[g]["use"]:
            means = [np.mean(ranks[g][m[0]]) for m in MEASURES]
            overall[g] = np.mean(means)
            print(f"{'':20} {g:10}" + "".join(f"{v:11.2f}" for v in means) + f"{overall[g]:11.2f}")
    return all(overall.get("ours", np.inf) < overall[g] for g in overall if g != "ours")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    cut = verbs.add_parser("split")
    cut.add_argument("data")
    cut.add_argument("name", choices=SETS)
    cut.add_argument("out")
    learn = verbs.add_parser("train")
    learn.add_argument("peer", choices=("forest", "ctgan", "tvae"))
    learn.add_argument("out")
    learn.add_argument("--minutes", type=float, default=5)
    verbs.add_parser("rank").add_argument("out")
    options = parser.parse_args()
    if options.verb == "split":
        split(options.data, options.name, options.out)
    elif options.verb == "rank":
        sys.exit(0 if rank(options.out) else 1)
    else:
        train(options.peer, options.out, options.minutes)


if __name__ == "__main__":
    main()
