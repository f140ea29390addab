#!/usr/bin/env python3
"""Fits the tables of src/kernels/tables_amx-inl.h and prints them with their errors.

    python3 tools/fit_amx_tables.py          (needs numpy)

Phi(x), the distribution function of the normal distribution: a quadratic in x for each of 32 intervals, whose middles are the
multiples of their width from -16 to 15.
2^x: 2^(j/16) (1 + c f) for x = n + j/16 + f with f between -1/32 and 1/32.
"""

import math

import numpy as np


def phi(x):
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])


def chebyshev_nodes(low, high, count):
    angles = (np.arange(count) + 0.5) * math.pi / count
    return (low + high) / 2 + (high - low) / 2 * np.cos(angles)


def show(name, values):
    rows = [", ".join(f"{np.float32(v):.9g}f" for v in values[i : i + 4]) for i in range(0, len(values), 4)]
    print(f"{name} = {{\n    " + ",\n    ".join(rows) + "};")


def fit_phi(end=4.2, intervals=32):
    width = end / (intervals / 2 - 0.5)  # the last interval ends at `end`
    terms = []
    for i in range(intervals):
        # In the order of the index's low five bits: 0 ... 15, then -16 ... -1.
        middle = width * (i if i < intervals // 2 else i - intervals)
        x = chebyshev_nodes(middle - width / 2, middle + width / 2, 3)
        terms.append(np.polynomial.polynomial.polyfit(x, phi(x), 2))
    terms = np.float32(terms)
    x = np.linspace(-6, 6, 1200001).astype(np.float32)
    index = np.rint(x / np.float32(width)).astype(int) % intervals
    c = terms[index].astype(np.float64)
    fitted = c[:, 0] + x * (c[:, 1] + x * c[:, 2])
    fitted[x <= -end], fitted[x >= end] = 0, 1
    exact = phi(x.astype(np.float64))
    print(f"// Phi: error of x Phi(x) at most {np.max(np.abs(x * (fitted - exact))):.2g}; 1 / width {1 / width:.9g}")
    for power in range(3):
        show(f"kPhi{power}[32]", terms[:, power])


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


fit_phi()
fit_exp2()
