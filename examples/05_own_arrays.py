"""My interferograms come from my own processor: I have arrays, dates and a grid, no product xinsar knows.

Builds a cube from NumPy arrays, saves it, and stacks its gradients. Writes ``05_own.zarr`` and
``05_gradients.png``.
"""

import numpy as np

import xinsar
from xinsar import plot

rng = np.random.default_rng(0)
y, x = np.meshgrid(np.arange(100) * 20.0, np.arange(120) * 20.0, indexing="ij")
sinking = 0.2 * np.exp(-((x - 1300) ** 2 + (y - 900) ** 2) / (2 * 150**2))  # metres a year, away

dates = np.datetime64("2022-05-01") + 12 * np.arange(12)
pairs = [(i, j) for i in range(12) for j in (i + 1, i + 2) if j < 12]
years = np.array([(dates[j] - dates[i]).astype(int) / 365.25 for i, j in pairs])
phase = 4 * np.pi / 0.0555 * years[:, None, None] * sinking + rng.normal(0, 0.3, (len(pairs), *x.shape))

ds = xinsar.stack_from_arrays(
    np.angle(np.exp(1j * phase)),  # wrapped, positive away from the satellite
    np.full(phase.shape, 0.8),
    [dates[i] for i, _ in pairs],
    [dates[j] for _, j in pairs],
    x[0] + 500_000,
    4_200_000 - y[:, 0],
    crs="EPSG:32633",
    wavelength=0.0555,
)
ds.insar.to_cube("05_own.zarr", mode="w")

stack = xinsar.open_cube("05_own.zarr").insar.phase_gradient_stack().compute()
true = 4 * np.pi / 0.0555 * np.diff(sinking, axis=1) / 20
measured = stack.gradient_x.values[:, :-1]
agreement = np.corrcoef(true[5:-5, 5:-5].ravel(), measured[5:-5, 5:-5].ravel())[0, 1]
print(f"correlation with the true gradient: {agreement:.3f}")

plot.gradients(stack)[0].figure.savefig("05_gradients.png", dpi=120)
