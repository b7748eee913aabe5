#!/usr/bin/env python3
"""Golden values of tests/eval/test_smiles.c: molecules, changed at random in one to three letters, and whether RDKit
(pip install rdkit; 2026.9.1 was used) makes a molecule of them. Run from the root: tests/golden/smiles.py > tests/golden/smiles.inc"""
import random

from rdkit import Chem, RDLogger, rdBase

MOLECULES = """CC(=O)Oc1ccccc1C(=O)O CN1C=NC2=C1C(=O)N(C(=O)N2C)C Cn1cnc2c1c(=O)n(C)c(=O)n2C CC(C)Cc1ccc(cc1)C(C)C(=O)O
C1CC2CCC1C2 O=C1CCCN1 c1ccc2[nH]ccc2c1 c1ccc2c(c1)ccc1ccccc12 O=[N+]([O-])c1ccc(Cl)c(Br)c1 CS(=O)(=O)Nc1ccc(F)cc1
N[C@@H](Cc1ccccc1)C(=O)O C/C=C/C(=O)OC FC(F)(F)c1ccncc1 c1csc(-c2cccs2)c1 O=C(O)c1cc(=O)[nH]c2ccccc12 C[NH+]1CCOCC1
CC#CCN=[N+]=[N-] OCC1OC(O)C(O)C(O)C1O c1cc2cccc3ccc(c1)c23 C1=CC2=CC=CC2=C1 [O-][n+]1ccccc1 CN(C)c1nc(N)nc(Cl)n1
O=P(O)(O)OCC1CCCO1 C[Si](C)(C)C#C c1cc[n-]c1 [Na+].[Cl-] OB(O)c1ccccc1 CC12CCC3C(CCC4=CC(=O)CCC34C)C1CCC2O Ic1c[se]cc1
CCN1CC%10CC1CC%10 N#Cc1nnn[nH]1 C[S+](C)CC([O-])=O O=c1cc[nH]c(=O)[nH]1 c1ccc2c(c1)[nH]c1ccccc12""".split()
LETTERS = "CNOFPSBIcnosp()[]=#123456%+-@H/\\.:"


def change(rng, text):
    letters = list(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.randrange(len(letters) + 1)
        kind = rng.randrange(3)
        if kind == 0:
            letters.insert(at, rng.choice(LETTERS))
        elif kind == 1 and at < len(letters):
            letters.pop(at)
        elif at < len(letters):
            letters[at] = rng.choice(LETTERS)
    return "".join(letters)


def main():
    RDLogger.DisableLog("rdApp.*")
    rng = random.Random(3)
    texts = dict.fromkeys(MOLECULES)
    while len(texts) < 2000:
        text = change(rng, rng.choice(MOLECULES))
        if text and " " not in text:
            texts[text] = None
    print(f"/* Made by tests/golden/smiles.py with RDKit {rdBase.rdkitVersion}: the first letter tells whether the rest is a molecule. */")
    print("static const char *const golden_smiles[] = {")
    line = "   "
    for text in texts:
        item = f' "{"+" if Chem.MolFromSmiles(text) is not None else "-"}{text}",'.replace("\\", "\\\\").replace("??", "?\\?")
        if len(line) + len(item) > 118:
            print(line)
            line = "   "
        line += item
    print(line)
    print("};")


main()
