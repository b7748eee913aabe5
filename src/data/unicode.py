#!/usr/bin/env python3
"""Writes src/data/unicode.inc: which code points are letters (L*), numbers (N*) and white space, as runs.

Categories are those of Python's unicodedata, white space is the property White_Space."""
import sys
import unicodedata

WHITE = {*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}


def class_of(code):
    if code in WHITE:
        return "TW_CLASS_SPACE"
    return {"L": "TW_CLASS_LETTER", "N": "TW_CLASS_NUMBER"}.get(unicodedata.category(chr(code))[0])


def main():
    runs = []
    for code in range(0x110000):
        kind = class_of(code)
        if kind and runs and runs[-1][1] == code - 1 and runs[-1][2] == kind:
            runs[-1][1] = code
        elif kind:
            runs.append([code, code, kind])
    out = [f"/* Made by src/data/unicode.py: {len(runs)} runs of Unicode {unicodedata.unidata_version}. */"]
    line = ""
    for first, last, kind in runs:
        item = f"{{0x{first:X}, 0x{last:X}, {kind[9:]}}},"
        if len(line) + len(item) > 118:
            out.append(line.rstrip())
            line = ""
        line += item + " "
    out.append(line.rstrip())
    sys.stdout.write("\n".join(out) + "\n")


main()
