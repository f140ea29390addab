#!/usr/bin/env python3
"""Fits the tables of src/kernels/tables_amx-inl.h and prints them with their errors.

    python3 tools/fit_amx_tables.py          (needs numpy)

GELU x Phi(x): a quadratic in x for each of 32 intervals, which begin at the multiples of their width from -16 to 15; the outer
two are its tails.
2^x: 2^(j/16) (1 + c f) for x = n + j/16 + f with f between -1/32 and 1/32.
"""

import math

import numpy as np


def phi(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


def show(name, values):
    literals = [f"{np.float32(v):.9g}" for v in values]
    literals = [v + ("f" if "." in v or "e" in v else ".0f") for v in literals]
    rows = [", ".join(literals[i : i + 4]) for i in range(0, len(values), 4)]
    print(f"{name} = {{\n    " + ",\n    ".join(rows) + "};")


def best_fit(columns, y, rounds=200):
    """The coefficients with the smallest largest error, by Lawson's weights."""
    weights = np.ones(len(y))
    for _ in range(rounds):
        root = np.sqrt(weights)
        terms = np.linalg.lstsq(columns * root[:, None], y * root, rcond=None)[0]
        weights *= np.abs(columns @ terms - y)
        weights /= weights.sum()
    return terms


def fit_gelu(end=4.1, intervals=32):
    half = intervals // 2
    width = end / (half - 1)
    terms = []
    for i in range(intervals):
        # In the order of the index's low five bits: 0 ... 15, then -16 ... -1.
        number = i if i < half else i - intervals
        if number in (half - 1, -half):
            terms.append([0, 1 if number > 0 else 0, 0])  # x and 0, whatever x is
            continue
        x = np.linspace(width * number, width * (number + 1), 401)
        powers = np.stack([np.ones_like(x), x, x * x], axis=1)
        first = 1 if number in (0, -1) else 0  # exactly 0 at 0, so that small x have a small error
        terms.append([0] * first + list(best_fit(powers[:, first:], x * phi(x))))
    terms = np.float32(terms)
    x = np.linspace(-6, 6, 1200001).astype(np.float32)
    index = np.clip(np.floor(x / np.float32(width)), -half, half - 1).astype(int) % intervals
    c = terms[index].astype(np.float64)
    error = np.max(np.abs(c[:, 0] + x * (c[:, 1] + x * c[:, 2]) - x * phi(x.astype(np.float64))))
    print(f"// GELU: error at most {error:.2g}; 1 / width {1 / width:.9g}, last middle {width * (half - 0.5):.9g}")
    for power in range(3):
        show(f"kGelu{power}[32]", terms[:, power])


def fit_exp2(steps=16):
    f = np.linspace(-0.5 / steps, 0.5 / steps, 100001)
    # The best line through 2^f: equal errors at both ends and at the point between them.
    low, high = 2 ** f[0], 2 ** f[-1]
    slope = (high - low) * steps
    middle = math.log2(slope / math.log(2))
    offset = (low - slope * f[0] + 2**middle - slope * middle) / 2
    print(f"// 2^x: relative error at most {np.max(np.abs((offset + slope * f) / 2**f - 1)):.2g}")
    powers = 2 ** (np.arange(steps) / steps)
    show("kExp2Offsets[16]", offset * powers)
    show("kExp2Slopes[16]", slope * powers)


fit_gelu()
fit_exp2()
