#!/usr/bin/env python3
"""Writes grapheme_differences.h: where Hugging Face `tokenizers` and utf8proc disagree about grapheme clusters.

`tokenizers` cuts a text into grapheme clusters (Unicode, annex 29) before it replaces characters by SentencePiece's precompiled
map, with tables of another Unicode version than utf8proc's. This script asks the installed `tokenizers` about every code point:
a map that makes one X of all that begins with any byte turns a cluster of less than six bytes into one X, and any other into one X
a character. The class of a code point is the one that explains the numbers of X in the strings of `PROBES`; where several
do, no short cluster can tell them apart, and utf8proc's is kept.

    python make_grapheme_differences.py | clang-format > grapheme_differences.h
"""
import base64
import ctypes
import ctypes.util
import struct

import tokenizers
from tokenizers import normalizers

utf8proc = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
utf8proc.utf8proc_unicode_version.restype = ctypes.c_char_p
utf8proc.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_uint8)
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
SHORT = 6  # bytes: a cluster of fewer is replaced as a whole

EXTENDING = ("extend", "joiner", "non_joiner", "linker", "spacing_mark")
# The classes of utf8proc.h, UTF8PROC_BOUNDCLASS_*; regional indicators have four bytes, so that no short cluster has two characters.
BOUNDCLASS = {1: "other", 4: "control", 2: "carriage_return", 3: "line_feed", 5: "extend", 6: "leading", 7: "vowel", 8: "trailing",
              9: "syllable", 10: "closed_syllable", 11: "other", 12: "spacing_mark", 13: "prepend", 14: "joiner", 19: "pictographic"}
CLASSES = [*dict.fromkeys(BOUNDCLASS.values()), "non_joiner", "linker", "consonant"]
KNOWN = {"a": "other", "\u0301": "extend", "\u00A9": "pictographic", "\u200D": "joiner", "\u1100": "leading", "\u1161": "vowel",
         "\u11A8": "trailing", "\u0600": "prepend", "\u0915": "consonant", "\u094D": "linker",
         "\r": "carriage_return", "\n": "line_feed"}
# The code point in question is C, in a context that shows how it is bound.
PROBES = ["aC", "Ca", "C\n", "\rC", "\u0600C", "C\u0301", "C\u0301\u0301", "\u00A9C\u200D\u00A9\u0301", "C\u200D\u00A9\u0301", "C\u1100\u0301",
          "C\u1161\u0301", "C\u11A8\u0301", "\u1100C\u0301", "\u1161C\u0301", "\u0915\u094DC\u0301", "C\u094D\u0915\u0301", "\u0915C\u0915\u0301",
          "\u0915\u094DC\u0915\u0301", "\u0915C\u094D\u0915\u0301", "\u00A9\u200DC\u0301"]


def starts_map():
    """A precompiled map with one rule for each first byte of a character: it becomes X."""
    units = [0] * 1024
    units[0] = 256 << 10                               # the children of the root are at 256 ^ byte
    for byte in [*range(1, 0x80), *range(0xC2, 0xF5)]:
        units[256 ^ byte] = byte | 1 << 8 | 512 << 10  # has a value, at 512 ^ 256 ^ byte
        units[768 ^ byte] = 1 << 31                      # the value: the text at 0
    blob = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"X\0"
    return normalizers.Precompiled(blob)


def is_joined(classes, next_class):
    """Whether a cluster of these classes goes on with the next (Unicode 16, annex 29, GB3 to GB11)."""
    last = classes[-1]
    if last == "carriage_return":
        return next_class == "line_feed"
    if last in ("line_feed", "control") or next_class in ("carriage_return", "line_feed", "control"):
        return False
    if next_class in EXTENDING or last == "prepend":
        return True
    hangul = {"leading": ("leading", "vowel", "syllable", "closed_syllable"), "vowel": ("vowel", "trailing"),
              "syllable": ("vowel", "trailing"), "trailing": ("trailing",), "closed_syllable": ("trailing",)}
    if last in hangul:
        return next_class in hangul[last]
    if next_class == "pictographic" and last == "joiner":
        before = [c for c in classes if c not in ("extend", "non_joiner", "linker")]
        return len(before) >= 2 and before[-2] == "pictographic"
    if next_class == "consonant":
        before = [c for c in classes if c not in ("extend", "joiner")]
        linkers = len(before)
        while linkers and before[linkers - 1] == "linker":
            linkers -= 1
        return linkers < len(before) and linkers > 0 and before[linkers - 1] == "consonant"
    return False


def predicted(probe, c, class_of_c):
    """The number of X that the probe becomes when c has this class."""
    clusters = []
    for character in probe:
        kind = class_of_c if character == "C" else KNOWN[character]
        size = len((chr(c) if character == "C" else character).encode())
        if clusters and is_joined([k for k, _ in clusters[-1]], kind):
            clusters[-1].append((kind, size))
        else:
            clusters.append([(kind, size)])
    return sum(1 if sum(size for _, size in cluster) < SHORT else len(cluster) for cluster in clusters)


def main():
    normalizer = starts_map()
    predictions = {length: {kind: tuple(predicted(probe, c, kind) for probe in PROBES) for kind in CLASSES}
                   for length, c in ((1, 0x61), (2, 0xE9), (3, 0x4E00), (4, 0x20000))}
    differences = []
    for c in CODE_POINTS[1:]:  # a map is not asked about U+0000
        text = chr(c)
        found = tuple(len(normalizer.normalize_str(probe.replace("C", text))) for probe in PROBES)
        of_length = predictions[len(text.encode())]
        theirs = BOUNDCLASS[utf8proc.utf8proc_get_property(c)[21]]
        if of_length[theirs] == found:
            continue
        fitting = [kind for kind in CLASSES if of_length[kind] == found]
        assert fitting, f"U+{c:04X}: no class explains {found}"
        if differences and differences[-1][1] == c - 1 and differences[-1][2] == fitting[0]:
            differences[-1][1] = c
        else:
            differences.append([c, c, fitting[0]])

    print("// Written by make_grapheme_differences.py: do not edit.")
    print(f"// tokenizers {tokenizers.__version__} against Unicode {utf8proc.utf8proc_unicode_version().decode()}.")
    print('#pragma once\n\n#include <cstdint>\n\n#include "text/grapheme.h"\n\nnamespace tilewise::text {\n')
    print("struct GraphemeRange {\n  uint32_t first;\n  uint32_t last;  ///< inclusive\n  GraphemeClass grapheme_class;\n};\n")
    print("/// Classes other than utf8proc's, and those that it does not have.\ninline constexpr GraphemeRange kGraphemeDifferences[] = {")
    for first, last, kind in differences:
        print(f"    {{0x{first:04X}, 0x{last:04X}, GraphemeClass::{kind}}},")
    print("};\n\n}  // namespace tilewise::text")


if __name__ == "__main__":
    main()
