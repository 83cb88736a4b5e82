"""Goldstein filter: against plain loops, on an absolute lattice, with gaps."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray

import xinsar

Array = NDArray[Any]
DIMS = ("pair", "y", "x")


def cube(phase: Array, coherence: Array | None = None) -> xr.Dataset:
    ds = xr.Dataset({"phase": (DIMS, np.asarray(phase, np.float32))}, attrs={"track": "26"})
    return ds if coherence is None else ds.assign(coherence=(DIMS, np.asarray(coherence, np.float32)))


def wrap(angle: Array) -> Array:
    return np.angle(np.exp(1j * angle))


def fringes(
    shape: tuple[int, int], *, noise: float = 0.8, pairs: int = 1, seed: int = 0
) -> tuple[Array, Array]:
    """Return the true phase (y, x) and noisy wrapped pairs of it."""
    y, x = np.indices(shape)
    true = 0.35 * x - 0.2 * y + 5 * np.exp(-((x - shape[1] / 2) ** 2 + (y - shape[0] / 2) ** 2) / 150)
    return true, wrap(true + np.random.default_rng(seed).normal(0, noise, (pairs, *shape)))


def plain(
    phase: Array, alpha: float | None, patch: int, step: int, smoothing: int, coherence: Array | None = None
) -> Array:
    """Filter one image: one patch after the other, one frequency window after the other."""
    height, width = phase.shape
    ramp = [min(i + 1, patch - i) for i in range(patch)]
    total = np.zeros(phase.shape, complex)
    for top in range(step - patch, height, step):
        for left in range(step - patch, width, step):
            z = np.zeros((patch, patch), complex)
            inside = [
                (r, c)
                for r in range(max(0, -top), min(patch, height - top))
                for c in range(max(0, -left), min(patch, width - left))
                if not np.isnan(phase[top + r, left + c])
            ]
            if not inside:
                continue
            for r, c in inside:
                z[r, c] = np.exp(1j * phase[top + r, left + c])
            power = alpha
            if power is None and coherence is not None:
                power = 1 - np.mean([coherence[top + r, left + c] for r, c in inside])
            spectrum = np.fft.fft2(z)
            strength = np.zeros((patch, patch))
            for u in range(patch):
                for v in range(patch):
                    near = range(-(smoothing // 2), smoothing // 2 + 1)
                    strength[u, v] = np.mean(
                        [abs(spectrum[(u + i) % patch, (v + j) % patch]) for i in near for j in near]
                    )
            filtered = np.fft.ifft2(spectrum * (strength / strength.max()) ** power)
            for r, c in inside:
                total[top + r, left + c] += filtered[r, c] * ramp[r] * ramp[c]
    return np.where(np.isnan(phase), np.nan, np.angle(total))


@pytest.mark.parametrize(
    ("shape", "alpha", "patch", "step", "smoothing"),
    [
        ((19, 23), 0.5, 8, 2, 3),
        ((17, 16), 1.0, 8, 4, 1),
        ((9, 30), 0.8, 16, 4, 5),
        ((12, 12), 0.5, 6, 3, 3),
        ((20, 20), 0.7, 8, 8, 3),
    ],
)
def test_equals_plain_loops(
    shape: tuple[int, int], alpha: float, patch: int, step: int, smoothing: int
) -> None:
    _, phase = fringes(shape, pairs=2)
    phase[0, 3:7, 5:9] = np.nan
    found = xinsar.goldstein_filter(cube(phase), alpha=alpha, patch=patch, step=step, smoothing=smoothing)
    for k in range(2):
        expected = plain(phase[k], alpha, patch, step, smoothing)
        difference = wrap(found.phase.values[k] - expected)
        np.testing.assert_array_equal(np.isnan(difference), np.isnan(phase[k]))
        assert np.nanmax(np.abs(difference)) < 1e-4


def test_strength_from_coherence_equals_plain_loops() -> None:
    _, phase = fringes((18, 21))
    coherence = np.random.default_rng(1).uniform(0, 1, phase.shape)
    coherence[0, :, :9] *= 0.2
    coherence[0, 2, 2] = np.nan
    found = xinsar.goldstein_filter(cube(phase, coherence), alpha="coherence", patch=8).phase.values[0]
    gaps = np.where(np.isnan(coherence[0]), np.nan, phase[0])
    expected = plain(gaps, None, 8, 2, 3, coherence[0])
    assert np.isnan(found[2, 2])
    assert np.nanmax(np.abs(wrap(found - expected))) < 1e-4


def _random_chunks(length: int, rng: np.random.Generator) -> tuple[int, ...]:
    chunks: list[int] = []
    while sum(chunks) < length:
        chunks.append(min(int(rng.integers(1, length)), length - sum(chunks)))
    return tuple(chunks)


@pytest.mark.parametrize(
    "options", [{}, {"patch": 8, "step": 4}, {"alpha": "coherence", "patch": 12, "step": 3}]
)
def test_any_chunking_gives_the_same_bits(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    _, phase = fringes((75, 90), pairs=3)
    phase[rng.random(phase.shape) < 0.05] = np.nan
    phase[1, 20:50, 10:60] = np.nan
    ds = cube(phase, rng.uniform(0, 1, phase.shape))
    whole = xinsar.goldstein_filter(ds, **options).phase
    for _ in range(30):
        chunks = {"y": _random_chunks(75, rng), "x": _random_chunks(90, rng), "pair": _random_chunks(3, rng)}
        lazy = xinsar.goldstein_filter(ds.chunk(chunks), **options).phase
        assert dict(lazy.chunksizes) == chunks
        np.testing.assert_array_equal(lazy.values, whole.values)


def test_building_computes_nothing() -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("computed while building")

    ds = cube(fringes((40, 40))[1]).chunk(y=16, x=20)
    with dask.config.set(scheduler=refuse):
        filtered = ds.insar.goldstein_filter(alpha=0.3, patch=16)
    assert filtered.phase.chunks is not None
    assert filtered.phase.dtype == np.float32


def test_alpha_zero_changes_nothing() -> None:
    _, phase = fringes((50, 41), noise=2.0)
    same = xinsar.goldstein_filter(cube(phase), alpha=0).phase.values
    assert np.abs(wrap(same - phase)).max() < 2e-6


def test_constant_phase_stays() -> None:
    """Also at borders and around gaps, where patches are not full."""
    phase = np.full((1, 37, 45), 2.5)
    phase[0, 10:15, 20:30] = np.nan
    found = xinsar.goldstein_filter(cube(phase), alpha=1.0, patch=16).phase.values
    np.testing.assert_allclose(found[~np.isnan(phase)], 2.5, atol=1e-5)


def test_noise_goes_and_fringes_stay() -> None:
    true, phase = fringes((96, 96), noise=0.9)
    before = np.sqrt(np.mean(wrap(phase[0] - true) ** 2))
    errors = [
        np.sqrt(np.mean(wrap(xinsar.goldstein_filter(cube(phase), alpha=a).phase.values[0] - true) ** 2))
        for a in (0.3, 0.6, 1.0)
    ]
    assert before > errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.4 * before


def test_shifts_and_flips_of_sign_go_through() -> None:
    """exp(i phase) times a constant, and its conjugate, give the same filter."""
    _, phase = fringes((48, 48))
    base = xinsar.goldstein_filter(cube(phase)).phase.values
    shifted = xinsar.goldstein_filter(cube(wrap(phase + 1.3))).phase.values
    flipped = xinsar.goldstein_filter(cube(-phase)).phase.values
    assert np.abs(wrap(shifted - base - 1.3)).max() < 1e-3
    assert np.abs(wrap(flipped + base)).max() < 1e-3


def test_turned_image_gives_turned_result() -> None:
    """The lattice is symmetric where the image is a multiple of the step."""
    _, phase = fringes((48, 64))
    turned = xinsar.goldstein_filter(cube(np.rot90(phase, axes=(1, 2)))).phase.values
    straight = xinsar.goldstein_filter(cube(phase)).phase.values
    assert np.abs(wrap(turned - np.rot90(straight, axes=(1, 2)))).max() < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5)])
def test_images_smaller_than_a_patch(shape: tuple[int, int]) -> None:
    _, phase = fringes(shape, noise=0.0)
    found = xinsar.goldstein_filter(cube(phase), alpha=0.2).phase
    assert found.shape == (1, *shape)
    assert np.isfinite(found).all()
    lazy = xinsar.goldstein_filter(cube(phase).chunk(y=1, x=2), alpha=0.2).phase
    np.testing.assert_array_equal(lazy, found)


def test_missing_pairs_stay_missing() -> None:
    _, phase = fringes((20, 20), pairs=2)
    phase[1] = np.nan
    found = xinsar.goldstein_filter(cube(phase)).phase
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()


def test_only_numpy_in_numpy_out_and_attributes_travel() -> None:
    found = xinsar.goldstein_filter(cube(fringes((20, 20))[1]), alpha=0.4)
    assert isinstance(found.phase.data, np.ndarray)
    assert found.attrs["track"] == "26"
    assert "alpha=0.4" in found.attrs["history"]
    assert found.phase.attrs["units"] == "rad"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"alpha": 1.5}, ValueError, "alpha: .*0..1, got 1.5"),
        ({"alpha": "baran"}, ValueError, "alpha: .*'coherence', got 'baran'"),
        ({"alpha": None}, TypeError, "alpha: expected a number"),
        ({"alpha": "coherence"}, xinsar.SchemaError, "coherence: .*no variable"),
        ({"patch": 2}, ValueError, "patch: .*4 or more, got 2"),
        ({"patch": 10}, ValueError, "patch: .*multiple of 4"),
        ({"patch": 32, "step": 5}, ValueError, "step: .*divisor of patch=32, got 5"),
        ({"patch": 16.0}, ValueError, "patch: expected a whole number"),
        ({"smoothing": 4}, ValueError, "smoothing: expected an odd number"),
    ],
)
def test_options_that_are_not_legal(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        xinsar.goldstein_filter(cube(fringes((8, 8))[1]), **options)


def test_values_out_of_range_are_told_when_computed() -> None:
    _, phase = fringes((8, 8))
    lazy = xinsar.goldstein_filter(cube(phase + 7).chunk(y=4))
    with pytest.raises(ValueError, match="phase: expected wrapped phase"):
        lazy.compute()
    bad = cube(phase, np.full(phase.shape, 55.0))
    with pytest.raises(ValueError, match="coherence: expected values within"):
        xinsar.goldstein_filter(bad, alpha="coherence")
    assert xinsar.goldstein_filter(bad).phase.notnull().all()  # coherence is not looked at


@pytest.mark.real
def test_less_residues_on_a_real_stack(real_data: Any) -> None:
    """Mexico City, wrapped: the filter takes most residues away and keeps the phase where it was clean."""
    with pytest.warns(UserWarning, match="grid with most pairs"):
        ds = xinsar.open_stack(real_data("mexico-city-s1-gamma-stack"))
    wrapped = ds.isel(pair=slice(0, 30, 6)).unwrapped_phase.load()
    noisy = wrap(wrapped.values + np.random.default_rng(0).normal(0, 0.7, wrapped.shape))
    filtered = xinsar.goldstein_filter(cube(noisy), alpha=0.8, patch=16).phase.values
    assert _residues(filtered) < 0.25 * _residues(noisy)
    assert np.nanstd(wrap(filtered - wrapped.values)) < 0.7 * np.nanstd(wrap(noisy - wrapped.values))


def _residues(phase: Array) -> int:
    """Count the loops of four pixels whose wrapped differences do not sum to 0."""
    down, across = wrap(np.diff(phase, axis=1)), wrap(np.diff(phase, axis=2))
    loop = across[:, :-1] + down[:, :, 1:] - across[:, 1:] - down[:, :, :-1]
    return int((np.abs(loop) > 3).sum())
