"""3×3 colour maths on plain floats: products, inverses and the change of a white point."""

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Matrix, Triple

XYZ_FROM_SRGB: Matrix = (
    (0.4123908, 0.3575843, 0.1804808),
    (0.2126390, 0.7151687, 0.0721923),
    (0.0193308, 0.1191948, 0.9505322),
)
"""Linear sRGB to XYZ with white D65 (IEC 61966-2-1)."""

D50: Triple = (0.9642, 1.0, 0.8249)
D65: Triple = (0.9505, 1.0, 1.0891)
_BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


def product(left: Matrix, right: Matrix) -> Matrix:
    """``left · right``."""
    columns = tuple(zip(*right, strict=True))
    return _matrix([[_dot(row, column) for column in columns] for row in left])


def apply(matrix: Matrix, vector: Triple) -> Triple:
    """``matrix · vector``."""
    first, second, third = (_dot(row, vector) for row in matrix)
    return (first, second, third)


def inverse(matrix: Matrix, field: str) -> Matrix:
    """The inverse.

    Raises:
        InvalidArgumentError: naming ``field``, when there is none.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix
    minors = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    determinant = a * minors[0][0] + b * minors[1][0] + c * minors[2][0]
    if abs(determinant) < 1e-9:
        raise InvalidArgumentError(field, f"{field} has no inverse: check its nine numbers")
    return _matrix([[value / determinant for value in row] for row in minors])


def with_unit_rows(matrix: Matrix, field: str) -> Matrix:
    """Every row divided by its sum, so that (1, 1, 1) stays (1, 1, 1).

    Raises:
        InvalidArgumentError: naming ``field``, when a row's sum is not positive.
    """
    if any(sum(row) <= 1e-9 for row in matrix):
        raise InvalidArgumentError(field, f"{field} does not take white to white: check its nine numbers")
    return _matrix([[value / sum(row) for value in row] for row in matrix])


def adaptation(source: Triple, target: Triple) -> Matrix:
    """Takes XYZ seen under the white ``source`` to XYZ under ``target`` (Bradford)."""
    scales = [t / s for s, t in zip(apply(_BRADFORD, source), apply(_BRADFORD, target), strict=True)]
    scaled = _matrix([[scale * value for value in row] for scale, row in zip(scales, _BRADFORD, strict=True)])
    return product(inverse(_BRADFORD, "bradford"), scaled)


def _dot(left: Triple, right: Triple) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _matrix(rows: list[list[float]]) -> Matrix:
    first, second, third = ((row[0], row[1], row[2]) for row in rows)
    return (first, second, third)
