"""smiles.py DATA SAMPLES: of the lines of SAMPLES, how many RDKit reads as molecules (valid), how many of these differ in
their canonical form (unique), and how many of those are none of DATA's (novel), as shares of the one before; DATA may be
gzip. One JSON object. Counting as in Gomez-Bombarelli et al. 2018 and MOSES (Polykovskiy et al. 2020)."""

import gzip
import json
import sys

from rdkit import Chem, RDLogger

RDLogger.DisableLog("rdApp.*")


def lines_of(path):
    with (gzip.open if path.endswith(".gz") else open)(path, "rt") as file:
        return [line.strip() for line in file]


def canonical(line):
    molecule = Chem.MolFromSmiles(line) if line else None
    return Chem.MolToSmiles(molecule) if molecule is not None and molecule.GetNumAtoms() > 0 else None


def main():
    data, samples = sys.argv[1:3]
    drawn = lines_of(samples)
    valid = [c for c in map(canonical, drawn) if c]
    unique = set(valid)
    # a form that is in the data as it stands needs no reading of the data
    left = unique - set(lines_of(data))
    known = set(map(canonical, lines_of(data))) if left else set()
    novel = left - known
    share = lambda a, b: a / b if b else float("nan")
    print(json.dumps({"samples": len(drawn), "valid": share(len(valid), len(drawn)), "unique": share(len(unique), len(valid)),
                      "novel": share(len(novel), len(unique)), "examples": sorted(unique, key=len)[-5:]}))


main()
