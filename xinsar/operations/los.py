"""Looks from several orbits turned into motion: east and up, all three components, or along the slope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import xarray as xr

from xinsar import schema
from xinsar.backend import beside
from xinsar.mapping import is_lazy
from xinsar.mapping.vectors import everywhere, vectors
from xinsar.operations import checks
from xinsar.operations import tracks as several
from xinsar.operations.tracks import Field

_NORTH = ("zero", "solve", "aspect", "surface")
_WEIGHTS = ("sigma", "coherence")
_TERRAIN = {"aspect": ("aspect",), "surface": ("slope", "aspect")}
_EAST_UP = ("east", "up")
_HARDLY = 1e-6


def decompose_los(
    *tracks: xr.Dataset | xr.DataTree,
    variable: str | None = None,
    north: str | xr.DataArray = "zero",
    weights: str | None = None,
    target: Any = None,
    resampling: str | None = None,
    max_condition: float = 10,
) -> xr.Dataset:
    r"""Turn the looks of two or more tracks into the motion of the ground, by weighted least squares.

    .. math:: d_k = l_k \cdot m + e_k, \qquad l = (-\sin i \cos a, \sin i \sin a, \cos i), \qquad
       \min_m \sum_k w_k (d_k - l_k \cdot m)^2

    with the motion m = (east, north, up) and the unit vector l from the ground to a right-looking satellite of heading
    a (clockwise from north) and incidence i. Satellites near the poles hardly see north, so something is said about it.

    Parameters
    ----------
    *tracks
        A Dataset for each track, or one DataTree of tracks. Each holds ``variable`` (..., y, x) and the unit vectors
        ``los`` (component, y, x); without them attributes ``heading`` and ``incidence`` (degrees) stand for all pixels.
    variable
        What the tracks saw, positive toward the satellite; default ``velocity`` (m year-1), else ``displacement`` (m),
        whichever all tracks hold. Leading dims such as time pass through and must be equal in all tracks.
    north
        ``"zero"``: no motion northward, unknowns are east and up, whatever the number of tracks. A DataArray
        (..., y, x) in the unit of the looks: that motion northward, known from elsewhere. ``"solve"``: all three
        components, from three or more tracks. ``"aspect"``: horizontal motion runs along the aspect; ``"surface"``:
        motion stays within the surface, up = -tan B (sin A east + cos A north) for slope B and aspect A. Both need
        ``aspect`` and the latter ``slope`` (y, x; degree) in the first track.
    weights
        None: all looks count the same. ``"sigma"``: 1 / ``velocity_sigma``\ :sup:`2`. ``"coherence"``:
        c\ :sup:`2` / (1 - c\ :sup:`2`) of ``temporal_coherence``, else ``mean_coherence``, else ``coherence`` (y, x),
        c at most .98. With as many looks as unknowns they change nothing.
    target, resampling
        A track or cube whose grid the result has, and ``"nearest"`` or ``"bilinear"``. Needed where tracks lie on
        different grids. Slope and aspect are always taken from the nearest pixel.
    max_condition
        Largest condition number of the looks' design matrix.

    Returns
    -------
    xarray.Dataset
        In the unit of the looks and their dtype, lazy if a track is:
        ``motion`` (..., component, y, x), component = east, up for ``"zero"`` and a given field, else east, north, up;
        ``motion_sigma``, its standard error: by ``velocity_sigma`` where velocities have it, else by the residual;
        ``condition_number`` (the unweighted looks'; 1 is best) and ``residual``, the weighted root mean square of
        what the motion leaves of the looks (0 where there are as many looks as unknowns). ``motion_sigma`` and
        ``condition_number`` have leading dims only where looks are more than unknowns: there a look may be missing
        at some dates.

    Raises
    ------
    TypeError
        If a track is no Dataset or DataTree.
    ValueError
        If tracks are too few, lie on different grids without ``target`` and ``resampling``, or have different dates;
        when computed, if vectors are not unit or point down.
    xinsar.SchemaError
        If a track lacks the variable, the looks' vectors or the weights, or the first one the terrain.

    Notes
    -----
    NaN where fewer looks than unknowns have a value, a vector and a weight above 0; where the condition number exceeds
    ``max_condition``: looks in one plane with the directions sought (two tracks from one side; ``"aspect"`` on slopes
    that face north or south); and, with terrain, where that is NaN (as the aspect of flat ground). ``motion_sigma`` is
    NaN where nothing tells the errors: no ``velocity_sigma``, and as many looks as unknowns.

    If the ground does move north, ``north="zero"`` puts about -.17 of that into up (and next to nothing into east) for
    Sentinel-1's ascending and descending tracks at an incidence of 39 degrees.

    References
    ----------
    Zhang et al. 2022, Remote Sens. 14:2690, section 2.2. Their equation (1) prints cos(phi - 3 pi / 2) for the east
    component; with phi the heading it is sin(phi - 3 pi / 2) = cos(phi), used here. Wright et al. 2004, Geophys. Res.
    Lett. 31, L01607.

    Examples
    --------
    A slope sinks by 30 mm and moves 10 mm eastward in a year; two tracks see

    >>> import xarray as xr
    >>> from xinsar.operations.los import decompose_los
    >>> seen = {"velocity": (("y", "x"), [[-0.0295]])}, {"velocity": (("y", "x"), [[-0.0172]])}
    >>> ascending = xr.Dataset(seen[0], attrs={"heading": 348.0, "incidence": 39.0})
    >>> descending = xr.Dataset(seen[1], attrs={"heading": 192.0, "incidence": 39.0})
    >>> motion = decompose_los(ascending, descending).motion
    >>> motion.sel(component="east").item(), motion.sel(component="up").item()
    (0.00999..., -0.0300...)
    """
    limit = checks.positive("max_condition", max_condition)
    seen = _Looks.of(tracks, variable, north, weights, target, resampling)
    found = _solved(seen, _kind(north), limit)
    history = checks.said(
        "decompose_los",
        variable=variable,
        north=north if isinstance(north, str) else "given",
        weights=weights,
        resampling=resampling,
        max_condition=max_condition,
    )
    return _assembled(found, seen, history)


def _kind(north: Any) -> int:
    from xinsar.kernels import los

    if not isinstance(north, str):
        return los.EAST_UP
    kinds = (los.EAST_UP, los.EVERY, los.ALONG_ASPECT, los.ALONG_SURFACE)
    return dict(zip(_NORTH, kinds, strict=True))[north]


@dataclass(frozen=True)
class _Looks:
    """What several tracks saw of one grid.

    Parameters
    ----------
    data, los
        What each look saw (..., y, x), and its vectors (component, y, x).
    weights, variances
        Maps (y, x), one a look, or none.
    terrain
        Slope and aspect (y, x), or none.
    unit, names, before
        Unit of ``data``, names of the tracks, history of the first.
    checked
        Whether vectors must point up.
    """

    data: list[xr.DataArray]
    los: list[xr.DataArray]
    weights: Sequence[xr.DataArray]
    variances: Sequence[xr.DataArray]
    terrain: Sequence[xr.DataArray]
    unit: str
    names: Sequence[str]
    before: Any = None
    checked: bool = True

    @classmethod
    def of(
        cls, given: Sequence[Any], variable: Any, north: Any, weights: Any, target: Any, resampling: Any
    ) -> _Looks:
        """Check the arguments of :func:`decompose_los` and bring all to one grid."""
        if weights is not None:
            checks.one_of("weights", weights, _WEIGHTS)
        if isinstance(north, str):
            checks.one_of("north", north, _NORTH)
        elif not isinstance(north, xr.DataArray):
            raise TypeError(
                f"north: expected one of {', '.join(map(repr, _NORTH))} or a DataArray, got {north!r}"
            )
        sets = several.datasets(given)
        solve = isinstance(north, str) and north == "solve"
        several.at_least(3 if solve else 2, sets, "north='solve'" if solve else "east and up")
        needed = _TERRAIN.get(north, ()) if isinstance(north, str) else ()
        looks = cls.seen(sets, variable, weights, needed, (target, resampling))
        return looks if isinstance(north, str) else looks.without(north)

    @classmethod
    def seen(
        cls,
        sets: Sequence[xr.Dataset],
        variable: Any,
        weights: str | None,
        needed: Sequence[str],
        grid: tuple[Any, Any],
    ) -> _Looks:
        """Collect what is needed of each track, on one grid."""
        name = several.variable_of(sets, variable)
        fields = [_fields(ds, name, weights) for ds in sets]
        unit = several.unit_of([f["data"] for f in fields])
        fields[0] |= several.ground(sets[0], needed, "motion tied to the terrain") if needed else {}
        fields = several.on_one_grid(fields, *grid)
        terrain = [fields[0].get(n, fields[0][needed[-1]]) for n in ("slope", "aspect")] if needed else []
        return cls(
            data=[f["data"] for f in fields],
            los=[f["los"] for f in fields],
            weights=[several.as_weight(f["weight"], weights) for f in fields] if weights else [],
            variances=[f["sigma"] ** 2 for f in fields] if all("sigma" in f for f in fields) else [],
            terrain=terrain,
            unit=unit,
            names=several.names_of(sets),
            before=sets[0].attrs.get("history"),
        )

    def without(self, north: xr.DataArray) -> _Looks:
        """Return the looks less what a known northward motion adds to them."""
        schema.check(north, schema.Variable("north", ("y", "x"), self.unit, "northward motion"))
        known = {"data": self.data[0]}, {"north": north.rename("north")}
        several.on_one_grid([known[0], {"data": self.data[0], **known[1]}], None, None)
        _same_epochs(north, self.data[0])
        bare = north.drop_vars(list(north.coords))
        data = [
            (d.drop_vars(list(d.coords)) - _alike(look.isel(component=1), bare) * bare)
            .astype(d.dtype)
            .assign_coords(d.coords)
            .transpose(*d.dims)
            for d, look in zip(self.data, self.los, strict=True)
        ]
        return _Looks(**{**self.__dict__, "data": data})


def _alike(look: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return a component of a look, bare of coordinates, where ``like`` lies: vectors of attributes lie on the CPU."""
    bare = look.drop_vars(list(look.coords))
    return bare if is_lazy(bare) or is_lazy(like) else bare.copy(data=beside(bare.data, like.data))


def _same_epochs(north: xr.DataArray, data: xr.DataArray) -> None:
    """Raise ValueError where leading dims of ``north`` are not those of the looks."""
    for d in north.dims[:-2]:
        if d not in data.dims or not north[d].equals(data[d]):
            raise ValueError(
                f"north: expected dims ('y', 'x') or those of the looks with the same values, got {d} of its own; pick "
                "one with isel or bring it to their dates"
            )


def _fields(ds: xr.Dataset, name: str, weights: str | None) -> Field:
    """Return what one track gives: ``data``, ``los``, and ``weight`` and ``sigma`` where they are wanted and there."""
    data = several.field(ds, name)
    found = {"data": data, "los": several.los_of(ds, data), **several.weight_fields(ds, weights)}
    if "spatial_ref" in ds.coords or "y" in ds.coords:
        place = {n: ds[n] for n in ("y", "x", "spatial_ref") if n in ds.coords}
        found["los"] = found["los"].assign_coords(place).rename("los")
    if name == "velocity" and "velocity_sigma" in ds and ds["velocity_sigma"].dims == ("y", "x"):
        found["sigma"] = several.field(ds, "velocity_sigma")
    return found


def _dtype(looks: _Looks) -> Any:
    return np.result_type(*(d.dtype for d in looks.data))


def _solved(looks: _Looks, kind: int, limit: float) -> list[xr.DataArray]:
    """Return motion, its standard error, condition number and residual, not yet labelled."""
    from xinsar.kernels import los

    number = los.COMPONENTS[kind]
    if len(looks.data) > los.UNKNOWNS[kind]:
        return list(
            vectors(
                _estimate,
                looks.data,
                looks.los,
                looks.weights,
                looks.variances,
                looks.terrain,
                outputs=(number, number, None, None),
                dtype=_dtype(looks),
                kind=kind,
                limit=limit,
            )
        )
    groups = looks.los, looks.weights, looks.variances, looks.terrain
    options = {"dtype": _dtype(looks), "kind": kind, "limit": limit}
    (motion,) = vectors(
        _estimate, looks.data, looks.los, looks.weights, [], looks.terrain, outputs=(number,), **options
    )
    plane = looks.data[0].isel(dict.fromkeys(looks.data[0].dims[:-2], 0), drop=True)
    sigma, condition = vectors(_conditions, [plane], *groups, outputs=(number, None), **options)
    one = motion.isel(component=0, drop=True)
    return [motion, sigma, condition, one.where(one.isnull(), one.dtype.type(0))]


def _estimate(
    data: Any,
    looks: Any,
    weights: Any,
    variances: Any,
    terrain: Any,
    *,
    kind: int,
    limit: float,
    **options: Any,
) -> Any:
    from xinsar.kernels.los import motion

    first, *others = data
    return motion(
        first,
        others,
        looks,
        weights=weights,
        variances=variances,
        terrain=terrain,
        kind=kind,
        limit=limit,
        **options,
    )


def _conditions(
    like: Any, looks: Any, weights: Any, variances: Any, terrain: Any, *, kind: int, limit: float
) -> Any:
    from xinsar.kernels.los import geometry

    first, *others = looks
    return geometry(
        beside(first, like[0]),
        others,
        weights=weights,
        variances=variances,
        terrain=terrain,
        kind=kind,
        limit=limit,
        dtype=like[0].dtype,
    )


def _assembled(found: Sequence[xr.DataArray], looks: _Looks, history: str) -> xr.Dataset:
    """Return labelled results; they belong to no single track."""
    motion, sigma, condition, residual = found
    names = schema.COMPONENTS if motion.sizes["component"] == 3 else _EAST_UP
    motion, sigma = (a.assign_coords(component=list(names)) for a in (motion, sigma))
    labelled = [
        schema.label(schema.MOTION, motion, units=looks.unit),
        schema.label(schema.MOTION_SIGMA, sigma, units=looks.unit),
        schema.label(schema.CONDITION_NUMBER, condition),
        schema.label(schema.RESIDUAL, residual, units=looks.unit),
    ]
    return _together(labelled, looks.names, looks.before, history)


def _together(
    labelled: Sequence[xr.DataArray], names: Sequence[str], before: Any, history: str
) -> xr.Dataset:
    source = xr.Dataset(attrs={"history": before} if before else {})
    out = schema.assemble(labelled, source, history=history)
    return out.assign_attrs(tracks=list(names)) if names else out


def to_slope(
    *tracks: xr.Dataset | xr.DataTree, method: str = "least_squares", min_sensitivity: float = 0.3
) -> xr.Dataset:
    r"""Turn looks, or east and up, into motion down the slope.

    .. math:: u = (\sin A \cos B, \cos A \cos B, -\sin B), \quad S_k = u \cdot l_k, \quad
       v = \frac{\sum_k S_k d_k}{\sum_k S_k^2}

    for the aspect A and slope B. One look gives d / S; east and up count as two looks along (1, 0, 0) and (0, 0, 1),
    so that v is the least-squares answer to d_U = -v sin B and d_E = v sin A cos B.

    Parameters
    ----------
    *tracks
        One track or more, or a DataTree, as :func:`xinsar.decompose_los` takes them (``velocity``, else
        ``displacement``), on one grid; or one Dataset with ``motion`` (..., component, y, x). The first holds ``slope``
        and ``aspect`` (y, x; degree).
    method
        ``"least_squares"``, or ``"published"``: d_U / sin B + d_E / (cos B sin(A - pi / 2)), for reproduction only.
    min_sensitivity
        NaN where the root of the sum of S\ :sub:`k`\ :sup:`2` lies below; of a single look that is \|S\|. The error of
        v is that of a look divided by it.

    Returns
    -------
    xarray.Dataset
        ``slope_motion`` (..., y, x), positive downhill, in the unit and dtype of what came in; lazy if that is.

    Raises
    ------
    TypeError
        If a track is no Dataset or DataTree.
    ValueError
        If nothing is given, tracks lie on different grids or have different dates, or ``motion`` comes with others.
    xinsar.SchemaError
        If slope, aspect, the variable or the vectors are missing.

    Notes
    -----
    NaN where no look has a value, where slope or aspect is NaN (flat ground has no aspect), and below
    ``min_sensitivity``. A missing look is left out; of ``motion`` all components must be there.

    The published equation gives -v (1 + tan A) for pure downslope motion v, so 0 for slopes toward the northwest and
    the wrong sign for many others; ``min_sensitivity`` does not apply, and slopes toward east or west and flat ground,
    where it divides by 0, are NaN. Of tracks it takes :func:`xinsar.decompose_los` with its defaults.

    References
    ----------
    Zhang et al. 2022, Remote Sens. 14:2690, equation (2) for ``"published"``.

    Examples
    --------
    >>> import xarray as xr
    >>> from xinsar.operations.los import to_slope
    >>> maps = {"velocity": -0.0443, "slope": 25.0, "aspect": 90.0}
    >>> track = xr.Dataset({name: (("y", "x"), [[value]]) for name, value in maps.items()})
    >>> track = track.assign_attrs(heading=348.0, incidence=39.0)
    >>> to_slope(track).slope_motion.item()
    0.0499...
    """
    checks.one_of("method", method, ("least_squares", "published"))
    least = checks.share("min_sensitivity", min_sensitivity)
    looks = _looks_at_slope(tracks, published=method == "published")
    found = _published(looks) if method == "published" else _down(looks, least)
    labelled = schema.label(schema.SLOPE_MOTION, found, units=looks.unit)
    history = checks.said("to_slope", method=method, min_sensitivity=min_sensitivity)
    return _together([labelled], looks.names, looks.before, history)


def _looks_at_slope(given: Sequence[Any], *, published: bool) -> _Looks:
    """Return the looks of tracks, or the components of a motion as looks."""
    sets = several.datasets(given)
    several.at_least(1, sets, "motion down the slope")
    if any("motion" in ds for ds in sets):
        if len(sets) > 1:
            raise ValueError(
                f"tracks: expected one Dataset with motion alone, got {len(sets)} Datasets; give either "
                "the tracks or the motion"
            )
        return _of_motion(sets[0], published=published)
    if not published:
        return _Looks.seen(sets, None, None, ("slope", "aspect"), (None, None))
    ground = several.ground(sets[0], ("slope", "aspect"), "motion down the slope")
    return _of_motion(decompose_los(*sets).assign(ground), published=True)


def _of_motion(ds: xr.Dataset, *, published: bool) -> _Looks:
    """Return the components of ``motion`` as looks along east, north and up."""
    motion = schema.find(ds, schema.MOTION)
    names = [str(v) for v in motion["component"].values] if "component" in motion.coords else []
    if not {*_EAST_UP} <= set(names) <= set(schema.COMPONENTS):
        raise schema.SchemaError(
            f"motion: expected the components east and up, with or without north, got {names}; set the coordinate "
            "component"
        )
    used = [n for n in schema.COMPONENTS if n in names and (n != "north" or not published)]
    ground = several.ground(ds, ("slope", "aspect"), "motion down the slope")
    data = [motion.sel(component=n, drop=True) for n in used]
    axes = np.eye(3)[[schema.COMPONENTS.index(n) for n in used]]
    return _Looks(
        data=data,
        los=[everywhere(axis, data[0]) for axis in axes],
        weights=[],
        variances=[],
        terrain=[ground["slope"], ground["aspect"]],
        unit=str(motion.attrs.get("units", "")),
        names=ds.attrs.get("tracks", []),
        before=ds.attrs.get("history"),
        checked=False,
    )


def _down(looks: _Looks, least: float) -> xr.DataArray:
    """Return the motion down the slope by least squares."""
    from xinsar.kernels import los

    outputs = (1,) if len(looks.data) == 1 else (1, 1, None, None)
    found = vectors(
        _estimate,
        looks.data,
        looks.los,
        [],
        [],
        looks.terrain,
        outputs=outputs,
        dtype=_dtype(looks),
        kind=los.DOWNSLOPE,
        limit=np.inf,
        least=least,
        checked=looks.checked,
    )
    return found[0].isel(component=0, drop=True)


def _published(looks: _Looks) -> xr.DataArray:
    """Return equation (2) of Zhang et al. as it is printed."""
    east, up = looks.data
    slope, aspect = (cast(Any, a.drop_vars(list(a.coords)) * (np.pi / 180)) for a in looks.terrain)
    vertical, horizontal = np.sin(slope), np.cos(slope) * np.sin(aspect - np.pi / 2)
    found = up / vertical.where(abs(vertical) > _HARDLY) + east / horizontal.where(abs(horizontal) > _HARDLY)
    return cast(xr.DataArray, found.astype(east.dtype).transpose(*east.dims))
