"""I want to know which maps help a network: velocity or hot spots, with slope, aspect, elevation or none of them.

The experiment of Liang et al. (2023, Remote Sens. 15:5262) on simulated areas: U-Net and SegNet learn from every
combination of their tables 1 and 2, and are scored by pixel on an area they have not seen. The optical image that the
paper adds to each combination is left out, for the simulator paints none. Needs ``pip install "xinsar[train]"``.

As it is, two combinations are tried with a network so small and short that its scores mean nothing: it shows that the
experiment runs. With ``--full`` it is the real one: 18 networks of full size, for hours on a GPU. Training that was
interrupted goes on when the script is started again.
"""

import argparse
from pathlib import Path

import xinsar
from xinsar.inventory import save_inventory
from xinsar.models.features import COMBINATIONS, OPTICAL
from xinsar.training import fit

parser = argparse.ArgumentParser()
parser.add_argument(
    "--full", action="store_true", help="all combinations, networks of full size, larger areas"
)
full = parser.parse_args().full

FOLDER = Path("12_combinations-full" if full else "12_combinations")
AREAS, SIDE, PATCH = (12, 1024, 256) if full else (1, 128, 64)
WIDTH, STEPS, NETWORKS = (64, 6000, ("segnet", "unet")) if full else (4, 10, ("unet",))
features = [tuple(name for name in each if name not in OPTICAL) for each in COMBINATIONS]
features = features if full else [features[0], ("hot_spot", "aspect")]


def area(seed: int) -> tuple[str, str]:
    """Write a simulated area: a cube of one track with all maps, and what moves there. Return both paths."""
    cube, outlines = FOLDER / f"area{seed}.zarr", FOLDER / f"area{seed}.gpkg"
    if not outlines.exists():
        made = xinsar.simulate.products(seed, shape=(SIDE, SIDE), tier="easy", tracks="ascending")
        ds = made.cube["ascending"].to_dataset()
        hot = ds[["velocity"]].insar.getis_ord(distance=150).hot_spot
        maps = ds[["velocity", "elevation"]].assign({**xinsar.terrain(ds).data_vars, "hot_spot": hot})
        xinsar.save_cube(maps, cube, mode="w", resume=False, progress=False)
        save_inventory(xinsar.simulate.reference_inventory(made.truth), outlines)
    return str(cube), str(outlines)


FOLDER.mkdir(exist_ok=True)
learnt = [area(300 + k) for k in range(AREAS)]
unseen = [area(400 + k) for k in range(max(AREAS // 4, 1))]


def recipe(network: str, inputs: tuple[str, ...]) -> dict:
    """Return what decides one training; ``xinsar train`` takes the same as a TOML file."""
    name = "-".join((network, *inputs))
    return {
        "out": str(FOLDER / name),
        "model": {
            "name": network,
            "options": {"inputs": list(inputs), "width": WIDTH},
            "card": {"name": name, "window": [PATCH, PATCH], "overlap": PATCH // 2 if PATCH < 256 else 64},
        },
        "data": {
            "folder": str(FOLDER / name / "samples"),
            "cubes": [cube for cube, _ in learnt],
            "outlines": [outlines for _, outlines in learnt],
            "val_cubes": [cube for cube, _ in unseen],
            "val_outlines": [outlines for _, outlines in unseen],
            "shape": [PATCH, PATCH],
        },
        "training": {
            "crop": [PATCH, PATCH],
            "batch": 8,
            "steps": STEPS,
            "every": STEPS // 2 if STEPS < 100 else 500,
            "rate": 1e-3,
            "threads": 0 if full else 1,
        },
    }


print(
    f"{'network':8} {'maps':34} {'F1':>6} {'IoU':>6}  by pixel"
    + ("" if full else "; too small to mean anything")
)
for network in NETWORKS:
    for inputs in features:
        try:
            trained = fit(recipe(network, inputs), say=list)
        except xinsar.MissingExtraError as error:
            print(error)
            raise SystemExit(0) from None
        f1 = trained.card.training["validation"]["pixel_f1"]
        print(f"{network:8} {' + '.join(inputs):34} {f1:6.3f} {f1 / (2 - f1):6.3f}")
