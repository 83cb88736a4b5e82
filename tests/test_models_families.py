"""Networks: their sizes to the last parameter, their shapes, how far they look, and what every family must keep."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from xinsar.models import get_model, list_models  # noqa: E402
from xinsar.models.blocks import parameters  # noqa: E402
from xinsar.models.centre import CentreNet  # noqa: E402
from xinsar.models.features import COMBINATIONS, LIANG  # noqa: E402
from xinsar.models.segnet import SegNet  # noqa: E402
from xinsar.models.torch_runtime import torch_runtime  # noqa: E402
from xinsar.models.unet import UNet  # noqa: E402

SMALL = {"centre": {"widths": (4, 4, 4, 4)}, "unet": {"width": 4}, "segnet": {"width": 4}}


def test_published_sizes():
    assert parameters(UNet(5)) == 31_038_785
    assert parameters(UNet(5, norm=False)) == 31_032_897
    assert parameters(SegNet(5)) == 29_444_737


def test_size_of_the_default_network():
    network = get_model("centre")
    assert parameters(network) == 1_207_852
    assert len(network.card.inputs) == 18


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_family(name):
    """The contract: a card that names how it was built, fields 0..1 of the window's size, windows that do not mix."""
    assert name in list_models()
    torch.manual_seed(0)
    network = get_model(name, **SMALL[name])
    card = network.card
    assert card.architecture == name
    assert dict(card.options) == SMALL[name]
    assert card.window[0] % card.multiple == 0
    runtime = torch_runtime(network, card)
    batch = np.random.default_rng(0).normal(size=(3, len(card.inputs), 64, 96)).astype("f4")
    fields = runtime(batch)
    assert fields.shape == (3, len(card.fields), 64, 96)
    assert fields.dtype == np.float32
    assert 0 <= fields.min() < fields.max() <= 1
    np.testing.assert_allclose(runtime(batch[::-1].copy())[::-1], fields, atol=1e-6)


@pytest.mark.parametrize(
    ("network", "card"),
    [
        (lambda: CentreNet(1, 1, widths=(1, 1, 1, 1)), "centre"),
        (lambda: UNet(1, width=1), "unet"),
        (lambda: SegNet(1, width=1), "segnet"),
    ],
)
def test_nothing_is_seen_beyond_the_radius(network, card):
    """A change further away than the card's radius changes nothing; one within it does, somewhere."""
    radius = get_model(card, **SMALL[card]).card.radius
    torch.manual_seed(1)
    made = network().double().eval()
    for p in made.parameters():
        p.data = p.data.abs() + 0.05
    size = 2 * (radius // 32 + 2) * 32
    plain = torch.zeros(1, 1, size, size, dtype=torch.double)
    reached = 0
    for k in range(0, 32, 5):
        changed = plain.clone()
        place = size // 2 + k
        changed[..., place, place] = 1.0
        with torch.no_grad():
            difference = (made(changed) - made(plain))[0].abs().amax(dim=(0, 2))
        rows = torch.nonzero(difference)[:, 0]
        reached = max(reached, int((rows - place).abs().max()))
    assert 0.6 * radius < reached <= radius


def test_sizes_that_do_not_fit():
    with pytest.raises(RuntimeError):
        CentreNet(1)(torch.zeros(1, 1, 40, 40))


def test_combinations_of_the_paper():
    assert len(COMBINATIONS) == 9
    assert LIANG in COMBINATIONS
    card = get_model("unet", inputs=LIANG, width=4).card
    assert [c.name for c in card.inputs] == list(LIANG)
    assert {c.transform for c in card.inputs} == {"minmax"}
    assert card.window == (256, 256)
    assert 0.15 <= card.overlap / 256 <= 0.25


def test_files_hold_no_folder_of_the_machine_that_wrote_them(tmp_path):
    """Weights that come with the package too."""
    from pathlib import Path

    import xinsar
    from xinsar.models import save_model

    save_model(get_model("centre", **SMALL["centre"]), tmp_path / "net.onnx")
    shipped = Path(xinsar.__file__).parent / "models" / "weights"
    for file in (tmp_path / "net.onnx", *shipped.iterdir()):
        content = file.read_bytes()
        assert b"torch/nn" not in content
        assert b"site-packages" not in content


def test_the_shipped_weights_are_one_model():
    """Both forms of the default weights give the same scores."""
    from pathlib import Path

    import xinsar
    from xinsar.models import load_model

    folder = Path(xinsar.__file__).parent / "models" / "weights"
    network, runtime = get_model("default"), load_model(folder / "default.onnx")
    assert "default" in list_models()
    assert network.card == runtime.card == load_model(folder / "default.safetensors").card
    batch = np.random.default_rng(0).normal(size=(1, 18, 512, 512)).astype("f4")
    np.testing.assert_allclose(torch_runtime(network, network.card)(batch), runtime(batch), atol=1e-4)


def test_products_with_the_sensitivity():
    """A track and its mirror image, sensitivity included, have the same products; the pairs are those of the card."""
    network = get_model("centre", **SMALL["centre"])
    labels = [c.label for c in network.card.inputs]
    pairs = [(labels[a], labels[b]) for a, b in zip(*network.products, strict=True)]
    assert pairs == [
        (f"{name}[{track}]", f"sensitivity[{track}]")
        for track in (0, 1)
        for name in ("velocity", "gradient_y", "gradient_x")
    ]
    shown = []
    network.stem[0].register_forward_pre_hook(lambda _, given: shown.append(given[0]))
    maps = torch.randn(1, len(labels), 32, 32)
    signed = [
        k
        for k, c in enumerate(network.card.inputs)
        if c.name.split("_")[0] in ("velocity", "gradient", "sensitivity") and c.name != "gradient_coherence"
    ]
    turned = maps.clone()
    turned[:, signed] *= -1
    for each in (maps, turned):
        network(each)
    torch.testing.assert_close(
        shown[0][:, 18:], maps[:, [0, 3, 4, 8, 11, 12]] * maps[:, [2, 2, 2, 10, 10, 10]]
    )
    torch.testing.assert_close(shown[0][:, 18:], shown[1][:, 18:])


def test_options_that_cannot_be():
    with pytest.raises(TypeError, match="options: the default model is trained and takes none, got width"):
        get_model("default", width=3)
    with pytest.raises(ValueError, match="depths: expected one number for each level below the first"):
        get_model("centre", depths=(1,))
