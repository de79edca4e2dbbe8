"""Products in row blocks: right at every width and precision, and each column on its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh_tridiagonal

from spikecube.linalg.lanczos import Lanczos, largest_pairs
from spikecube.linalg.products import normal_products, product, residual_products, thin_blocks, transposed_product
from spikecube.types import Array

SHAPES = [(300, 301), (301, 300), (1, 7), (777, 40)]
WIDTHS = [1, 2, 4]


def make_matrix(shape: tuple[int, int], dtype: str = "float64") -> Array:
    return np.random.default_rng(11).standard_normal(shape).astype(dtype)


def make_columns(size: int, count: int) -> list[Array]:
    return list(np.random.default_rng(12).standard_normal((count, size)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "accuracy"), [("float64", 1e-15), ("float32", 3e-7)])
def test_normal_products_equal_the_formula(shape: tuple[int, int], width: int, dtype: str, accuracy: float) -> None:
    f, columns = make_matrix(shape, dtype), make_columns(shape[1], 5)
    exact = f.astype(np.float64)
    found = normal_products(f, columns, 0.5, width)
    assert len(found) == 5
    for v, image in zip(columns, found, strict=True):
        expected = 0.5 * exact.T @ (exact @ v)
        assert image.dtype == np.float64
        assert np.linalg.norm(image - expected) <= accuracy * np.linalg.norm(exact, 2) ** 2 * np.linalg.norm(v)


def test_single_precision_is_told_from_double() -> None:
    """Negative control: the accuracy asked of double precision is out of reach of single precision."""
    f, columns = make_matrix((300, 301)), make_columns(301, 1)
    expected = f.T @ (f @ columns[0])
    found = normal_products(f.astype(np.float32), columns)[0]
    assert np.linalg.norm(found - expected) > 1e-10 * np.linalg.norm(f, 2) ** 2 * np.linalg.norm(columns[0])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_column_has_the_same_bits_in_any_company(shape: tuple[int, int], dtype: str, width: int) -> None:
    f, columns = make_matrix(shape, dtype), make_columns(shape[1], 7)
    together = normal_products(f, columns, width=width)
    for j in (0, 3, 6):
        np.testing.assert_array_equal(normal_products(f, [columns[j]], width=width)[0], together[j])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 8, 11])
def test_products_with_groups_of_columns_equal_the_formula(shape: tuple[int, int], count: int) -> None:
    f = make_matrix(shape)
    right, left = np.array(make_columns(shape[1], count)).T, np.array(make_columns(shape[0], count)).T
    labels = np.arange(1.0, shape[0] + 1)
    residual, image = residual_products(f, labels, right)
    np.testing.assert_allclose(product(f, right), f @ right, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(transposed_product(f, left), f.T @ left, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(residual, labels[:, None] - f @ right, rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(image, f.T @ (labels[:, None] - f @ right), rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("columns", [1, 4, 8])
@pytest.mark.parametrize("shape", [*SHAPES, (3, 2_000_000)])
def test_thin_blocks_cover_every_row_once(shape: tuple[int, int], columns: int) -> None:
    blocks = list(thin_blocks(np.empty(shape, dtype=np.float32), columns))
    assert [r for b in blocks for r in range(shape[0])[b]] == list(range(shape[0]))


def test_the_early_steps_take_the_finer_products() -> None:
    f, start = make_matrix((80, 60)), np.ones(60)
    rough = Lanczos(start, lambda c: [2.0 * f.T @ (f @ c[0])], lambda c: normal_products(f, c), early=3)
    for _ in range(5):
        rough.step()
    fine = Lanczos(start, lambda c: normal_products(f, c))
    fine.step()
    assert rough.alpha[0] == pytest.approx(2 * fine.alpha[0], rel=1e-12)
    image = f.T @ (f @ rough.basis[3])
    assert rough.alpha[3] == pytest.approx(float(rough.basis[3] @ image), rel=1e-12)


@pytest.mark.parametrize(("size", "count"), [(1, 2), (2, 1), (7, 3), (60, 4)])
def test_the_largest_pairs_of_a_tridiagonal_matrix_have_the_bits_of_scipy(size: int, count: int) -> None:
    rng = np.random.default_rng(size)
    diagonal, beside = rng.random(size), rng.random(size - 1)
    values, vectors = eigh_tridiagonal(diagonal, beside, select="i", select_range=(max(size - count, 0), size - 1))
    found = largest_pairs(diagonal, beside, count)
    np.testing.assert_array_equal(found[0], values[::-1])
    np.testing.assert_array_equal(found[1], vectors[:, ::-1])
    with pytest.raises(ValueError, match="must not contain infs or NaNs"):
        largest_pairs(np.full(size, np.nan), beside, count)
