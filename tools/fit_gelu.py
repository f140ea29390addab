#!/usr/bin/env python3
"""Fits the polynomials of src/kernels/gelu-inl.h and vector_math-inl.h and prints their coefficients.

    python3 tools/fit_gelu.py          (needs numpy and mpmath; takes some seconds)

Each fit is a weighted minimax fit by Lawson's iteration (least squares whose weights grow where the error is large); the
weight turns the error of the polynomial into the error of the function that it is part of. Every result is then
evaluated in float32, in the order of the C++ code, over a dense grid, and the largest error is printed beside it.
"""

import mpmath
import numpy as np

mpmath.mp.dps = 40


def minimax(points, values, weights, powers, iterations=400):
    """Coefficients c that minimise max |weights * (values - sum c_i points^powers_i)|."""
    basis = np.stack([points**p for p in powers], axis=1).astype(np.longdouble)
    scale = np.abs(basis).max(axis=0)
    basis /= scale
    lawson = np.ones(len(points), dtype=np.longdouble) / len(points)
    best, best_error = None, np.inf
    for _ in range(iterations):
        root = np.sqrt(lawson) * weights
        coefficients = solve(basis * root[:, None], values * root)
        error = np.abs(weights * (values - basis @ coefficients))
        if error.max() < best_error:
            best, best_error = coefficients / scale, error.max()
        lawson = lawson * (error + 1e-3 * error.max())
        lawson /= lawson.sum()
    return np.array(best, dtype=np.float64), float(best_error)


def solve(matrix, right):
    """Least squares by modified Gram-Schmidt in long double (numpy's own is double only)."""
    columns = matrix.shape[1]
    q = matrix.copy()
    r = np.zeros((columns, columns), dtype=np.longdouble)
    for i in range(columns):
        for _ in range(2):  # twice is enough
            for j in range(i):
                overlap = q[:, j] @ q[:, i]
                r[j, i] += overlap
                q[:, i] -= overlap * q[:, j]
        r[i, i] = np.sqrt(q[:, i] @ q[:, i])
        q[:, i] /= r[i, i]
    projected = q.T @ right
    result = np.zeros(columns, dtype=np.longdouble)
    for i in reversed(range(columns)):
        result[i] = (projected[i] - r[i, i + 1:] @ result[i + 1:]) / r[i, i]
    return result


def chebyshev_points(low, high, count):
    angles = np.pi * (np.arange(count) + 0.5) / count
    return ((low + high) / 2 + (high - low) / 2 * np.cos(angles)).astype(np.longdouble)


def exact(function, points):
    return np.array([np.longdouble(mpmath.nstr(function(mpmath.mpf(repr(float(p)))), 25)) for p in points],
                    dtype=np.longdouble)


def float32(coefficients):
    return [np.float32(c) for c in coefficients]


def horner(coefficients, x):
    """Highest power first in the loop; coefficients are given lowest first. float32, fused multiply-adds."""
    result = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        result = fma(result, x, np.float32(c))
    return result


def fma(a, b, c):
    return (a.astype(np.float64) * b.astype(np.float64) + np.float64(c)).astype(np.float32)


def report(name, coefficients, error):
    print(f"{name}: largest error {error:.3g}")
    for power, c in enumerate(coefficients):
        print(f"  [{power}] {np.float32(c):.9g}f")


def cdf(x):
    return mpmath.ncdf(x)


def fit_gelu_fast():
    """gelu(x) = x clamp01(1/2 + x P(min(x^2, c^2))), error at most 1e-4 absolute."""
    edge, terms = 4.18, 8
    x = chebyshev_points(0, edge, 1500)
    x = x[x > 1e-3]
    ratio = exact(lambda v: (cdf(v) - 0.5) / v, x)
    # At the edge P must reach 1/(2c), or a little more, so that the clamp makes the tails exactly 0 and x.
    pin = np.longdouble((0.5 + 4e-6) / edge)
    x, ratio = np.append(x, edge), np.append(ratio, pin)
    weights = x * x
    weights[-1] = 1e5
    coefficients, _ = minimax(x * x, ratio, weights, range(terms))
    c32 = float32(coefficients)

    grid = np.linspace(-30, 30, 600001).astype(np.float32)
    t = np.minimum(grid * grid, np.float32(edge * edge))
    phi = np.clip(fma(grid, horner(c32, t), np.float32(0.5)), 0, 1).astype(np.float32)
    true = np.array([float(v) * 0.5 * float(mpmath.erfc(-float(v) / mpmath.sqrt(2))) for v in grid[::50]])
    error = np.abs(grid[::50].astype(np.float64) * phi[::50] - true).max()
    tail = phi[(grid < -edge)].max(), phi[(grid > edge)].min()
    report(f"gelu fast, P(t), t = min(x^2, {edge * edge:.9g}), tails {tail}", c32, error)


def fit_exp2(terms):
    """2^f on [-1/2, 1/2], constant term exactly 1, relative error."""
    f = chebyshev_points(-0.5, 0.5, 1000)
    f = f[np.abs(f) > 1e-4]
    rest = exact(lambda v: (mpmath.power(2, v) - 1) / v, f)
    weights = np.abs(f) / exact(lambda v: mpmath.power(2, v), f)
    coefficients, _ = minimax(f, rest, weights, range(terms - 1))
    c32 = float32([1.0, *coefficients])
    grid = np.linspace(-0.5, 0.5, 20001).astype(np.float32)
    error = np.abs(horner(c32, grid).astype(np.float64) / np.exp2(grid.astype(np.float64)) - 1).max()
    report(f"exp2, {terms} terms", c32, error)
    return c32


def fit_gelu_exact(exp2_coefficients):
    """gelu(x) = max(x, 0) - u Q(u), u = min(|x|, 13.2), Q(u) = Phi(-u) = exp(-u^2 / 2) R(u).

    R is fitted up to 5.5 only: beyond, the factor exp(-u^2 / 2) makes whatever it does invisible.
    """
    edge, terms = 5.5, 12
    u = chebyshev_points(0, edge, 2000)
    ratio = exact(lambda v: mpmath.exp(v * v / 2) * cdf(-v), u)
    weights = np.maximum(u, 0.02) * np.exp(-u * u / 2) + np.longdouble(2e-8)
    coefficients, fitted = minimax(u, ratio, weights, range(terms))
    c32 = float32(coefficients)

    grid = np.linspace(-14, 14, 280001).astype(np.float32)
    magnitude = np.minimum(np.abs(grid), np.float32(13.2))
    exponent = (magnitude * magnitude * np.float32(-0.5 / np.log(2))).astype(np.float32)
    n = np.rint(exponent)
    power = horner(exp2_coefficients, (exponent - n).astype(np.float32)) * np.exp2(n).astype(np.float32)
    q = (power * horner(c32, magnitude)).astype(np.float32)
    value = (np.maximum(grid, 0) - (magnitude * q).astype(np.float32)).astype(np.float32)
    sample = slice(None, None, 20)
    true = np.array([float(v * cdf(v)) for v in map(mpmath.mpf, map(float, grid[sample]))])
    error = (np.abs(value[sample] - true) / np.maximum(1, magnitude[sample])).max()
    report(f"gelu exact, R(u), fit alone {fitted:.3g}", c32, error)


if __name__ == "__main__":
    fit_gelu_fast()
    fit_exp2(5)
    fit_gelu_exact(fit_exp2(6))
