"""Networks of unwrapped pairs: their inversion to a displacement series, and the place everything refers to."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.backend import array_namespace, beside, is_cupy
from xinsar.mapping import is_lazy, over_leading, pointwise, reduce_fields, same_grid
from xinsar.operations import checks
from xinsar.operations.filtering import _coherence
from xinsar.operations.pairs import perpendicular_baselines
from xinsar.operations.rates import years_of
from xinsar.operations.reference import Place, level_of, place_in

if TYPE_CHECKING:
    from xinsar.kernels.network import Network

WEIGHTS = ("coherence", "uniform")
CHOSEN = "pixel of highest mean coherence among those with all pairs"
"""What the attribute ``reference`` says of an automatic choice."""
_OUTPUTS = ("displacement", "temporal_coherence", "residual_rms", "network_parts")


def invert_network(
    ds: xr.Dataset, *, weights: str = "coherence", reference: Any = "auto", dem_error: bool = False
) -> xr.Dataset:
    r"""Turn a network of unwrapped pairs into a displacement series: small baselines (SBAS), weighted least squares.

    .. math:: \min_x \sum_k w_k \left(\varphi_k - \varphi_k^\mathrm{ref} - (x_{s(k)} - x_{r(k)})\right)^2, \qquad
       d_j = -\frac{\lambda}{4 \pi} (x_j - x_0), \qquad w = \frac{c^2}{1 - c^2}

    with the phases x of the dates, r(k) and s(k) the dates of pair k, and the coherence c, clipped to .05...98.

    Parameters
    ----------
    ds
        Dataset with ``unwrapped_phase`` (pair, y, x), rad, the dates of the pairs, the attribute ``wavelength``, m, and
        if known ``coherence`` (pair, y, x), 0..1.
    weights
        ``"coherence"``: w as above, 1 where the dataset has no coherence; ``"uniform"``: 1, coherence is not used.
    reference
        What does not move: its phase is taken from each pair. A point (x, y) or an area ((x0, y0), (x1, y1)) in
        coordinates of the cube (the mean of its valid pixels), or a boolean mask (y, x) on its grid; ``"auto"``: the
        pixel of highest mean coherence among those with all pairs; None: the pairs are referred already.
    dem_error
        Also fit each series by :math:`c + v t + a t^2 + \Delta h B(t) / (R \sin\theta)` and take the last term out:
        :math:`\Delta h` is the error of the terrain model, B the perpendicular baselines of the dates (from
        ``perpendicular_baseline`` of the pairs), :math:`\theta` the attribute ``incidence``, R ``slant_range`` (850 km
        where it is unknown).

    Returns
    -------
    xarray.Dataset
        Lazy if ``ds`` is, floats in the dtype of the phase:

        ``displacement`` (time, y, x)
            m, positive toward the satellite, 0 at the first date, over all dates of the pairs.
        ``temporal_coherence`` (y, x)
            :math:`|\sum_k e^{i \epsilon_k}| / K`, 0..1, over the K pairs of the pixel, with their residuals.
        ``residual_rms`` (y, x)
            Root mean square of the residuals, rad.
        ``network_parts`` (y, x)
            Number of parts that the pairs of a pixel connect its dates to: 1 where all is well, 0 without pairs.
        ``dem_error`` (y, x)
            With ``dem_error``: true elevation minus that of the terrain model, m.

    Raises
    ------
    xinsar.SchemaError
        If there is no unwrapped phase, or it, the dates or a needed attribute or coordinate are of the wrong form.
    ValueError
        If there is no pair, an option is not legal, ``reference`` lies outside or cannot be chosen; when computed, if
        no pixel has all pairs (``"auto"``), the reference has no data, phase is infinite or coherence outside 0..1.

    Warns
    -----
    UserWarning
        If the pairs leave the dates in several parts that none connects; it names them.

    Notes
    -----
    Missing pairs (NaN phase; with weights of coherence also NaN or 0 coherence) are left out at their pixel; so is a
    pair without value at the reference, everywhere. A date without a pair is NaN at that pixel, and its series then
    begins with 0 at the first date it has.

    Where the dates of a pixel fall into parts, the parts are joined by the shifts that make
    :math:`\sum_j ((d_{j+1} - d_j) / \Delta t_j)^2` smallest: the minimum-norm velocity of Berardino et al. It is a
    guess, not a measurement; keep pixels with ``network_parts == 1`` where that matters. As many pairs as dates less
    one leave no residual: temporal coherence is then 1 whatever the data.

    Pairs of a pixel are needed all at once: a task holds a spatial chunk of all pairs. ``"auto"`` reads the data twice.
    Results do not depend on chunks.

    References
    ----------
    Berardino et al. 2002, IEEE Trans. Geosci. Remote Sens. 40:2375-2383. Temporal coherence: Pepe and Lanari 2006,
    ibid. 44:2374-2383. Error of the terrain model after the inversion: Fattahi and Amelung 2013, ibid. 51:4249-4259.

    Examples
    --------
    >>> import xinsar
    >>> ds = xinsar.simulate.plane((4, 4), gradient=(0.0, 0.1), pairs=3).rename(phase="unwrapped_phase")
    >>> series = invert_network(ds, reference=(float(ds.x[0]), float(ds.y[0])))
    >>> series.displacement.shape
    (4, 4, 4)
    """
    checks.one_of("weights", weights, WEIGHTS)
    phase = _unwrapped(ds)
    coherence = _coherence(ds)
    network, dates = _network(ds)
    parts = _parts(network, dates)
    _warn_of_parts(parts)
    place = _place(ds, coherence, reference)
    options = {
        "network": network,
        "scale": -_attribute(ds, "wavelength") / (4 * np.pi),
        "dem": _dem_design(ds, network) if dem_error else None,
    }
    used = coherence if weights == "coherence" else None
    outputs = over_leading(
        lambda phase, used, coherence: _inverted(phase, used, coherence, place, options),
        phase,
        used,
        coherence,
    )
    own = {"weights": "uniform" if used is None else weights}
    attrs = own | ({"network_parts": "; ".join(parts)} if len(parts) > 1 else {})
    time = ("time", dates, {"long_name": "acquisition date"})
    labelled = [
        schema.label(schema.VARIABLES[name], out, **(attrs if name == "displacement" else {}))
        for name, out in outputs.items()
    ]
    labelled[0] = labelled[0].assign_coords(time=time)
    history = checks.said(
        "invert_network",
        weights=weights,
        reference=place.said if place else "none",
        dem_error=dem_error or None,
    )
    found = schema.assemble(labelled, ds, history=history)
    return found if place is None else found.assign_attrs(reference=place.said)


def _unwrapped(ds: xr.Dataset) -> xr.DataArray:
    """Return the unwrapped phase of ``ds``."""
    if isinstance(ds, xr.Dataset) and "unwrapped_phase" not in ds and "phase" in ds:
        raise schema.SchemaError(
            "unwrapped_phase: the dataset has only wrapped phase, which cannot be inverted; unwrap it first with "
            "xinsar.unwrap(ds), or use phase_gradient_stack, which needs no unwrapping"
        )
    phase = schema.find(ds, schema.UNWRAPPED_PHASE)
    if phase.sizes["pair"] == 0:
        raise ValueError(
            "pair: expected at least one pair, which makes two dates, got none; relax the selection"
        )
    return phase.drop_vars([name for name, c in phase.coords.items() if "pair" in c.dims])


def _attribute(ds: xr.Dataset, name: str) -> float:
    if name not in ds.attrs:
        unit = "m" if name == "wavelength" else "degree"
        raise schema.SchemaError(f"{name}: the dataset needs the attribute; set ds.attrs[{name!r}] in {unit}")
    return checks.finite(name, ds.attrs[name])


# ---- the network ------------------------------------------------------------------------------------------------


def _network(ds: xr.Dataset) -> tuple[Network, Any]:
    """Return the network of the pairs of ``ds`` and its dates, ascending."""
    from xinsar.kernels.network import Network

    both = np.concatenate(schema.check_pairs(ds))
    dates, index = np.unique(both, return_inverse=True)
    first, second = np.split(index, 2)
    pairs = tuple(zip(first.tolist(), second.tolist(), strict=True))
    return Network(tuple(years_of(dates).tolist()), pairs), dates


def _parts(network: Network, dates: Any) -> list[str]:
    """Return the dates of each part of the network, in words."""
    part = np.arange(dates.size)
    for a, b in network.pairs:
        part[part == part[b]] = part[a]
    groups = [dates[part == number] for number in dict.fromkeys(part.tolist())]
    return [", ".join(np.datetime_as_string(group, unit="D")) for group in groups]


def _warn_of_parts(parts: list[str]) -> None:
    if len(parts) > 1:
        warnings.warn(
            f"invert_network: the pairs leave the dates in {len(parts)} parts that none connects ({'; '.join(parts)}); "
            "they are joined by the smallest velocities, which is a guess: add pairs between them, or invert each part "
            "by itself",
            UserWarning,
            stacklevel=3,
        )


# ---- the reference ----------------------------------------------------------------------------------------------


_CHOICE = Place(said=CHOSEN)


def _place(ds: xr.Dataset, coherence: xr.DataArray | None, reference: Any) -> Place | None:
    """Return where ``reference`` lies, None where the pairs are referred already."""
    if reference is None:
        return None
    if not isinstance(reference, str):
        return place_in(ds, reference, name="reference", legal="'auto', None, ")
    checks.one_of("reference", reference, ("auto",))
    if coherence is None:
        raise ValueError(
            "reference: 'auto' chooses by coherence, which the dataset does not hold; give a point (x, y), an area "
            "((x0, y0), (x1, y1)), or None where the pairs are referred already"
        )
    return _CHOICE


def _shift(phase: xr.DataArray, coherence: xr.DataArray | None, place: Place | None) -> xr.DataArray:
    """Return the phase of each pair at the reference, NaN where it has none."""
    if place is None:
        return xr.DataArray(np.zeros(phase.sizes["pair"]), dims="pair")
    if place is _CHOICE and coherence is not None:
        return _at_best(phase, coherence)
    return level_of(phase, place)


class _Best:
    """A pixel's coherence and phases; the sum of two is the better one, in an order that no chunking changes."""

    def __init__(self, score: int, phases: Any) -> None:
        self.key = (score, phases.tolist())
        self.phases = phases

    def __add__(self, other: _Best) -> _Best:
        return self if self.key >= other.key else other


_UNIT = 2.0**30


def _best_of_block(block: Any, axes: tuple[int, ...]) -> Any:
    """Return the best pixel of a block (pair, y, x) of phase + i coherence, as an array of one element."""
    from xinsar.kernels.network import check_coherence

    xp, out = array_namespace(block), np.empty((1,) * len(axes), object)
    whole, score = xp.ones(block.shape[1:], bool), xp.zeros(block.shape[1:], np.int64)
    for plane in block:
        check_coherence(plane.imag)
        whole &= ~np.isnan(plane.real) & (plane.imag > 0)
        score += np.rint(np.where(whole, plane.imag, 0.0) * _UNIT).astype(np.int64)
    out[(0,) * len(axes)] = _best_of(block.real, np.where(whole, score, -1))
    return out


def _paired(phase: Any, coherence: Any) -> Any:
    """Return phase + i coherence."""
    out = array_namespace(phase).empty(phase.shape, np.result_type(phase.dtype, np.complex64))
    out.real, out.imag = phase, coherence
    return out


def _best_of(phase: Any, score: Any) -> _Best:
    """Return the pixel of the highest score; of equal ones that of the highest phases, pair after pair."""
    highest = int(score.max()) if score.size else -1
    if highest < 0:
        return _Best(-1, np.zeros(len(phase)))
    y, x = np.nonzero(score == highest)
    for plane in phase:
        values = plane[y, x]
        kept = values == values.max()
        y, x = y[kept], x[kept]
    best = phase[:, int(y[0]), int(x[0])].astype(np.float64)
    return _Best(highest, best.get() if is_cupy(best) else best)


def _phases_of(best: Any) -> Any:
    """Return the phases of the best pixel."""
    if best[()].key[0] < 0:
        raise ValueError(
            "reference: 'auto' needs a pixel with a value and coherence in all pairs, and there is none; give a point "
            "(x, y) or an area ((x0, y0), (x1, y1)), or leave pairs with large gaps out"
        )
    return best[()].phases


def _at_best(phase: xr.DataArray, coherence: xr.DataArray) -> xr.DataArray:
    """Return the phases of the pixel of highest mean coherence among those with all pairs."""
    coherence = coherence.drop_vars(_of_pairs(coherence))
    if is_lazy(phase) or is_lazy(coherence):
        phase, coherence = phase.chunk({"pair": -1}), coherence.chunk({"pair": -1})
    both = pointwise(_paired, phase, coherence, dtype=np.result_type(phase.dtype, np.complex64))
    found = reduce_fields(
        _best_of_block,
        _phases_of,
        both,
        dims=("pair", "y", "x"),
        name="pair",
        size=phase.sizes["pair"],
    )
    return xr.DataArray(found.data, dims="pair")


# ---- the error of the terrain model -------------------------------------------------------------------------------


class _Terrain(NamedTuple):
    """Displacement per metre of terrain error at each date, with the functions of time it is fitted with."""

    lever: Any
    basis: Any
    row: Any


def _dem_design(ds: xr.Dataset, network: Network) -> _Terrain:
    """Return how an error of the terrain model shows in the series."""
    from xinsar.kernels.regression import orthonormal

    reach = float(ds.attrs.get("slant_range", 850e3)) * np.sin(np.radians(_attribute(ds, "incidence")))
    lever = _date_baselines(ds, network) / reach
    t = np.array(network.years)
    functions = np.array([np.ones_like(t), t - t.mean(), (t - t.mean()) ** 2, lever])
    try:
        return _Terrain(lever, *orthonormal(functions, 3))
    except np.linalg.LinAlgError:
        raise ValueError(
            f"dem_error: expected more than 4 dates with perpendicular baselines that differ from a parabola in time, "
            f"got {t.size} dates and baselines of {np.ptp(lever) * reach:g} m; leave dem_error out"
        ) from None


def _date_baselines(ds: xr.Dataset, network: Network) -> Any:
    """Return the perpendicular baseline of each date from the first, m."""
    baselines = perpendicular_baselines(ds)
    if not np.isfinite(baselines).all():
        raise ValueError(
            "dem_error: perpendicular_baseline has missing values; leave out the pairs that have none"
        )
    matrix = np.zeros((len(network.pairs), len(network.years)))
    for k, (a, b) in enumerate(network.pairs):
        matrix[k, a], matrix[k, b] = -1, 1
    if np.linalg.matrix_rank(matrix) < matrix.shape[1] - 1:
        raise ValueError("dem_error: the pairs leave the dates in several parts; invert each part by itself")
    return np.r_[0.0, np.linalg.lstsq(matrix[:, 1:], baselines, rcond=None)[0]]


def _without_terrain(series: Any, terrain: _Terrain) -> tuple[Any, Any]:
    """Return series (date, ...) without the error of the terrain model, 0 at their first date; and the error."""
    from xinsar.kernels.regression import regression

    height, spread = regression(series, basis=terrain.basis, row=terrain.row)
    height = np.where(np.isnan(spread), np.nan, height).astype(series.dtype)
    lever = beside(terrain.lever.reshape(-1, *(1,) * height.ndim).astype(series.dtype), series)
    first = np.isfinite(series).argmax(axis=0)[None]
    series = series - lever * height
    return series - np.take_along_axis(series, first, axis=0), height


# ---- together -----------------------------------------------------------------------------------------------------


def _inverted(
    phase: xr.DataArray,
    weights: xr.DataArray | None,
    coherence: xr.DataArray | None,
    place: Place | None,
    options: dict[str, Any],
) -> dict[str, xr.DataArray]:
    """Invert one cube (pair, y, x)."""
    same_grid(phase, None if coherence is None else coherence.drop_vars(_of_pairs(coherence)))
    shift = _shift(phase, coherence, place)
    names = (*_OUTPUTS, *(("dem_error",) if options["dem"] else ()))
    given = [a for a in (phase, weights) if a is not None]
    lazy = any(is_lazy(a) for a in given)
    results = xr.apply_ufunc(
        _invert_block,
        *(
            a.drop_vars(_of_pairs(a)).chunk({"pair": -1}) if lazy else a.drop_vars(_of_pairs(a))
            for a in given
        ),
        shift.chunk({"pair": -1}) if is_lazy(shift) else shift,
        input_core_dims=[["pair"]] * (len(given) + 1),
        output_core_dims=[["time"], *[[]] * (len(names) - 1)],
        kwargs=options,
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"time": len(options["network"].years)}},
        output_dtypes=[np.int16 if name == "network_parts" else _floats(phase.dtype) for name in names],
        keep_attrs=False,
    )
    return {
        name: out.transpose(..., "y", "x").assign_coords(_on_map(phase))
        for name, out in zip(names, results, strict=True)
    }


def _of_pairs(array: xr.DataArray) -> list[Any]:
    return [name for name, c in array.coords.items() if "pair" in c.dims]


def _on_map(array: xr.DataArray) -> dict[Any, Any]:
    return {name: c for name, c in array.coords.items() if "pair" not in c.dims}


def _floats(dtype: Any) -> Any:
    return dtype if dtype in (np.dtype("f4"), np.dtype("f8")) else np.dtype("f8")


def _invert_block(phase: Any, *others: Any, network: Network, scale: float, dem: _Terrain | None) -> Any:
    """Invert a block (y, x, pair) with its weights, if any, and the shift of each pair; series (y, x, time)."""
    from xinsar.kernels.network import invert_network as kernel

    *coherence, shift = others
    planes = [np.moveaxis(a, -1, 0) for a in (phase, *coherence)]
    series, *rest = kernel(planes[0], *(planes[1:] or [None]), np.ravel(shift), network=network, scale=scale)
    if dem is not None:
        series, height = _without_terrain(series, dem)
        rest.append(height)
    return np.moveaxis(series, 0, -1), *rest
