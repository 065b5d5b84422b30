"""Directions along which the rows of a large matrix differ most: a randomised truncated SVD."""

from typing import Any

import numpy as np

from patron.schema.numbers import Numbers

EXTRA_DIRECTIONS, ROUNDS = 10, 5
"""More directions than needed, and multiplications by the matrix, that make the result exact enough."""


def right_factors(matrix: Any, dimensions: int, *, seed: int) -> Numbers:
    """Columns x dimensions: the first right singular vectors of a sparse or dense matrix.

    Fewer where the matrix is smaller. Random directions are improved by rounds of multiplication, and the best of their
    mixtures are taken (Halko, Martinsson and Tropp, 2011).
    """
    width = min(dimensions + EXTRA_DIRECTIONS, *matrix.shape)
    basis = np.random.default_rng(seed).standard_normal((matrix.shape[1], width))
    for _ in range(ROUNDS):
        basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
    rows = matrix @ basis
    directions = np.linalg.eigh(rows.T @ rows)[1][:, ::-1]
    return (basis @ directions)[:, :dimensions]


def unit_rows(matrix: Numbers) -> Numbers:
    """Rows of length 1; a row that is next to nothing is zero."""
    length = np.linalg.norm(matrix, axis=1, keepdims=True)
    is_zero = length < 1e-9
    return np.where(is_zero, 0.0, matrix / np.where(is_zero, 1.0, length))
