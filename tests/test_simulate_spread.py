"""The spread that decorrelation leaves, against drawn speckle sent through the operators themselves."""

from __future__ import annotations

import numpy as np
import pytest

import xinsar
from xinsar.simulate import geometry, network, noise, pairs, spread
from xinsar.simulate.fields import stream

TIER = network.TIERS["hard"]
SIZE = 48


def drawn(floor, memory, quality):
    """Pairs over even ground with nothing but decorrelation, of the dates the table is made for."""
    rng = stream(1, "spread test")
    dates = network.acquisitions(stream(0, "spread", TIER.dates), TIER, start="2021-01-01")
    days = (dates - dates[0]) / np.timedelta64(1, "D")
    law = noise.Decorrelation(
        *(np.full((SIZE + 1, SIZE + 1), v, np.float32) for v in (floor, memory, quality))
    )
    shape = law.floor.shape
    lasting, state, looked = noise.innovation(rng, shape), noise.innovation(rng, shape), []
    for k in range(days.size):
        if k:
            state = noise.remember(state, noise.innovation(rng, shape), law, days=days[k] - days[k - 1])
        looked.append(noise.speckle(lasting, state, noise.innovation(rng, shape), law))
    index = network.small_baseline_pairs(days.size)
    phase, coherence = (
        np.array(v) for v in zip(*(noise.interfere(looked[i], looked[j]) for i, j in index), strict=True)
    )
    return pairs.canonical(
        pairs.wrap(phase),
        coherence,
        dates=(dates[index[:, 0]], dates[index[:, 1]]),
        baselines=np.zeros(len(index)),
        los=geometry.los_vector(348.0, 39.0).astype(np.float32),
        elevation=np.zeros((SIZE, SIZE), np.float32),
        spacing=25.0,
    )


def stated(floor, memory, quality):
    at = [np.array([[v]], dtype=float) for v in (floor, memory, quality)]
    return {name: float(value[0, 0]) for name, value in spread.table(TIER).at(*at).items()}


GROUNDS = [(0.1, 8.0, 0.95), (0.2, 25.0, 0.95), (0.6, 120.0, 0.95), (0.6, 120.0, 0.5), (0.3, 30.0, 0.4)]


@pytest.mark.parametrize("ground", GROUNDS)
def test_velocities_spread_as_stated(ground):
    series = drawn(*ground).rename(phase="unwrapped_phase").insar.invert_network(reference=None)
    velocity = series.insar.velocity().velocity
    found = stated(*ground)
    per_metre = 4 * np.pi / velocity.attrs.get("wavelength", 0.0554658)
    assert float(velocity.std()) * per_metre == pytest.approx(np.exp(found["velocity"]), rel=0.15)
    assert float(series.temporal_coherence.mean()) == pytest.approx(found["temporal"], abs=0.05)


@pytest.mark.parametrize("ground", [*GROUNDS, (0.1, 8.0, 0.0)])
def test_gradients_spread_as_stated(ground):
    stack = drawn(*ground).insar.phase_gradient_stack().isel(y=slice(4, -4), x=slice(4, -4))
    found = stated(*ground)
    for name in "yx":
        assert float(stack[f"gradient_{name}"].std()) * 25 == pytest.approx(
            np.exp(found["gradient"]), rel=0.25
        )
        assert float(stack[f"gradient_coherence_{name}"].mean()) == pytest.approx(
            found["agreement"], abs=0.02
        )
    score = np.exp(found["gradient"] - found["unit"])
    residual = np.pi**2 / 3 + 4 * sum((-1) ** n * found["agreement"] ** (n * n) / n**2 for n in range(1, 80))
    assert float(stack.gradient_z_x.std()) == pytest.approx(score / np.sqrt(max(residual, 1e-9)), rel=0.35)


def test_the_table_is_itself_at_its_nodes():
    made = spread.table(TIER)
    for index in [(0, 0, 0), (3, 2, 1), (6, 5, 5)]:
        at = [
            np.array([[nodes[i]]])
            for nodes, i in zip((spread.FLOORS, spread.MEMORIES, spread.QUALITIES), index, strict=True)
        ]
        found = made.at(*at)
        np.testing.assert_allclose(
            [found[name][0, 0] for name in spread.ITEMS], made.values[index], rtol=1e-5, atol=1e-6
        )


def test_noise_falls_with_coherence():
    values = dict(zip(spread.ITEMS, np.moveaxis(spread.table(TIER).values, -1, 0), strict=True))
    for name in ("velocity", "gradient"):
        assert (np.diff(values[name], axis=2)[2:, 2:] <= 1e-4).all()
    for name in ("temporal", "agreement", "first", "third"):
        assert (np.diff(values[name], axis=2) >= -1e-3).all()


def network_of(tier):
    dates = network.acquisitions(stream(3, "n"), tier, start="2021-01-01")
    years = (dates - dates[0]) / np.timedelta64(1, "D") / 365.25
    return years, network.small_baseline_pairs(years.size)


@pytest.mark.parametrize("tier", ["hard", "medium"])
def test_weights_find_the_slope_of_a_line(tier):
    years, index = network_of(network.TIERS[tier])
    moved = 0.03 * years
    solved = spread.inversion(years, index)
    by_pair = moved[index[:, 1]] - moved[index[:, 0]]
    for found in (
        spread.velocity_weights(years) @ moved,
        spread.stack_weights(years, index) @ moved,
        solved.velocity @ by_pair,
        solved.stack @ by_pair,
    ):
        assert found == pytest.approx(0.03)
    assert spread.velocity_weights(years).sum() == pytest.approx(0, abs=1e-12)
    assert spread.stack_weights(years, index).sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(solved.dates @ by_pair, moved, atol=1e-12)
    np.testing.assert_allclose(solved.left @ by_pair, 0, atol=1e-12)


def test_wrong_cycles_do_to_an_inversion_what_the_operator_says():
    """Oracle: invert_network with uniform weights on pairs that hold nothing but whole cycles."""
    years, index = network_of(TIER)
    cycles = np.zeros(len(index))
    cycles[[4, 11, 30]] = [1, -1, 1]
    dates = np.datetime64("2021-01-01", "ns") + np.round(years * 365.25).astype("timedelta64[D]")
    phase = np.zeros((len(index), 3, 3), np.float32)
    phase[:, 1, 1] = 2 * np.pi * cycles
    ds = pairs.canonical(
        phase,
        np.full_like(phase, 0.8),
        dates=(dates[index[:, 0]], dates[index[:, 1]]),
        baselines=np.zeros(len(index)),
        los=np.array([0.0, 0.0, 1.0]),
        elevation=np.zeros((3, 3), np.float32),
        spacing=25.0,
    ).rename(phase="unwrapped_phase")
    series = xinsar.invert_network(ds, weights="uniform", reference=None)
    solved = spread.inversion(years, index)
    half = 0.0554658 / 2
    assert float(series.temporal_coherence[1, 1]) == pytest.approx(solved.coherence(cycles), rel=1e-4)
    velocity = float(xinsar.velocity(series).velocity[1, 1])
    assert velocity == pytest.approx(-half * solved.velocity @ cycles, rel=1e-3)
    line = series.displacement[:, 1, 1].values.astype(float)
    left = line - np.polyval(np.polyfit(years, line, 1), years)
    assert half * solved.about_the_line(cycles, years) == pytest.approx(left.std(), rel=1e-3)
