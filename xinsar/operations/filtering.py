"""Filters of wrapped phase."""

from __future__ import annotations

from typing import Any

import xarray as xr

from xinsar import schema
from xinsar.mapping import is_lazy, on_lattice, stencil
from xinsar.operations import checks


def _coherence(ds: xr.Dataset) -> xr.DataArray | None:
    """Return the checked coherence of ``ds``, or None where it holds none."""
    return schema.find(ds, schema.COHERENCE) if "coherence" in ds else None


def coherence_filter(ds: xr.Dataset, *, window: int = 5, fill: bool = False) -> xr.Dataset:
    r"""Smooth wrapped phase with its coherence as weight.

    .. math:: z(p) = \sum_{q \in w \times w} c(q)\, e^{i \varphi(q)}, \qquad
       \hat\varphi = \arg z, \qquad \text{consistency} = |z| / \sum c

    Parameters
    ----------
    ds
        Dataset with ``phase`` (pair, y, x), rad within (-pi, pi], and if known ``coherence`` (pair, y, x), 0..1;
        without it all weights are 1.
    window
        Width of the square window, an odd number of pixels.
    fill
        Give missing pixels the value of their window, as a plain convolution would.

    Returns
    -------
    xarray.Dataset
        ``phase`` (pair, y, x), rad, and ``phase_consistency`` (pair, y, x), 0..1, both float32; lazy if ``ds`` is. Pure
        noise has a consistency of .886 / sqrt(pixels): .18 for a full 5 x 5 window, 1 for a single pixel.

    Raises
    ------
    xinsar.SchemaError
        If ``phase`` is absent or has wrong dims, dtype or units.
    ValueError
        If ``window`` is not odd; when computed, if phase lies outside (-pi, pi] or coherence outside 0..1.

    Notes
    -----
    A missing pixel (NaN phase or coherence) has no weight and stays missing unless ``fill``. Where the weights sum to 0
    the result is NaN. Pixels outside the image have no weight.

    References
    ----------
    Fu et al. 2022, Front. Environ. Sci. 10:963322, section 4.1.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((8, 9), gradient=(0.1, 0.2), pairs=2)
    >>> xinsar.coherence_filter(ds, window=3).phase.shape
    (2, 8, 9)
    """
    from xinsar.kernels.filter import coherence_filter as kernel

    window = checks.odd_window(window)
    phase = schema.find(ds, schema.PHASE)
    filtered, consistency = stencil(
        kernel, phase, _coherence(ds), depth=window // 2, outputs=2, window=window, fill=bool(fill)
    )
    return schema.assemble(
        [schema.label(schema.PHASE, filtered), schema.label(schema.PHASE_CONSISTENCY, consistency)],
        ds,
        history=checks.said("coherence_filter", window=window, fill=fill),
    )


def goldstein_filter(
    ds: xr.Dataset,
    *,
    alpha: float | str = 0.5,
    patch: int = 32,
    step: int | None = None,
    smoothing: int = 3,
) -> xr.Dataset:
    r"""Strengthen what repeats in the local spectrum of wrapped phase: fringes stay, noise goes.

    .. math:: Z'(u, v) = Z(u, v) \left(\frac{S(u, v)}{\max S}\right)^{\alpha}

    with Z the Fourier transform of :math:`e^{i \varphi}` in a square patch and S the mean of :math:`|Z|`
    over neighbouring frequencies. Patches overlap; their inverse transforms are weighted by a pyramid and
    summed, and the angle of the sum is the filtered phase.

    Parameters
    ----------
    ds
        Dataset with ``phase`` (pair, y, x), rad within (-pi, pi].
    alpha
        Strength: 0 leaves the phase as it is, 1 filters most. ``"coherence"``: 1 - mean coherence of each
        patch (needs ``coherence`` (pair, y, x), 0..1), so that the filter spares what is clean.
    patch
        Width of the square patches, pixels, 4 or more.
    step
        Pixels from one patch to the next, a divisor of ``patch``; default ``patch`` // 4.
    smoothing
        Width of the square of frequencies S averages, an odd number.

    Returns
    -------
    xarray.Dataset
        ``phase`` (pair, y, x), rad, float32; lazy if ``ds`` is.

    Raises
    ------
    xinsar.SchemaError
        If ``phase`` (or, for ``alpha="coherence"``, ``coherence``) is absent or has wrong dims, dtype or
        units.
    ValueError
        If an option is not legal; when computed, if phase lies outside (-pi, pi] or coherence outside 0..1.

    Notes
    -----
    A missing pixel (NaN) adds nothing to its patches and stays missing; so does what lies outside the image.
    Patches begin at multiples of ``step`` from the corner of the image, whatever the chunks: the result is
    the same to the last bit.

    References
    ----------
    Goldstein and Werner 1998, Geophys. Res. Lett. 25:4035-4038. ``alpha="coherence"``: Baran et al. 2003,
    IEEE Trans. Geosci. Remote Sens. 41:2114-2118.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((64, 64), gradient=(0.1, 0.2), pairs=1)
    >>> xinsar.goldstein_filter(ds, alpha=0.8).phase.shape
    (1, 64, 64)
    """
    from xinsar.kernels.goldstein import goldstein_filter as kernel

    strength = _strength(alpha)
    patch, step = _lattice(patch, step)
    phase = schema.find(ds, schema.PHASE)
    weight = schema.find(ds, schema.COHERENCE) if strength is None else None
    (filtered,) = stencil(
        kernel,
        on_lattice(phase, step),
        None if weight is None else on_lattice(weight, step),
        depth=patch - step,
        alpha=strength,
        patch=patch,
        step=step,
        smoothing=checks.odd_window(smoothing, "smoothing"),
    )
    filtered = filtered.chunk(phase.chunksizes) if is_lazy(phase) else filtered
    history = checks.said("goldstein_filter", alpha=alpha, patch=patch, step=step, smoothing=smoothing)
    return schema.assemble([schema.label(schema.PHASE, filtered)], ds, history=history)


def _strength(alpha: Any) -> float | None:
    """Return ``alpha`` as a number within 0..1, None for ``"coherence"``."""
    if isinstance(alpha, str):
        checks.one_of("alpha", alpha, ("coherence",))
        return None
    return checks.share("alpha", alpha)


def _lattice(patch: Any, step: Any) -> tuple[int, int]:
    """Return the checked width of patches and the distance between them."""
    for name, value, least in (("patch", patch, 4), ("step", 1 if step is None else step, 1)):
        if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
            raise ValueError(f"{name}: expected a whole number of pixels, {least} or more, got {value!r}")
    if step is None and patch % 4:
        raise ValueError(f"patch: expected a multiple of 4, got {patch}; or give step, a divisor of patch")
    step = patch // 4 if step is None else step
    if patch % step:
        raise ValueError(f"step: expected a divisor of patch={patch}, got {step}")
    return int(patch), int(step)
