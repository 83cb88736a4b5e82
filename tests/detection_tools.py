"""Small models and cubes for the tests of detection: ONNX nets of a few weights, and fields with known bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tests.helpers import with_crs
from xinsar.models import Channel, ModelCard

CHUNKINGS = (128, 200, 256, 333, -1)
"""Sizes of square chunks that must all give the same bits; rows only and columns only are added where used."""


def make_map(
    values: Any, *, step: float = 25.0, name: str = "velocity", crs: str | None = "EPSG:32633"
) -> Any:
    """Return a cube of one map (y descending), m year-1."""
    values = np.asarray(values, np.float32)
    units = {"velocity": "m year-1"}.get(name, "1")
    ds = xr.Dataset(
        {name: (("y", "x"), values, {"units": units})},
        {
            "y": ("y", 5_000_000 - step * (np.arange(values.shape[0]) + 0.5), {"units": "m"}),
            "x": ("x", 500_000 + step * (np.arange(values.shape[1]) + 0.5), {"units": "m"}),
        },
        {"track": "26", "wavelength": 0.0555},
    )
    return with_crs(ds, crs) if crs else ds


def bumps(shape: tuple[int, int], centres: Any, *, radius: float = 6.0, height: float = 0.05) -> Any:
    """Return a field of Gaussian bumps at (row, column), float32."""
    rows, columns = np.indices(shape)
    field = np.zeros(shape)
    for row, column in centres:
        field += height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * radius**2))
    return field.astype(np.float32)


def rough(shape: tuple[int, int], *, seed: int = 0, width: float = 5.0, gaps: int = 3) -> Any:
    """Return a smooth random field with rectangular holes, m year-1, whose hot spots cross every border."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.normal(size=shape), width)
    field = (0.012 * field / field.std()).astype(np.float32)
    for _ in range(gaps):
        top, left = rng.integers(0, np.array(shape) * 3 // 4)
        field[top : top + shape[0] // 9, left : left + shape[1] // 7] = np.nan
    return field


def net_card(**entries: Any) -> ModelCard:
    """Return the card of :func:`write_net`."""
    made: dict[str, Any] = {
        "inputs": (
            Channel("velocity", transform="arcsinh", scale=0.01),
            Channel("valid_velocity"),
            Channel("inside"),
        ),
        "window": (128, 128),
        "overlap": 32,
        "multiple": 4,
        "radius": 12,
        "min_pixels": 4,
        **entries,
    }
    return ModelCard("net", "1", **made)


def write_net(path: Path, *, channels: int = 3, fields: int = 3, seed: int = 0) -> Path:
    """Write a real convolutional net (strides, batch of any size) as ONNX: foreground, centre and distance 0..1.

    The first layer looks at |velocity|; random filters follow, so that no bit is simple.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(seed)

    def weights(name: str, *shape: int) -> Any:
        scale = 1 / np.sqrt(np.prod(shape[1:]))
        return numpy_helper.from_array((scale * rng.normal(size=shape)).astype(np.float32), name)

    blur = np.outer(*[np.array([1, 4, 6, 4, 1.0]) / 16] * 2)
    front = np.zeros((fields, channels, 5, 5), np.float32)
    for k in range(fields):
        front[k, 0] = blur * (1 - 0.2 * k)
    made = [
        weights("w1", 8, channels, 3, 3),
        weights("w2", 16, 8, 3, 3),
        weights("w3", 8, 16, 3, 3),
        weights("w4", fields, 8, 3, 3),
        numpy_helper.from_array(front, "front"),
        numpy_helper.from_array(np.array([0.15], np.float32), "small"),
        numpy_helper.from_array(np.array([4.0], np.float32), "steep"),
        numpy_helper.from_array(np.array([1.1], np.float32), "level"),
        numpy_helper.from_array(np.array([1, 1, 4, 4], np.float32), "sizes"),
    ]
    node = helper.make_node
    nodes = [
        node("Abs", ["channels"], ["size"]),
        node("Conv", ["size", "w1"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w2"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["d"]),
        node("Conv", ["d", "w3"], ["e"], pads=[1, 1, 1, 1]),
        node("Relu", ["e"], ["f"]),
        node("Resize", ["f", "", "sizes"], ["g"], mode="nearest"),
        node("Conv", ["g", "w4"], ["h"], pads=[1, 1, 1, 1]),
        node("Tanh", ["h"], ["t"]),
        node("Mul", ["t", "small"], ["s"]),
        node("Conv", ["size", "front"], ["p"], pads=[2, 2, 2, 2]),
        node("Add", ["p", "s"], ["q"]),
        node("Sub", ["q", "level"], ["r"]),
        node("Mul", ["r", "steep"], ["u"]),
        node("Sigmoid", ["u"], ["fields"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [value("channels", TensorProto.FLOAT, ["window", channels, None, None])],
        [value("fields", TensorProto.FLOAT, ["window", fields, None, None])],
        made,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def same_table(found: Any, wanted: Any) -> None:
    """Assert the same rows, to the last bit of every number and vertex."""
    assert list(found.columns) == list(wanted.columns)
    assert found.crs == wanted.crs
    assert found.attrs == wanted.attrs
    for name in wanted.columns:
        if name == "geometry":
            assert found.geometry.to_wkb().tolist() == wanted.geometry.to_wkb().tolist()
        elif wanted[name].dtype == object:
            assert found[name].tolist() == wanted[name].tolist()
        else:
            np.testing.assert_array_equal(found[name].to_numpy(), wanted[name].to_numpy(), err_msg=name)
