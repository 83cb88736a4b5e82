"""Gi* and kernel density written by others: what xinsar is measured against, and what its numbers must equal."""

from __future__ import annotations

from typing import Any

import numpy as np


def disc(radius: int) -> Any:
    """Return ones within ``radius`` pixels of the centre, zeros elsewhere, float32."""
    step = np.arange(-radius, radius + 1)
    return (step[:, None] ** 2 + step**2 <= radius**2).astype(np.float32)


# ---- Gi* of maps


def gi_reference(values: Any, radius: int) -> Any:
    """Return Gi* in float64, the sums of a disc row by row from running sums."""
    values = values.astype(np.float64)
    valid = ~np.isnan(values)
    n, mean, std = int(valid.sum()), values[valid].mean(), values[valid].std()
    w = _disc_sums(valid.astype(np.float64), radius)
    total = _disc_sums(np.where(valid, values - mean, 0.0), radius)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = total / (std * np.sqrt((n * w - w * w) / (n - 1)))
    return np.where(valid, z, np.nan)


def _disc_sums(plane: Any, radius: int) -> Any:
    height, width = plane.shape
    running = np.zeros((height + 2 * radius, width + 2 * radius + 1))
    running[radius : radius + height, 1:] = np.cumsum(np.pad(plane, ((0, 0), (radius, radius))), axis=1)
    out = np.zeros_like(plane)
    for i in range(-radius, radius + 1):
        half = int(np.floor(np.sqrt(radius**2 - i**2)))
        rows = running[radius + i : radius + i + height]
        out += (
            rows[:, radius + half + 1 : radius + half + 1 + width]
            - rows[:, radius - half : radius - half + width]
        )
    return out


def gi_opencv(values: Any, radius: int) -> Any:
    """Return Gi* as a careful user of OpenCV would: two filters in float32, one thread, everything in place."""
    import cv2

    cv2.setNumThreads(1)
    valid = ~np.isnan(values)
    n = int(np.count_nonzero(valid))
    mean, std = (number.item() for number in cv2.meanStdDev(values, mask=valid.view(np.uint8)))
    kernel = disc(radius)
    total = np.where(valid, values - np.float32(mean), np.float32(0))
    total = cv2.filter2D(total, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    w = cv2.filter2D(valid.astype(np.float32), -1, kernel, borderType=cv2.BORDER_CONSTANT)
    w *= np.float32(n) - w
    w *= np.float32(std * std / (n - 1))
    np.sqrt(w, out=w)
    with np.errstate(invalid="ignore", divide="ignore"):
        total /= w
    total[~valid] = np.nan
    return total


def gi_xarray_spatial(field: Any, radius: int) -> Any:
    """Return Gi* by the convolution of xarray-spatial, of filled values and of their mask, with zeros around.

    Its own ``focal.hotspots`` gives classes, no scores: those of Gi* since 0.10; in 0.5 of a mean, NaN near any NaN.
    """
    from xrspatial.convolution import circle_kernel, convolution_2d

    valid = field.notnull()
    n, mean, std = int(valid.sum()), float(field.mean(dtype="f8")), float(field.std(dtype="f8"))
    kernel = circle_kernel(1, 1, radius)
    border, inner = {"y": radius, "x": radius}, slice(radius, -radius)

    def sums(plane: Any) -> Any:
        padded = plane.astype(np.float32).pad(border, constant_values=0)
        return convolution_2d(padded, kernel)[inner, inner]

    w = sums(valid)
    total = sums((field - np.float32(mean)).fillna(0))
    return (total / (std * np.sqrt((n * w - w * w) / (n - 1)))).where(valid)


def xarray_spatial_hotspots(field: Any, radius: int) -> Any:
    """Return the classes that xarray-spatial calls hot spots, timed for comparison only."""
    from xrspatial.convolution import circle_kernel
    from xrspatial.focal import hotspots

    return hotspots(field, circle_kernel(1, 1, radius))


# ---- Gi* of points


def gi_pairs(x: Any, y: Any, values: Any, distance: float) -> Any:
    """Return Gi* from all pairs of points within ``distance``, listed by SciPy's tree."""
    from scipy.spatial import cKDTree

    pairs = cKDTree(np.column_stack([x, y])).query_pairs(distance, output_type="ndarray")
    i, j = pairs[:, 0], pairs[:, 1]
    n = values.size
    values = values.astype(np.float64)
    apart = values - values.mean()
    w = 1 + np.bincount(i, minlength=n) + np.bincount(j, minlength=n)
    total = apart + np.bincount(i, apart[j], n) + np.bincount(j, apart[i], n)
    return total / (values.std() * np.sqrt((n * w - w * w) / (n - 1)))


def gi_esda(x: Any, y: Any, values: Any, distance: float) -> Any:
    """Return Gi* by PySAL: a graph of the points within ``distance``, then esda (values of positive mean)."""
    import warnings

    import geopandas
    from esda import G_Local
    from libpysal.graph import Graph

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        places = geopandas.GeoSeries.from_xy(x, y)
        graph = Graph.build_distance_band(places, distance)
        return G_Local(values.astype(np.float64), graph, transform="B", star=True, permutations=0).Zs


# ---- density


def density_at(x: Any, y: Any, weights: Any, places: Any, radius: float) -> Any:
    """Return the quartic density at ``places`` (n, 2), summed point by point."""
    out = np.zeros(len(places))
    for k, (place, found) in enumerate(_near(x, y, places, radius)):
        square = ((x[found] - place[0]) ** 2 + (y[found] - place[1]) ** 2) / radius**2
        out[k] = (weights[found] * (1 - square) ** 2).sum()
    return 3 / (np.pi * radius**2) * out


def weights_within(x: Any, y: Any, weights: Any, places: Any, radius: float) -> Any:
    """Return the sum of absolute weights within ``radius`` of ``places`` (n, 2)."""
    return np.array([np.abs(weights[found]).sum() for _, found in _near(x, y, places, radius)])


def _near(x: Any, y: Any, places: Any, radius: float) -> Any:
    from scipy.spatial import cKDTree

    return zip(places, cKDTree(np.column_stack([x, y])).query_ball_point(places, radius), strict=True)


def density_fft(x: Any, y: Any, weights: Any, grid: Any, radius: float, dtype: Any = np.float64) -> Any:
    """Return the quartic density on ``grid``: points shared among four pixels, then SciPy's FFT; one thread."""
    from scipy import fft

    height, width = grid.shape
    pixel = float(grid.x[1] - grid.x[0])
    reach = int(np.ceil(radius / pixel))
    u = (x - float(grid.x[0])) / pixel + 1
    v = (float(grid.y[0]) - y) / pixel + 1
    binned = _cloud_in_cell(u, v, weights, (height + 2, width + 2)).astype(dtype, copy=False)
    step = np.arange(-reach, reach + 1) * (pixel / radius)
    kernel = (np.maximum(1 - step[:, None] ** 2 - step**2, 0) ** 2).astype(dtype)
    kernel *= 3 / (np.pi * radius**2)
    shape = [fft.next_fast_len(n + 2 * reach, real=True) for n in binned.shape]
    product = fft.rfft2(binned, shape)
    product *= fft.rfft2(kernel, shape)
    out = fft.irfft2(product, shape)
    return out[reach + 1 : reach + 1 + height, reach + 1 : reach + 1 + width]


def _cloud_in_cell(u: Any, v: Any, weights: Any, shape: tuple[int, int]) -> Any:
    """Share every point among the four pixels around it, by its distance along each axis."""
    column, row = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
    u, v = u - column, v - row
    first = row * shape[1] + column
    size = shape[0] * shape[1]
    out = np.bincount(first, weights * (1 - u) * (1 - v), size)
    out += np.bincount(first + 1, weights * u * (1 - v), size)
    out += np.bincount(first + shape[1], weights * (1 - u) * v, size)
    out += np.bincount(first + shape[1] + 1, weights * u * v, size)
    return out.reshape(shape)


def density_kdepy(x: Any, y: Any, weights: Any, grid: Any, radius: float) -> Any:
    """Return the quartic ("biweight") density on ``grid`` by KDEpy, whose grid must reach beyond the points."""
    from KDEpy import FFTKDE

    xs, ys = _wider(grid.x.values), _wider(grid.y.values[::-1])
    places = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2)
    kde = FFTKDE(kernel="biweight", bw=radius / np.sqrt(7.0)).fit(np.column_stack([x, y]), weights=weights)
    density = kde.evaluate(places).reshape(xs.size, ys.size) * weights.sum()
    return density[1:-1, 1:-1].T[::-1]


def _wider(places: Any) -> Any:
    """Return evenly spaced places with one more at each end."""
    step = places[1] - places[0]
    return np.linspace(places[0] - step, places[-1] + step, places.size + 2)
