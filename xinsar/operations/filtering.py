"""Filters of wrapped phase."""

from __future__ import annotations

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
    """Filter."""
    from xinsar.kernels.goldstein import goldstein_filter as kernel

    phase = schema.find(ds, schema.PHASE)
    step = patch // 4 if step is None else step
    weight = _coherence(ds) if alpha == "coherence" else None
    (filtered,) = stencil(
        kernel,
        on_lattice(phase, step),
        None if weight is None else on_lattice(weight, step),
        depth=patch,
        alpha=None if weight is not None else alpha,
        patch=patch,
        step=step,
        smoothing=smoothing,
    )
    filtered = filtered.chunk(phase.chunksizes) if is_lazy(filtered) and is_lazy(phase) else filtered
    return schema.assemble(
        [schema.label(schema.PHASE, filtered)],
        ds,
        history=checks.said("goldstein_filter", alpha=alpha, patch=patch, step=step, smoothing=smoothing),
    )
