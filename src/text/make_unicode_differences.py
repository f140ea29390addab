#!/usr/bin/env python3
"""Writes unicode_differences.h: where Hugging Face `tokenizers` and utf8proc disagree about a character.

`tokenizers` takes its categories from a crate of Unicode 8, its lower-casing from Rust's standard library and its word
characters, letters and numbers from regular-expression libraries, each of another Unicode version. This script asks the installed `tokenizers`
about every code point and writes down the differences to the installed utf8proc, as ranges.

    python make_unicode_differences.py | clang-format > unicode_differences.h
"""
import ctypes
import ctypes.util
import json

import tokenizers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

utf8proc = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
utf8proc.utf8proc_unicode_version.restype = ctypes.c_char_p
utf8proc.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_uint16)
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORY = {c: utf8proc.utf8proc_category(c) for c in CODE_POINTS}
LETTERS, MARKS, NUMBERS = range(1, 6), range(6, 9), range(9, 12)
NON_SPACING, DIGIT, LETTER_NUMBER, CONNECTOR = 6, 9, 10, 12
PUNCTUATION, CONTROL = range(12, 19), range(26, 30)


def bert(**options):
    flags = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**flags, **options})


def decomposition(c):
    """Canonical, in full (NFD); the character itself where it has none."""
    out = (ctypes.c_int32 * 16)()
    stable_decompose = 1 << 4
    return list(out[:utf8proc.utf8proc_decompose_char(c, out, 16, stable_decompose, None)])


def combining_class(c):
    return utf8proc.utf8proc_get_property(c)[1]


def is_starter(normalizer, c):
    """Whether canonical ordering moves nothing across c: it would swap a mark with one of class 9 or of class 224."""
    pairs = [chr(c) + other for other in "\u1B44\u302E"] + [other + chr(c) for other in "\u1B44\u302E"]
    return all(normalizer.normalize_str("a" + pair) == "a" + pair for pair in pairs)


def ranges(code_points):
    out = []
    for c in sorted(code_points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def print_ranges(name, comment, code_points):
    print(f"\n/// {comment}\ninline constexpr CodePointRange {name}[] = {{")
    line = "   "
    for first, last in ranges(code_points):
        item = f" {{0x{first:04X}, 0x{last:04X}}},"
        if len(line) + len(item) > 100:
            print(line)
            line = "   "
        line += item
    print(line + "\n};")


def lower_ranges(lowered):
    out = []
    for c, text in sorted(lowered.items()):
        lower, then = ord(text[0]), ord(text[1]) if len(text) > 1 else 0
        if out and not then and not out[-1][3] and out[-1][1] == c - 1 and lower - c == out[-1][2] - out[-1][0]:
            out[-1][1] = c
        else:
            out.append([c, c, lower, then])
    return out


def single_word_matcher():
    added = dict(id=1, content="<s>", special=True, normalized=False, single_word=True, lstrip=False, rstrip=False)
    return Tokenizer.from_str(json.dumps({
        "version": "1.0", "added_tokens": [added], "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]",
                  "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}))


def letters_and_numbers():
    """Of the expression that byte BPE cuts words with: what makes one word with a letter, and with a digit."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    joins = lambda other: {c for c in CODE_POINTS if len(split.pre_tokenize_str(other + chr(c))) == 1}
    return joins("x"), joins("1")


def check_composition(whole, starters):
    """Form C follows from what is known of accent stripping: the same crate does both."""
    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    assert whole == {c for c in CODE_POINTS if nfd.normalize_str(chr(c)) != "".join(map(chr, decomposition(c)))}
    assert starters == {c for c in CODE_POINTS
                        if combining_class(c) and decomposition(c) == [c] and is_starter(nfd, c)}
    for c in CODE_POINTS:
        apart = "".join(map(chr, decomposition(c)))
        assert c in whole or nfc.normalize_str(apart) == nfc.normalize_str(chr(c)), f"U+{c:04X}"


def main():
    clean, strip, lower = bert(clean_text=True), bert(strip_accents=True), bert(lowercase=True)
    split, single_word = pre_tokenizers.BertPreTokenizer(), single_word_matcher()
    control, marks, punctuation, words, lowered = set(), set(), set(), set(), {}
    for c in CODE_POINTS:
        text = chr(c)
        if clean.normalize_str(f"a{text}b") == "ab" and c not in (0, 0xFFFD):
            control.add(c)
        if strip.normalize_str(f"a{text}b") == "ab":
            marks.add(c)
        if [word for word, _ in split.pre_tokenize_str(f"a{text}b")] == ["a", text, "b"]:
            punctuation.add(c)
        if 1 not in single_word.encode(text + "<s>").ids:
            words.add(c)
        simple = utf8proc.utf8proc_tolower(c)
        if lower.normalize_str(text) != chr(simple):
            lowered[c] = lower.normalize_str(text)

    of = lambda *kinds: {c for c in CODE_POINTS if CATEGORY[c] in kinds}
    their_control = of(*CONTROL) - {0, 9, 10, 13}
    their_marks = of(NON_SPACING)
    decomposing = {c for c in marks | their_marks if decomposition(c) != [c]}  # judged by their parts
    their_punctuation = of(*PUNCTUATION) | {c for c in range(33, 127) if not chr(c).isalnum()}
    their_words = of(*LETTERS, *MARKS, DIGIT, LETTER_NUMBER, CONNECTOR)
    assert control <= their_control and their_words <= words, "no table is written for the other direction"
    whole, starters = set(), set()
    for c in CODE_POINTS:
        stripped = strip.normalize_str("a" + chr(c))
        kept = "".join(chr(d) for d in decomposition(c) if strip.normalize_str(f"a{chr(d)}") != "a")
        if stripped != "a" + kept:
            assert stripped == "a" + chr(c), f"U+{c:04X} decomposes in another way"
            whole.add(c)
        elif kept == chr(c) and combining_class(c) and is_starter(strip, c):
            starters.add(c)

    check_composition(whole, starters)
    letters, numbers = letters_and_numbers()
    their_letters, their_numbers = of(*LETTERS), of(*NUMBERS)
    assert their_letters <= letters and their_numbers <= numbers, "no table is written for the other direction"

    print("// Written by make_unicode_differences.py: do not edit.")
    print(f"// tokenizers {tokenizers.__version__} against Unicode {utf8proc.utf8proc_unicode_version().decode()}.")
    print("#pragma once\n\n#include <cstdint>\n\nnamespace tilewise::text {\n")
    print("struct CodePointRange {\n  uint32_t first;\n  uint32_t last;  ///< inclusive\n};")
    print_ranges("kNotControl", "Categories Cc, Cf, Cs, Co that cleaning keeps.", their_control - control)
    print_ranges("kNotMark", "Category Mn that accent stripping keeps.", their_marks - marks - decomposing)
    print_ranges("kAlsoMark", "Not category Mn, but stripped.", marks - their_marks - decomposing)
    print_ranges("kNotDecomposed", "Has a canonical decomposition that is not applied.", whole)
    print_ranges("kStarter", "Combining class that counts as 0.", starters)
    print_ranges("kNotPunctuation", "Categories P* that do not split words.", their_punctuation - punctuation)
    print_ranges("kAlsoPunctuation", "Not categories P*, but split words.", punctuation - their_punctuation)
    print_ranges("kAlsoWord", "Word characters besides the categories L*, M*, Nd, Nl, Pc.", words - their_words)
    print_ranges("kAlsoLetter", "Letters besides the categories L*.", letters - their_letters)
    print_ranges("kAlsoNumber", "Numbers besides the categories N*.", numbers - their_numbers)
    print("\n/// The lower case of first is `lower`, of first + 1 `lower` + 1 and so on; `then` follows it, 0: nothing.")
    print("struct LowerCaseRange {\n  uint32_t first;\n  uint32_t last;  ///< inclusive\n  uint32_t lower;\n  uint32_t then;\n};")
    print("\n/// Lower case where it is not utf8proc's simple mapping.\ninline constexpr LowerCaseRange kLowerCase[] = {")
    for first, last, lower_first, then in lower_ranges(lowered):
        print(f"    {{0x{first:04X}, 0x{last:04X}, 0x{lower_first:04X}, 0x{then:04X}}},")
    print("};\n\n}  // namespace tilewise::text")


if __name__ == "__main__":
    main()
