"""The ``.insar`` accessor: every operation as a method, with the signature and docstring of its function.

xarray builds an accessor once per object and keeps it, so the constructors store and do nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import xarray as xr

from xinsar import cube, detection, export, schema
from xinsar.operations import (
    atmosphere,
    closure,
    density,
    emerging,
    filtering,
    fusion,
    gradient,
    hotspot,
    los,
    masks,
    network,
    rasterize,
    rates,
    stability,
    stacking,
    unwrapping,
)
from xinsar.operations.deramp import deramp
from xinsar.operations.reference import reference_to
from xinsar.operations.terrain import look_geometry, terrain
from xinsar.operations.troposphere import subtract_gacos

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

M = TypeVar("M", bound=Callable[..., Any])


def _documented(function: Callable[..., Any]) -> Callable[[M], M]:
    """Give a method the docstring of the function it calls."""

    def give(method: M) -> M:
        method.__doc__ = function.__doc__
        return method

    return give


class _FieldOperations:
    """Operations on maps and points, whether they come as a DataArray or in a Dataset."""

    _source: xr.Dataset | xr.DataArray

    @_documented(hotspot.getis_ord)
    def getis_ord(
        self,
        distance: float | None = None,
        *,
        weights: Any = "binary",
        k: int | None = None,
        fdr: bool = False,
        alpha: float = 0.05,
        over: Any = None,
    ) -> xr.Dataset:
        return hotspot.getis_ord(
            self._source, distance, weights=weights, k=k, fdr=fdr, alpha=alpha, over=over
        )

    @_documented(rates.velocity)
    def velocity(self, *, seasonal: Any = (), steps: Any = ()) -> xr.Dataset:
        return rates.velocity(self._source, seasonal=seasonal, steps=steps)

    @_documented(reference_to)
    def reference_to(self, place: Any, *, statistic: str = "mean") -> xr.Dataset:
        return reference_to(self._source, place, statistic=statistic)

    @_documented(deramp)
    def deramp(
        self,
        *,
        terms: str | Iterable[str] = ("plane",),
        mask: xr.DataArray | None = None,
        points: Any = None,
        elevation: xr.DataArray | None = None,
        weights: str = "uniform",
    ) -> xr.Dataset:
        return deramp(
            self._source, terms=terms, mask=mask, points=points, elevation=elevation, weights=weights
        )

    @_documented(rates.monthly_velocity)
    def monthly_velocity(self, *, max_gap: float = 45.0) -> xr.Dataset:
        return rates.monthly_velocity(self._source, max_gap=max_gap)

    @_documented(atmosphere.atmosphere_filter)
    def atmosphere_filter(
        self,
        *,
        spatial_width: float = 500.0,
        temporal_width: float = 60.0,
        seasonal: Any = (),
        steps: Any = (),
    ) -> xr.Dataset:
        return atmosphere.atmosphere_filter(
            self._source,
            spatial_width=spatial_width,
            temporal_width=temporal_width,
            seasonal=seasonal,
            steps=steps,
        )

    @_documented(stability.stability_threshold)
    def stability_threshold(self, *, k: float = 2.0, over: Any = None) -> xr.Dataset:
        return stability.stability_threshold(self._source, k=k, over=over)

    @_documented(hotspot.hot_spot_map)
    def hot_spot_map(self, distance: float, *, radius: float | None = None, target: Any = None) -> xr.Dataset:
        return hotspot.hot_spot_map(self._source, distance, radius=radius, target=target)

    @_documented(density.kernel_density)
    def kernel_density(
        self,
        radius: float,
        *,
        weights: Any = None,
        target: Any = None,
        kernel: str = "quartic",
        method: str = "auto",
    ) -> xr.Dataset:
        return density.kernel_density(
            self._source, radius, weights=weights, target=target, kernel=kernel, method=method
        )

    @_documented(emerging.emerging_hot_spots)
    def emerging_hot_spots(self, distance: float, *, alpha: float = 0.05, over: Any = None) -> xr.Dataset:
        return emerging.emerging_hot_spots(self._source, distance, alpha=alpha, over=over)

    @_documented(rasterize.rasterize_points)
    def rasterize_points(self, target: Any, *, statistic: str = "median") -> xr.Dataset:
        return rasterize.rasterize_points(self._source, target, statistic=statistic)


class DatasetAccessor(_FieldOperations):
    """Operations on a cube, a stack or points."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._source = self._ds = ds

    @_documented(cube.save_cube)
    def to_cube(
        self,
        store: Any,
        *,
        mode: Any = "w-",
        resume: bool = True,
        append_dim: str | None = None,
        chunks: Any = "auto",
        pack: bool = False,
        progress: bool | None = None,
        storage_options: Any = None,
    ) -> xr.Dataset:
        return cube.save_cube(  # type: ignore[no-any-return]
            self._ds,
            store,
            mode=mode,
            resume=resume,
            append_dim=append_dim,
            chunks=chunks,
            pack=pack,
            progress=progress,
            storage_options=storage_options,
        )

    @_documented(export.to_geotiff)
    def to_geotiff(self, path: Any, **options: Any) -> Any:
        return export.to_geotiff(self._ds, path, **options)

    @_documented(filtering.coherence_filter)
    def coherence_filter(self, *, window: int = 5, fill: bool = False) -> xr.Dataset:
        return filtering.coherence_filter(self._ds, window=window, fill=fill)

    @_documented(filtering.goldstein_filter)
    def goldstein_filter(
        self, *, alpha: float | str = 0.5, patch: int = 32, step: int | None = None, smoothing: int = 3
    ) -> xr.Dataset:
        return filtering.goldstein_filter(self._ds, alpha=alpha, patch=patch, step=step, smoothing=smoothing)

    @_documented(gradient.phase_gradient)
    def phase_gradient(self, *, window: int = 5) -> xr.Dataset:
        return gradient.phase_gradient(self._ds, window=window)

    @_documented(gradient.phase_gradient_stack)
    def phase_gradient_stack(
        self,
        *,
        window: int = 5,
        estimator: str = "rate",
        max_temporal_baseline: float | None = None,
        max_perpendicular_baseline: float | None = None,
        months: Iterable[int] | None = None,
        min_coherence: float | None = None,
        pairs: Any = None,
        count: int | None = None,
        dem_error: bool = False,
        directions: str = "map",
        normalise: bool = False,
    ) -> xr.Dataset:
        return gradient.phase_gradient_stack(
            self._ds,
            window=window,
            estimator=estimator,
            max_temporal_baseline=max_temporal_baseline,
            max_perpendicular_baseline=max_perpendicular_baseline,
            months=months,
            min_coherence=min_coherence,
            pairs=pairs,
            count=count,
            dem_error=dem_error,
            directions=directions,
            normalise=normalise,
        )

    @_documented(stacking.stacking_curve)
    def stacking_curve(
        self,
        counts: Sequence[int],
        *,
        repeats: int = 1,
        seed: int = 0,
        threshold: float = 4.0,
        max_temporal_baseline: float | None = None,
        max_perpendicular_baseline: float | None = None,
        months: Iterable[int] | None = None,
        pairs: Any = None,
        **options: Any,
    ) -> xr.Dataset:
        return stacking.stacking_curve(
            self._ds,
            counts,
            repeats=repeats,
            seed=seed,
            threshold=threshold,
            max_temporal_baseline=max_temporal_baseline,
            max_perpendicular_baseline=max_perpendicular_baseline,
            months=months,
            pairs=pairs,
            **options,
        )

    @_documented(stacking.stack_unwrapped)
    def stack_unwrapped(
        self,
        *,
        max_temporal_baseline: float | None = None,
        max_perpendicular_baseline: float | None = None,
        months: Iterable[int] | None = None,
        min_coherence: float | None = None,
        pairs: Any = None,
        count: int | None = None,
    ) -> xr.Dataset:
        return stacking.stack_unwrapped(
            self._ds,
            max_temporal_baseline=max_temporal_baseline,
            max_perpendicular_baseline=max_perpendicular_baseline,
            months=months,
            min_coherence=min_coherence,
            pairs=pairs,
            count=count,
        )

    @_documented(closure.phase_closure)
    def phase_closure(
        self,
        *,
        variable: str | None = None,
        reference: Any = None,
        tolerance: float | None = None,
        threshold: float | None = None,
    ) -> xr.Dataset:
        return closure.phase_closure(
            self._ds, variable=variable, reference=reference, tolerance=tolerance, threshold=threshold
        )

    @_documented(network.invert_network)
    def invert_network(
        self, *, weights: str = "coherence", reference: Any = "auto", dem_error: bool = False
    ) -> xr.Dataset:
        return network.invert_network(self._ds, weights=weights, reference=reference, dem_error=dem_error)

    @_documented(subtract_gacos)
    def subtract_gacos(self, source: Any, *, kind: str = "auto", missing: str = "raise") -> xr.Dataset:
        return subtract_gacos(self._ds, source, kind=kind, missing=missing)

    @_documented(los.decompose_los)
    def decompose_los(
        self,
        *others: xr.Dataset,
        variable: str | None = None,
        north: str | xr.DataArray = "zero",
        weights: str | None = None,
        target: Any = None,
        resampling: str | None = None,
        max_condition: float = 10,
    ) -> xr.Dataset:
        return los.decompose_los(
            self._ds,
            *others,
            variable=variable,
            north=north,
            weights=weights,
            target=target,
            resampling=resampling,
            max_condition=max_condition,
        )

    @_documented(los.to_slope)
    def to_slope(
        self, *others: xr.Dataset, method: str = "least_squares", min_sensitivity: float = 0.3
    ) -> xr.Dataset:
        return los.to_slope(self._ds, *others, method=method, min_sensitivity=min_sensitivity)

    @_documented(fusion.fuse_tracks)
    def fuse_tracks(
        self,
        auxiliary: xr.Dataset | None = None,
        *,
        control: str | xr.DataArray = "stable",
        bandwidth: str | int = "aicc",
        threshold: float | None = None,
        max_points: int = 20_000,
        primary_track: str | None = None,
        target: Any = None,
        resampling: str | None = None,
    ) -> xr.Dataset:
        return fusion.fuse_tracks(
            self._ds,
            auxiliary,
            control=control,
            bandwidth=bandwidth,
            threshold=threshold,
            max_points=max_points,
            primary_track=primary_track,
            target=target,
            resampling=resampling,
        )

    @_documented(unwrapping.unwrap)
    def unwrap(
        self,
        *,
        variable: str = "phase",
        coherence: xr.DataArray | None = None,
        cost: str = "smooth",
        looks: float = 10.0,
        tiles: tuple[int, int] = (1, 1),
        overlap: int = 0,
    ) -> xr.Dataset:
        return unwrapping.unwrap(
            self._ds,
            variable=variable,
            coherence=coherence,
            cost=cost,
            looks=looks,
            tiles=tiles,
            overlap=overlap,
        )

    @_documented(terrain)
    def terrain(self) -> xr.Dataset:
        return terrain(self._ds)

    @_documented(look_geometry)
    def look_geometry(self, *, terrain: xr.Dataset | None = None, reach: float = 5000.0) -> xr.Dataset:
        return look_geometry(self._ds, terrain=terrain, reach=reach)

    @_documented(detection.detect_threshold)
    def detect_threshold(self, **options: Any) -> GeoDataFrame:
        return detection.detect_threshold(self._ds, **options)

    @_documented(detection.detect)
    def detect(
        self,
        *,
        model: Any = "default",
        threshold: float | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> GeoDataFrame:
        return detection.detect(
            self._ds, model=model, threshold=threshold, batch_size=batch_size, progress=progress
        )

    @_documented(detection.predict_scores)
    def predict_scores(self, *, model: Any = "default", batch_size: int | None = None) -> xr.Dataset:
        return detection.predict_scores(self._ds, model=model, batch_size=batch_size)


class DataArrayAccessor(_FieldOperations):
    """Operations on one array of wrapped or unwrapped phase, or on one band."""

    def __init__(self, array: xr.DataArray) -> None:
        self._source = self._array = array

    def _phase(self) -> xr.Dataset:
        """Return the array as a dataset with the phase under its name."""
        name = "unwrapped_phase" if self._array.name == "unwrapped_phase" else "phase"
        return self._array.to_dataset(name=name).assign_attrs(schema.track_attrs(self._array.attrs))

    @_documented(export.to_geotiff)
    def to_geotiff(self, path: Any, **options: Any) -> Any:
        return export.to_geotiff(self._array, path, **options)

    @_documented(filtering.coherence_filter)
    def coherence_filter(self, *, window: int = 5, fill: bool = False) -> xr.Dataset:
        return filtering.coherence_filter(self._phase(), window=window, fill=fill)

    @_documented(filtering.goldstein_filter)
    def goldstein_filter(
        self, *, alpha: float = 0.5, patch: int = 32, step: int | None = None, smoothing: int = 3
    ) -> xr.Dataset:
        return filtering.goldstein_filter(
            self._phase(), alpha=alpha, patch=patch, step=step, smoothing=smoothing
        )

    @_documented(gradient.phase_gradient)
    def phase_gradient(self, *, window: int = 5) -> xr.Dataset:
        return gradient.phase_gradient(self._phase(), window=window)

    @_documented(gradient.phase_gradient_stack)
    def phase_gradient_stack(self, **options: Any) -> xr.Dataset:
        return gradient.phase_gradient_stack(self._phase(), **options)

    @_documented(terrain)
    def terrain(self) -> xr.Dataset:
        return terrain(self._array)

    @_documented(masks.snow_mask)
    def snow_mask(
        self,
        nir: xr.DataArray | None,
        swir: xr.DataArray | None,
        *,
        ndsi: float = 0.4,
        green_min: float = 0.28,
        nir_min: float = 0.15,
    ) -> xr.Dataset:
        return masks.snow_mask(self._array, nir, swir, ndsi=ndsi, green_min=green_min, nir_min=nir_min)


class DataTreeAccessor:
    """Operations on several tracks, one node each."""

    def __init__(self, tree: xr.DataTree) -> None:
        self._tree = tree

    @_documented(cube.save_cube)
    def to_cube(self, store: Any, **options: Any) -> xr.DataTree:
        return cube.save_cube(self._tree, store, **options)  # type: ignore[no-any-return]

    @_documented(los.decompose_los)
    def decompose_los(
        self,
        *others: xr.Dataset,
        variable: str | None = None,
        north: str | xr.DataArray = "zero",
        weights: str | None = None,
        target: Any = None,
        resampling: str | None = None,
        max_condition: float = 10,
    ) -> xr.Dataset:
        return los.decompose_los(
            self._tree,
            *others,
            variable=variable,
            north=north,
            weights=weights,
            target=target,
            resampling=resampling,
            max_condition=max_condition,
        )

    @_documented(fusion.fuse_tracks)
    def fuse_tracks(
        self,
        auxiliary: xr.Dataset | None = None,
        *,
        control: str | xr.DataArray = "stable",
        bandwidth: str | int = "aicc",
        threshold: float | None = None,
        max_points: int = 20_000,
        primary_track: str | None = None,
        target: Any = None,
        resampling: str | None = None,
    ) -> xr.Dataset:
        return fusion.fuse_tracks(
            self._tree,
            auxiliary,
            control=control,
            bandwidth=bandwidth,
            threshold=threshold,
            max_points=max_points,
            primary_track=primary_track,
            target=target,
            resampling=resampling,
        )

    @_documented(los.to_slope)
    def to_slope(
        self, *others: xr.Dataset, method: str = "least_squares", min_sensitivity: float = 0.3
    ) -> xr.Dataset:
        return los.to_slope(self._tree, *others, method=method, min_sensitivity=min_sensitivity)

    @_documented(detection.detect)
    def detect(
        self,
        *,
        model: Any = "default",
        threshold: float | None = None,
        batch_size: int | None = None,
        progress: bool | None = None,
    ) -> GeoDataFrame:
        return detection.detect(
            self._tree, model=model, threshold=threshold, batch_size=batch_size, progress=progress
        )

    @_documented(detection.predict_scores)
    def predict_scores(self, *, model: Any = "default", batch_size: int | None = None) -> xr.Dataset:
        return detection.predict_scores(self._tree, model=model, batch_size=batch_size)


def register() -> None:
    """Put ``.insar`` on Dataset, DataArray and DataTree."""
    pairs: tuple[tuple[Callable[[str], Callable[[type], type]], type], ...] = (
        (xr.register_dataset_accessor, DatasetAccessor),
        (xr.register_dataarray_accessor, DataArrayAccessor),
        (xr.register_datatree_accessor, DataTreeAccessor),
    )
    for decorate, accessor in pairs:
        decorate("insar")(accessor)
