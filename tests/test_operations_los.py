"""Motion from several looks: against numpy.linalg.lstsq of every pixel, closed forms, and real tracks."""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import pytest
import xarray as xr

from tests.helpers import built_lazily, same_bits, with_crs
from xinsar import SchemaError
from xinsar.kernels import los as kernel
from xinsar.operations.los import decompose_los, to_slope

SHAPE = (5, 7)
ASCENDING, DESCENDING, ALOFT = (348.0, 39.0), (192.0, 37.0), (75.0, 30.0)


def vector(heading: float, incidence: float) -> np.ndarray[Any, Any]:
    a, i = np.radians([heading, incidence])
    return np.array([-np.sin(i) * np.cos(a), np.sin(i) * np.sin(a), np.cos(i)])


def placed(ds: xr.Dataset, *, left: float = 500_000, pixel: float = 20.0) -> xr.Dataset:
    coords = {
        "x": left + pixel * np.arange(ds.sizes["x"]),
        "y": 5_000_000 - pixel * np.arange(ds.sizes["y"]),
    }
    return with_crs(ds.assign_coords(coords), "EPSG:32633")


def track(
    look: tuple[float, float],
    *,
    seed: int,
    epochs: int = 0,
    gaps: float = 0.0,
    dtype: Any = np.float32,
    per_pixel: bool = True,
) -> xr.Dataset:
    """A track of random motion: velocity with its sigma, or a series of displacements."""
    rng = np.random.default_rng(seed)
    shape = (epochs, *SHAPE) if epochs else SHAPE
    values = rng.normal(0, 0.02, shape).astype(dtype)
    values[rng.random(shape) < gaps] = np.nan
    name, dims = ("displacement", ("time", "y", "x")) if epochs else ("velocity", ("y", "x"))
    ds = xr.Dataset({name: (dims, values, {"units": "m" if epochs else "m year-1"})})
    ds["temporal_coherence"] = ("y", "x"), rng.uniform(0.2, 1, SHAPE).astype(dtype)
    if not epochs:
        ds["velocity_sigma"] = ("y", "x"), rng.uniform(0.001, 0.01, SHAPE).astype(dtype)
    else:
        start = np.datetime64("2020-01-01", "ns")
        ds["time"] = start + 12 * np.arange(epochs) * np.timedelta64(1, "D")
    if per_pixel:
        angles = np.array(look)[:, None, None] + rng.uniform(-3, 3, (2, *SHAPE))
        vectors = np.array(
            [[vector(h, i) for h, i in zip(*row, strict=True)] for row in angles.transpose(1, 0, 2)]
        )
        ds["los"] = ("component", "y", "x"), vectors.transpose(2, 0, 1).astype(dtype), {"units": "1"}
        ds["component"] = ["east", "north", "up"]
    else:
        ds.attrs.update(heading=look[0], incidence=look[1])
    return placed(ds)


def with_terrain(ds: xr.Dataset, *, seed: int = 9) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    ds["slope"] = ("y", "x"), rng.uniform(5, 45, SHAPE).astype(np.float32), {"units": "degree"}
    ds["aspect"] = ("y", "x"), rng.uniform(0, 360, SHAPE).astype(np.float32), {"units": "degree"}
    return ds


def basis(north: str, slope: float = 0, aspect: float = 0) -> np.ndarray[Any, Any]:
    """Directions of motion as columns (component, direction)."""
    b, a = np.radians([slope, aspect])
    return {
        "zero": np.array([[1, 0], [0, 0], [0, 1.0]]),
        "solve": np.eye(3),
        "aspect": np.array([[np.sin(a), 0], [np.cos(a), 0], [0, 1.0]]),
        "surface": np.array([[1, 0], [0, 1], [-np.tan(b) * np.sin(a), -np.tan(b) * np.cos(a)]]),
    }[north]


def plain(
    tracks: list[xr.Dataset], north: str, weights: str | None, limit: float = 10.0
) -> dict[str, np.ndarray[Any, Any]]:
    """Motion, condition number and residual of every pixel and epoch, by numpy.linalg.lstsq."""
    name = "velocity" if "velocity" in tracks[0] else "displacement"
    data = np.stack([t[name].values.astype(float).reshape(-1, *SHAPE) for t in tracks])
    looks = np.stack([t.los.values.astype(float) for t in tracks])
    shape = data.shape[1:]
    motion, sigma = np.full((2, shape[0], 3, *SHAPE), np.nan)
    condition, residual = np.full((2, *shape), np.nan)
    for t, i, j in np.ndindex(*shape):
        terrain = {n: float(tracks[0][n][i, j]) for n in ("slope", "aspect") if n in tracks[0]}
        directions = basis(north, **terrain)
        d, design = data[:, t, i, j], looks[:, :, i, j] @ directions
        w = np.ones(len(tracks))
        if weights == "sigma":
            w = np.array([float(ds.velocity_sigma[i, j]) ** -2 for ds in tracks])
        if weights == "coherence":
            c = np.minimum([float(ds.temporal_coherence[i, j]) for ds in tracks], 0.98)
            w = c**2 / (1 - c**2)
        good = np.isfinite(d) & np.isfinite(design).all(axis=1)
        if good.sum() < design.shape[1]:
            continue
        d, design, w = d[good], design[good], w[good]
        condition[t, i, j] = np.linalg.cond(design)
        x = np.linalg.lstsq(design * np.sqrt(w)[:, None], d * np.sqrt(w), rcond=None)[0]
        left = d - design @ x
        if condition[t, i, j] > limit:
            continue
        residual[t, i, j] = np.sqrt((w * left**2).sum() / w.sum())
        motion[t, :, i, j] = directions @ x
        operator = directions @ np.linalg.pinv(design * np.sqrt(w)[:, None]) * np.sqrt(w)
        if "velocity_sigma" in tracks[0] and name == "velocity":
            own = np.array([float(ds.velocity_sigma[i, j]) for ds in tracks])[good]
            sigma[t, :, i, j] = np.sqrt((operator**2 * own**2).sum(axis=1))
        elif good.sum() > design.shape[1]:
            scale = (w * left**2).sum() / (good.sum() - design.shape[1])
            sigma[t, :, i, j] = np.sqrt((operator**2 / w).sum(axis=1) * scale)
    return {"motion": motion, "motion_sigma": sigma, "condition_number": condition, "residual": residual}


def assert_like_oracle(found: xr.Dataset, wanted: dict[str, Any], *, rtol: float = 2e-5) -> None:
    names = ["east", "north", "up"]
    rows = [names.index(str(c)) for c in found.component.values]
    for name, values in wanted.items():
        expected = values[:, rows] if name.startswith("motion") else values
        came = found[name].values
        came = came.reshape(-1, *came.shape[-(3 if name.startswith("motion") else 2) :])
        if len(came) == 1 and len(expected) > 1:  # the geometry alone
            expected = np.where(np.isfinite(expected).any(axis=0), np.nanmax(expected, axis=0), np.nan)[None]
        if name == "condition_number" and len(came) == 1:
            expected, came = (np.where(np.isfinite(expected), v, np.nan) for v in (expected, came))
        np.testing.assert_allclose(came, expected, rtol=rtol, atol=2e-7, err_msg=name)


@pytest.mark.parametrize("north", ["zero", "aspect", "surface"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_tracks_like_lstsq(north: str, dtype: Any) -> None:
    tracks = [track(look, seed=k, dtype=dtype) for k, look in enumerate((ASCENDING, DESCENDING))]
    with_terrain(tracks[0])
    found = decompose_los(*tracks, north=north, max_condition=8)
    wanted = plain(tracks, north, None, limit=8)
    wanted["residual"][~np.isnan(wanted["motion"][:, 0])] = 0
    wanted["residual"][np.isnan(wanted["motion"][:, 0])] = np.nan
    assert np.isfinite(wanted["motion"]).any()
    assert found.motion.dtype == dtype
    assert_like_oracle(found, wanted, rtol=1e-4 if dtype is np.float32 else 1e-9)


@pytest.mark.parametrize("weights", [None, "sigma", "coherence"])
@pytest.mark.parametrize("north", ["zero", "solve", "aspect", "surface"])
def test_four_tracks_with_gaps_like_lstsq(north: str, weights: str | None) -> None:
    looks = (ASCENDING, DESCENDING, ALOFT, (260.0, 45.0))
    tracks = [track(look, seed=k, gaps=0.3) for k, look in enumerate(looks)]
    with_terrain(tracks[0])
    found = decompose_los(*tracks, north=north, weights=weights)
    wanted = plain(tracks, north, weights)
    several = np.isfinite([t.velocity.values for t in tracks]).sum(axis=0)
    assert {2, 3, 4} <= set(several.ravel())
    assert_like_oracle(found, wanted, rtol=2e-5)
    motion = found.motion
    assert motion.dims == ("component", "y", "x")
    assert motion.attrs["units"] == "m year-1"


@pytest.mark.parametrize("weights", [None, "coherence"])
def test_series_with_gaps_like_lstsq(weights: str | None) -> None:
    tracks = [
        track(look, seed=k, epochs=6, gaps=0.2) for k, look in enumerate((ASCENDING, DESCENDING, ALOFT))
    ]
    found = decompose_los(*tracks, weights=weights)
    assert found.motion.dims == ("time", "component", "y", "x")
    assert found.motion_sigma.dims == found.motion.dims
    assert found.condition_number.dims == found.residual.dims == ("time", "y", "x")
    assert found.motion.attrs["units"] == "m"
    xr.testing.assert_equal(found.time, tracks[0].time)
    assert_like_oracle(found, plain(tracks, "zero", weights))


def test_pair_of_series() -> None:
    """As many looks as unknowns: the geometry has no epochs, and nothing tells the errors."""
    tracks = [track(look, seed=k, epochs=4, gaps=0.2) for k, look in enumerate((ASCENDING, DESCENDING))]
    found = decompose_los(*tracks)
    wanted = plain(tracks, "zero", None)
    np.testing.assert_allclose(found.motion, wanted["motion"][:, [0, 2]], rtol=1e-4, atol=1e-7)
    assert found.condition_number.dims == ("y", "x")
    assert found.motion_sigma.dims == ("component", "y", "x")
    assert found.motion_sigma.isnull().all()
    missing = np.isnan(wanted["motion"][:, 0])
    assert missing.any()
    np.testing.assert_array_equal(found.residual, np.where(missing, np.nan, 0))
    sigma = np.full(SHAPE, np.nan)
    for i, j in np.ndindex(*SHAPE):
        sigma[i, j] = np.linalg.cond(np.stack([t.los.values[[0, 2], i, j].astype(float) for t in tracks]))
    np.testing.assert_allclose(found.condition_number, sigma, rtol=1e-5)


def test_north_that_is_known() -> None:
    """Taking a true northward motion out of the looks gives the true east and up."""
    rng = np.random.default_rng(5)
    truth = rng.normal(0, 0.02, (3, *SHAPE))
    tracks = [track(look, seed=k, dtype=np.float64) for k, look in enumerate((ASCENDING, DESCENDING))]
    for ds in tracks:
        ds["velocity"] = ("y", "x"), (ds.los.values * truth).sum(axis=0), {"units": "m year-1"}
    north = tracks[0].velocity.copy(data=truth[1])
    found = decompose_los(*tracks, north=north)
    np.testing.assert_allclose(found.motion.sel(component="east"), truth[0], atol=1e-12)
    np.testing.assert_allclose(found.motion.sel(component="up"), truth[2], atol=1e-12)
    chunked = decompose_los(*(t.chunk(y=2) for t in tracks), north=north.chunk(x=3))
    xr.testing.assert_identical(chunked.compute(), found)
    with pytest.raises(ValueError, match=r"north: expected units 'm year-1', got 'm'"):
        decompose_los(*tracks, north=north.assign_attrs(units="m"))
    with pytest.raises(ValueError, match=r"north: expected all tracks on one grid"):
        decompose_los(*tracks, north=north.assign_coords(x=north.x + 500))
    with pytest.raises(ValueError, match=r"north: expected dims .* got time of its own"):
        decompose_los(*tracks, north=north.expand_dims(time=3))


def scalar(value: float, heading: float, incidence: float, **maps: float) -> xr.Dataset:
    fields = {"velocity": value, **maps}
    ds = xr.Dataset({n: (("y", "x"), np.full((1, 1), v)) for n, v in fields.items()})
    return ds.assign_attrs(heading=heading, incidence=incidence)


def test_north_leaks_into_up() -> None:
    """What the docs say: -.17 of a northward motion goes into up, nothing into east."""
    tracks = [scalar(vector(h, 39.0)[1], h, 39.0) for h in (348.0, 192.0)]
    motion = decompose_los(*tracks).motion.values.ravel()
    np.testing.assert_allclose(motion, [0, -0.168], atol=1e-3)


@pytest.mark.parametrize(
    ("aspect", "ascending", "descending"),
    [(90, -0.886, 0.229), (270, 0.229, -0.886), (0, -0.447, -0.447), (180, -0.210, -0.210)],
)
def test_sensitivities(aspect: float, ascending: float, descending: float) -> None:
    """Closed form at incidence 39, slope 25: v = d / S."""
    for heading, wanted in ((348.0, ascending), (192.0, descending)):
        one = scalar(0.01, heading, 39.0, slope=25.0, aspect=aspect)
        found = to_slope(one, min_sensitivity=0.0).slope_motion.item()
        assert 0.01 / found == pytest.approx(wanted, abs=5e-4)
        assert np.isnan(to_slope(one).slope_motion.item()) == (abs(wanted) < 0.3)


def test_looks_in_one_plane_are_missing() -> None:
    """Two looks from one side: NaN, and the condition number says why; a larger limit lets them pass."""
    close = [scalar(0.01, 348.0, 39.0), scalar(0.011, 349.0, 37.0)]
    found = decompose_los(*close)
    assert found.motion.isnull().all()
    assert found.motion_sigma.isnull().all()
    assert found.residual.isnull().all()
    assert found.condition_number.item() > 10
    assert np.isfinite(decompose_los(*close, max_condition=1000).motion).all()
    same = [scalar(0.01, 348.0, 39.0)] * 2
    assert decompose_los(*same, max_condition=float("inf")).motion.isnull().all()
    polar = [scalar(0.01, h, 39.0) for h in (348.0, 192.0, 348.0)]
    assert decompose_los(*polar, north="solve").motion.isnull().all()


def test_aspect_toward_north_is_singular() -> None:
    for aspect, good in ((90.0, True), (0.0, False), (180.0, False), (np.nan, False)):
        tracks = [scalar(0.01, 348.0, 39.0, slope=20.0, aspect=aspect), scalar(0.01, 192.0, 39.0)]
        found = decompose_los(*tracks, north="aspect")
        assert np.isfinite(found.motion).all().item() == good, aspect
        if aspect in (0.0, 180.0):
            assert found.condition_number.item() > 10


def test_unusable_looks_are_left_out() -> None:
    """A vector that is NaN, a sigma of 0 and a coherence of 0 are missing looks."""
    tracks = [track(look, seed=k) for k, look in enumerate((ASCENDING, DESCENDING, ALOFT))]
    pair = decompose_los(*tracks[:2]).motion.values
    tracks[2].los[:, 0, 0] = np.nan
    tracks[2].velocity_sigma[0, 1] = 0
    tracks[2].temporal_coherence[0, 2] = 0
    for weights, column in ((None, 0), ("sigma", 1), ("coherence", 2)):
        found = decompose_los(*tracks, weights=weights).motion.values
        np.testing.assert_allclose(found[:, 0, column], pair[:, 0, column], rtol=1e-5)
        assert not np.allclose(found[:, 1, 1], pair[:, 1, 1], rtol=1e-3)
    tracks[1].los[:, 0, 0] = np.nan
    assert decompose_los(*tracks).motion[:, 0, 0].isnull().all()
    assert decompose_los(*tracks).condition_number[0, 0].isnull()


def joined(tracks: list[xr.Dataset]) -> tuple[xr.Dataset, Any]:
    """Tracks in one Dataset, so that they are chunked together, and the way back."""
    names = [{str(n): f"{n}_{k}" for n in t.data_vars} for k, t in enumerate(tracks)]
    both = xr.merge(
        [t.rename(n) for t, n in zip(tracks, names, strict=True)],
        combine_attrs="drop",
        compat="equals",
        join="exact",
    )

    def apart(cube: xr.Dataset) -> list[xr.Dataset]:
        return [cube[list(n.values())].rename({v: k for k, v in n.items()}) for n in names]

    return both, apart


CHUNKINGS = ({"time": 2, "y": -1, "x": -1}, {"time": 1, "y": 2, "x": 3}, {"time": -1, "y": 1, "x": 1})


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("epochs", [0, 3])
@pytest.mark.parametrize("north", ["zero", "surface"])
def test_any_chunks_the_same_bits(number: int, epochs: int, north: str) -> None:
    looks = (ASCENDING, DESCENDING, ALOFT)[:number]
    tracks = [track(look, seed=k, epochs=epochs, gaps=0.2) for k, look in enumerate(looks)]
    with_terrain(tracks[0])
    both, apart = joined(tracks)

    def function(cube: xr.Dataset) -> xr.Dataset:
        found = decompose_los(*apart(cube), north=north)
        return found.assign(to_slope(*apart(cube)))

    wanted = function(both)
    for chunks in CHUNKINGS:
        chunked = both.chunk({d: c for d, c in chunks.items() if d in both.dims})
        lazy = built_lazily(function, chunked)
        for name in lazy:
            assert lazy[name].chunks is not None
            for d in set(lazy[name].dims) & {"time", "y", "x"}:
                assert lazy[name].chunksizes[d] == chunked.chunksizes[d], (name, d)
        same_bits(lazy.compute(scheduler="synchronous"), wanted)


def test_tracks_in_other_chunks() -> None:
    """The result has the chunks of the first track; one track may be in memory."""
    tracks = [track(look, seed=k, epochs=3) for k, look in enumerate((ASCENDING, DESCENDING))]
    lazy = built_lazily(lambda t: decompose_los(t, tracks[1].chunk(y=4)), tracks[0].chunk(time=2, y=3))
    assert lazy.motion.chunksizes == {"time": (2, 1), "component": (2,), "y": (3, 2), "x": (7,)}
    xr.testing.assert_identical(lazy.compute(), decompose_los(*tracks))
    mixed = built_lazily(lambda t: decompose_los(tracks[0], t), tracks[1].chunk(y=4))
    xr.testing.assert_identical(mixed.compute(), decompose_los(*tracks))


def test_tree_of_tracks() -> None:
    tracks = [track(look, seed=k, per_pixel=False) for k, look in enumerate((ASCENDING, DESCENDING))]
    tracks = [
        t.assign_attrs(track=name, history="opened") for t, name in zip(tracks, ("26", "33"), strict=True)
    ]
    tree = xr.DataTree.from_dict({"ascending": tracks[0], "descending": tracks[1]})
    found = decompose_los(tree)
    xr.testing.assert_identical(found, decompose_los(*tracks))
    assert found.attrs["tracks"] == ["26", "33"]
    assert "heading" not in found.attrs
    assert found.attrs["history"].startswith("opened\nxinsar.decompose_los(north='zero'")
    assert list(found.component.values) == ["east", "up"]


def test_attributes_stand_for_all_pixels() -> None:
    tracks = [track(look, seed=k, per_pixel=False) for k, look in enumerate((ASCENDING, DESCENDING))]
    mapped = [t.copy() for t in tracks]
    for ds, look in zip(mapped, (ASCENDING, DESCENDING), strict=True):
        ds["los"] = ("component", "y", "x"), np.broadcast_to(vector(*look)[:, None, None], (3, *SHAPE))
    xr.testing.assert_identical(decompose_los(*tracks), decompose_los(*mapped))
    lazy = built_lazily(lambda t: decompose_los(t, tracks[1]), tracks[0].chunk(y=2))
    xr.testing.assert_identical(lazy.compute(), decompose_los(*tracks))


def smooth(
    shape: tuple[int, int], *, left: float, top: float, pixel: float, look: tuple[float, float]
) -> xr.Dataset:
    """A track on a grid of its own; velocity is linear in x and y."""
    x, y = left + pixel * np.arange(shape[1]), top - pixel * np.arange(shape[0])
    values = 1e-4 * x[None, :] - 2e-4 * y[:, None]
    ds = xr.Dataset(
        {"velocity": (("y", "x"), values)},
        {"x": x, "y": y},
        dict(zip(("heading", "incidence"), look, strict=True)),
    )
    return with_crs(ds, "EPSG:32633")


def test_other_grids_only_when_asked() -> None:
    one = smooth((6, 8), left=0, top=100, pixel=10, look=ASCENDING)
    two = smooth((12, 16), left=-13, top=122, pixel=9, look=DESCENDING)
    with pytest.raises(
        ValueError, match=r"velocity: expected all tracks on one grid.*target=.*resampling='nearest'"
    ):
        decompose_los(one, two)
    with pytest.raises(ValueError, match=r"expected all tracks on one grid"):
        decompose_los(one, two, target=one)
    with pytest.raises(ValueError, match=r"target: expected the grid to resample to"):
        decompose_los(one, two, resampling="nearest")
    with pytest.raises(ValueError, match=r"resampling: expected one of 'nearest', 'bilinear', got 'cubic'"):
        decompose_los(one, two, target=one, resampling="cubic")
    with pytest.raises(TypeError, match=r"target: expected an xarray Dataset"):
        decompose_los(one, two, target="first", resampling="nearest")
    found = decompose_los(one, two, target=one, resampling="bilinear")
    there = smooth((6, 8), left=0, top=100, pixel=10, look=DESCENDING)
    wanted = decompose_los(one, there)
    np.testing.assert_allclose(found.motion, wanted.motion, atol=1e-10)
    xr.testing.assert_equal(found.x, one.x)
    rows = [int(np.abs(two.y.values - y).argmin()) for y in one.y.values]
    columns = [int(np.abs(two.x.values - x).argmin()) for x in one.x.values]
    there["velocity"] = ("y", "x"), two.velocity.values[np.ix_(rows, columns)]
    found = decompose_los(one, two, target=one, resampling="nearest")
    np.testing.assert_allclose(found.motion, decompose_los(one, there).motion, atol=1e-12)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_resampled_in_chunks(resampling: str) -> None:
    one = smooth((6, 8), left=0, top=100, pixel=10, look=ASCENDING)
    two = smooth((5, 6), left=10, top=90, pixel=9, look=DESCENDING)
    two["velocity"][1, 2] = np.nan
    wanted = decompose_los(one, two, target=one, resampling=resampling)
    assert wanted.motion.isnull().any()
    assert wanted.motion.notnull().any()
    lazy = built_lazily(
        lambda t: decompose_los(t, two.chunk(y=2), target=t, resampling=resampling), one.chunk(y=4, x=3)
    )
    xr.testing.assert_identical(lazy.compute(), wanted)
    assert lazy.motion.chunksizes["y"] == (4, 2)


def test_bilinear_in_another_crs() -> None:
    """A plane in degrees, looked up at projected centres."""
    from pyproj import Transformer

    from xinsar.operations.interpolation import bilinear

    target = smooth((6, 8), left=500_000, top=5_000_000, pixel=100, look=ASCENDING).velocity
    lon, lat = 14.99 + 0.002 * np.arange(12), 45.16 - 0.002 * np.arange(10)
    plane = xr.Dataset(
        {"band": (("t", "y", "x"), np.stack([lon[None] + 2 * lat[:, None], lon[None] - lat[:, None]]))},
        {"x": lon, "y": lat},
    )
    band = with_crs(plane, "EPSG:4326").band
    found = bilinear(band, target)
    x, y = Transformer.from_crs(32633, 4326, always_xy=True).transform(*np.meshgrid(target.x, target.y))
    np.testing.assert_allclose(found, [x + 2 * y, x - y], atol=1e-10)
    lazy = built_lazily(lambda _: bilinear(band.chunk(y=3), target.chunk(x=3)).to_dataset(name="b"), plane)
    np.testing.assert_array_equal(lazy.b, found)
    with pytest.raises(ValueError, match=r"band: expected a raster that overlaps"):
        bilinear(band.drop_vars("spatial_ref"), target)


@pytest.mark.parametrize("axis", ["y", "x"])
def test_bilinear_of_places_far_apart(axis: str) -> None:
    from xinsar.operations.interpolation import bilinear

    place = {"y": -25.0 * np.arange(4), "x": 25.0 * np.arange(5)}
    band = xr.DataArray(np.zeros((4, 5)), place, ("y", "x"), name="velocity")
    with pytest.raises(
        ValueError, match=r"velocity: expected a raster that overlaps.*x 0\.\.100, y -75\.\.-?0"
    ):
        bilinear(band, band.assign_coords({axis: band[axis] + 1e5}))


def test_slope_of_tracks_like_lstsq() -> None:
    tracks = [track(look, seed=k, gaps=0.2) for k, look in enumerate((ASCENDING, DESCENDING, ALOFT))]
    with_terrain(tracks[0])
    tracks[0].aspect[0, 0] = np.nan
    found = to_slope(*tracks, min_sensitivity=0.5).slope_motion
    wanted = np.full(SHAPE, np.nan)
    for i, j in np.ndindex(*SHAPE):
        b, a = np.radians([float(tracks[0][n][i, j]) for n in ("slope", "aspect")])
        u = np.array([np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), -np.sin(b)])
        d = np.array([float(t.velocity[i, j]) for t in tracks])
        s = np.array([u @ t.los.values[:, i, j] for t in tracks])
        good = np.isfinite(d) & np.isfinite(s)
        if good.any() and np.linalg.norm(s[good]) >= 0.5:
            wanted[i, j] = np.linalg.lstsq(s[good, None], d[good], rcond=None)[0][0]
    assert 0 < np.isnan(wanted).sum() < wanted.size
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert found.attrs["units"] == "m year-1"


@pytest.mark.parametrize("names", [("east", "up"), ("east", "north", "up")])
def test_slope_of_motion(names: tuple[str, ...]) -> None:
    """Pure downslope motion comes back; the published equation gives -v (1 + tan A)."""
    slope, aspect = np.meshgrid([10.0, 25.0, 40.0], [20.0, 130.0, 200.0, 290.0])
    b, a = np.radians([slope, aspect])
    v = np.arange(12).reshape(4, 3) * 1e-3 + 0.01
    parts = {"east": v * np.sin(a) * np.cos(b), "north": v * np.cos(a) * np.cos(b), "up": -v * np.sin(b)}
    ds = xr.Dataset(
        {"motion": (("component", "y", "x"), np.stack([parts[n] for n in names]), {"units": "m"})},
        {"component": list(names)},
    )
    ds["slope"], ds["aspect"] = (("y", "x"), slope), (("y", "x"), aspect)
    found = to_slope(ds, min_sensitivity=0.0).slope_motion
    np.testing.assert_allclose(found, v, rtol=1e-12)
    assert found.attrs["units"] == "m"
    printed = to_slope(ds, method="published").slope_motion
    np.testing.assert_allclose(printed, -v * (1 + np.tan(a)), rtol=1e-9)
    seen = np.isfinite(to_slope(ds, min_sensitivity=0.4).slope_motion)
    strength = np.hypot(np.sin(a) * np.cos(b), np.sin(b))
    np.testing.assert_array_equal(seen, (strength >= 0.4) if len(names) == 2 else True)
    lazy = built_lazily(lambda d: to_slope(d, method="published"), ds.chunk(y=2))
    np.testing.assert_array_equal(lazy.slope_motion, printed)


def test_published_where_it_divides_by_zero() -> None:
    for slope, aspect in ((25.0, 90.0), (25.0, 270.0), (0.0, 30.0), (25.0, np.nan)):
        tracks = [scalar(0.01, 348.0, 39.0, slope=slope, aspect=aspect), scalar(0.02, 192.0, 39.0)]
        assert to_slope(*tracks, method="published").slope_motion.isnull().all()


def test_errors_name_the_remedy() -> None:
    one, two = (track(look, seed=k) for k, look in enumerate((ASCENDING, DESCENDING)))
    with pytest.raises(ValueError, match=r"tracks: expected 2 or more, for east and up, got 1; add a track"):
        decompose_los(one)
    with pytest.raises(ValueError, match=r"tracks: expected 3 or more, for north='solve', got 2"):
        decompose_los(one, two, north="solve")
    with pytest.raises(TypeError, match=r"tracks: expected an xarray.Dataset for each track.*got NoneType"):
        decompose_los(one, None)  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match=r"variable: expected 'velocity' or 'displacement' in every track"):
        decompose_los(one, two.rename(velocity="rate"))
    with pytest.raises(SchemaError, match=r"variable: expected 'rate' in every track"):
        decompose_los(one, two, variable="rate")
    with pytest.raises(SchemaError, match=r"los: the track has neither .*attrs heading and incidence"):
        decompose_los(one, two.drop_vars("los"))
    with pytest.raises(SchemaError, match=r"incidence: expected degrees between 0 and 90, got 120"):
        decompose_los(one, two.drop_vars("los").assign_attrs(heading=190.0, incidence=120.0))
    with pytest.raises(SchemaError, match=r"heading: expected attrs\['heading'\] as a number"):
        decompose_los(one, two.drop_vars("los").assign_attrs(heading="south", incidence=39.0))
    with pytest.raises(SchemaError, match=r"los: expected the components"):
        decompose_los(one, two.isel(component=[2, 1, 0]))
    with pytest.raises(SchemaError, match=r"aspect: .* needs aspect .*xinsar.terrain"):
        decompose_los(one, two, north="aspect")
    with pytest.raises(
        SchemaError, match=r"slope: motion down the slope needs|slope: .* needs slope and aspect"
    ):
        to_slope(one)
    with pytest.raises(SchemaError, match=r"weights: expected a map velocity_sigma"):
        decompose_los(one, two.drop_vars("velocity_sigma"), weights="sigma")
    with pytest.raises(ValueError, match=r"weights: expected one of 'sigma', 'coherence', got 'equal'"):
        decompose_los(one, two, weights="equal")
    with pytest.raises(ValueError, match=r"north: expected one of 'zero', 'solve'"):
        decompose_los(one, two, north="none")
    with pytest.raises(TypeError, match=r"north: expected one of .* or a DataArray, got 0"):
        decompose_los(one, two, north=0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"method: expected one of"):
        to_slope(one, method="printed")
    two.velocity.attrs["units"] = "mm/yr"
    with pytest.raises(SchemaError, match=r"velocity: expected units 'm year-1', got 'mm/yr'"):
        decompose_los(one, two)


def test_vectors_that_are_not_unit() -> None:
    one, two = (track(look, seed=k) for k, look in enumerate((ASCENDING, DESCENDING)))
    long, down = two.copy(deep=True), two.copy(deep=True)
    long["los"] = long.los * 57.3
    down["los"] = -down.los
    for wrong, words in (
        (long, r"los: expected unit vectors .* of length 57.3"),
        (down, r"los: .* multiply them by -1"),
    ):
        with pytest.raises(ValueError, match=words):
            decompose_los(one, wrong)
        lazy = decompose_los(one, wrong.chunk(y=2))
        with pytest.raises(ValueError, match=words):
            lazy.compute(scheduler="synchronous")


def test_series_of_other_dates() -> None:
    one, two = (track(look, seed=k, epochs=3) for k, look in enumerate((ASCENDING, DESCENDING)))
    with pytest.raises(ValueError, match=r"time: expected the same values in every track"):
        decompose_los(one, two.assign_coords(time=two.time + np.timedelta64(1, "D")))
    with pytest.raises(ValueError, match=r"displacement: expected the same dims in every track"):
        decompose_los(one, two.isel(time=0, drop=True))


def test_any_variable() -> None:
    tracks = [
        track(look, seed=k).rename(velocity="acceleration") for k, look in enumerate((ASCENDING, DESCENDING))
    ]
    for ds in tracks:
        ds.acceleration.attrs["units"] = "m year-2"
    found = decompose_los(*tracks, variable="acceleration")
    assert found.motion.attrs["units"] == "m year-2"
    tracks[1].acceleration.attrs["units"] = "m year-1"
    with pytest.raises(SchemaError, match=r"acceleration: expected one unit in all tracks"):
        decompose_los(*tracks, variable="acceleration")


def test_more_pixels_than_a_run() -> None:
    """Runs of pixels meet without a seam."""
    rng = np.random.default_rng(0)
    plane = (3, kernel._LONG_RUN)
    data = rng.normal(size=(3, *plane)).astype(np.float32)
    looks = [
        np.broadcast_to(vector(*look)[:, None, None], (3, *plane)) for look in (ASCENDING, DESCENDING, ALOFT)
    ]
    (found,) = kernel.motion(data[0], [data[1]], looks[:2], kind=kernel.EAST_UP)
    inverse = np.linalg.inv(np.array([vector(*k)[[0, 2]] for k in (ASCENDING, DESCENDING)]))
    np.testing.assert_allclose(found, np.einsum("ck,kyx->cyx", inverse, data[:2]), atol=1e-6)
    found = kernel.motion(data[0], data[1:], looks, kind=kernel.EVERY)[0]
    inverse = np.linalg.inv(np.array([vector(*k) for k in (ASCENDING, DESCENDING, ALOFT)]))
    np.testing.assert_allclose(found, np.einsum("ck,kyx->cyx", inverse, data), atol=1e-5)


def test_building_a_long_series_is_small() -> None:
    """A hundred epochs stream: tasks grow with chunks."""
    tracks = [
        track(look, seed=k, epochs=100).chunk(time=10) for k, look in enumerate((ASCENDING, DESCENDING))
    ]
    lazy = decompose_los(*tracks)
    assert len(dask.optimize(lazy.motion)[0].__dask_graph__()) < 200
    xr.testing.assert_identical(lazy.compute(), decompose_los(*(t.compute() for t in tracks)))


def planes(path: Any) -> np.ndarray[Any, Any]:
    """Coefficients (lon, lat, 1) of a plane through each component of published look vectors."""
    points = np.loadtxt(path)
    design = np.column_stack([points[:, :2], np.ones(len(points))])
    coefficients = np.linalg.lstsq(design, points[:, 3:6], rcond=None)[0]
    assert np.abs(design @ coefficients - points[:, 3:6]).max() < 0.002
    return coefficients


@pytest.mark.real
def test_subsidence_at_coso(real_data: Any) -> None:
    """Two Sentinel-1 tracks over the Coso geothermal field: up at least -15.6 mm/yr, where it is published."""
    import xinsar

    folder = real_data("coso-ridgecrest-asc-desc")
    tracks = []
    for velocity, points in (("a064_velocity.h5", "t64_asc_edit"), ("d071_velocity.h5", "t71_des")):
        ds = xinsar.open_stack(folder / velocity).chunk(y=200)
        x, y = np.meshgrid(ds.x, ds.y)
        vectors = np.stack([x, y, np.ones_like(x)], -1) @ planes(
            folder / "ridgecrest_coseismic" / f"{points}.lltnde"
        )
        ds["los"] = (
            ("component", "y", "x"),
            (vectors / np.linalg.norm(vectors, axis=-1)[..., None]).transpose(2, 0, 1),
        )
        tracks.append(ds)
    found = decompose_los(*tracks).compute()
    east, up = (found.motion.sel(component=c) * 1000 for c in ("east", "up"))
    around = up.sel(x=slice(-117.9, -117.7), y=slice(36.1, 35.95))
    lowest = around.where(around == around.min(), drop=True)
    assert lowest.item() == pytest.approx(-15.6, abs=0.1)
    assert lowest.x.item() == pytest.approx(-117.802, abs=0.002)
    assert lowest.y.item() == pytest.approx(36.028, abs=0.002)
    np.testing.assert_allclose(np.nanpercentile(east, [1, 99]), [-4.4, 4.0], atol=0.1)
    np.testing.assert_allclose(np.nanpercentile(up, [1, 99]), [-6.9, 1.5], atol=0.1)
    assert float(found.condition_number.max()) < 1.5
