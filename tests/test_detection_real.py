"""The default model on measured data: quiet where nothing is known to slide, and not blind there."""

from __future__ import annotations

import warnings

import pytest
import xarray as xr

import xinsar

noise = pytest.importorskip("benchmarks.simslide_noise", reason="the benchmarks are not part of the wheel")

pytestmark = pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")

KM2 = {"bhutan": 37, "kirishima": 109, "coso": 135}
"""Ground that each set covers."""


@pytest.fixture(params=sorted(KM2))
def name(request):
    return request.param


@pytest.fixture
def measured(name, real_data):
    return noise.measured(name, str(real_data(noise.SOURCES[name].folder).parent))


def finished(name, cube):
    nodes = {node: noise.SOURCES[name].finish(ds.to_dataset()) for node, ds in cube.children.items()}
    return xr.DataTree.from_dict(nodes)


def test_few_alarms_on_ground_where_nothing_is_known_to_slide(name, measured):
    """At most two objects: a volcano's flank, a slope in Bhutan and the Sierra Nevada as they were measured."""
    cube = finished(name, measured)
    first = next(iter(cube.children.values()))
    assert first.sizes["y"] * first.sizes["x"] * 625e-6 == pytest.approx(KM2[name], rel=0.05)
    found = xinsar.detect(cube, progress=False)
    assert len(found) <= 2
    assert {"id", "score", "class", "area", "seen_by", "geometry"} <= set(found.columns)


def test_simulated_landslides_are_found_in_real_noise(name, measured):
    """Half-real scenes: a third or more of the landslides that can be seen, most of what is found right."""
    right = found_number = truths = 0
    for seed in (30_000_001, 30_000_002, 30_000_003, 30_000_004):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            made = xinsar.simulate.half_real(measured, seed, draws="test")
        found = xinsar.detect(finished(name, made.cube), progress=False)
        rows = xinsar.inventory.evaluate_inventory(found, made.truth, iou=(0.3,), min_snr=0.5).loc["iou_0.3"]
        right, found_number, truths = (
            right + rows["right"],
            found_number + rows["found"],
            truths + rows["truth"],
        )
    assert truths >= 3
    assert right >= truths / 3
    assert right >= 0.5 * found_number
