"""Models as files: weights as safetensors or ONNX, and their card as JSON beside them under the same name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xinsar.extras import need
from xinsar.models.card import CardError, ModelCard
from xinsar.models.registry import get_model
from xinsar.models.runtime import OnnxRuntime, bytes_of, check_digest, digest_of, is_torch, onnx_runtime

KINDS = {".onnx": "onnx", ".safetensors": "safetensors"}


def load_model(path: str | Path) -> Any:
    """Open a model from its files.

    Parameters
    ----------
    path
        ``name.onnx`` or ``name.safetensors``, with ``name.json`` beside it; the card itself; or a folder that holds one
        card. Where the card names both kinds of weights, those in ONNX are taken, which need no torch.

    Returns
    -------
    callable or torch.nn.Module
        ONNX: a runtime with the attribute ``card``. safetensors: the network that the card's ``architecture`` builds,
        with these weights, in evaluation mode.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no card beside it.
    xinsar.models.CardError
        If the card is malformed or of a newer version.
    ValueError
        If the weights are truncated, altered, or of another network than the card says.
    xinsar.MissingExtraError
        If safetensors or torch is needed and not installed.
    """
    card_path, weights = _places(Path(path))
    card = ModelCard.read(card_path)
    file = weights or _weights_of(card, card_path)
    if file.suffix == ".onnx":
        return onnx_runtime(str(file), card)
    return _load_torch(file, card)


def _places(path: Path) -> tuple[Path, Path | None]:
    """Return the card and, where the path names them, the weights."""
    if path.is_dir():
        cards = sorted(path.glob("*.json"))
        if len(cards) != 1:
            raise FileNotFoundError(
                f"path: expected a folder with one card (.json), got {len(cards)} in {path}; name the file"
            )
        return cards[0], None
    if path.suffix not in (*KINDS, ".json"):
        raise ValueError(f"path: expected name.onnx, name.safetensors, name.json or a folder, got {path}")
    if not path.is_file():
        raise FileNotFoundError(f"path: there is no file {path}")
    card = path.with_suffix(".json")
    if not card.is_file():
        raise FileNotFoundError(
            f"path: expected the model's card {card.name} beside {path}, got none; for an ONNX file without a card use "
            "xinsar.models.wrap"
        )
    return card, None if path.suffix == ".json" else path


def _weights_of(card: ModelCard, place: Path) -> Path:
    """Return the weights that a card names, or that lie beside it."""
    for suffix, kind in KINDS.items():
        name = card.weights.get(kind, {}).get("file", place.with_suffix(suffix).name)
        if (file := place.parent / name).is_file():
            return file
    raise FileNotFoundError(f"path: expected weights (.onnx or .safetensors) beside {place}, got none")


def _load_torch(file: Path, card: ModelCard) -> Any:
    """Return the network of the card with the weights of a safetensors file."""
    safetensors = need("safetensors.numpy", purpose="reading weights in safetensors")
    torch = need("torch", purpose="a model in safetensors")
    content = bytes_of(str(file))
    check_digest(str(file), content, card, "safetensors")
    try:
        arrays = safetensors.load(content)
    except Exception as error:  # SafetensorError lives in a compiled module
        raise ValueError(
            f"{file}: expected whole weights in safetensors, got {len(content)} bytes that cannot be read; get the "
            f"file again ({error})"
        ) from None
    if not card.architecture:
        raise CardError(
            f"{file}: the card names no architecture to build; set it to one of xinsar.models.list_models()"
        )
    module = get_model(card.architecture, **card.options)
    _check_weights(file, arrays, module.state_dict())
    module.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in arrays.items()})
    module.card = card
    return module.eval()


def _check_weights(file: Path, arrays: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise ValueError unless the file holds just the arrays of the network, in their shapes."""
    lacking, strange = sorted(set(wanted) - set(arrays)), sorted(set(arrays) - set(wanted))
    other = [n for n in sorted(arrays) if n in wanted and tuple(arrays[n].shape) != tuple(wanted[n].shape)]
    if not (lacking or strange or other):
        return
    told = [f"no {lacking[0]}"] if lacking else []
    told += [f"{strange[0]}, which the network has not"] if strange else []
    told += [f"{n} {tuple(arrays[n].shape)} for {tuple(wanted[n].shape)}" for n in other[:1]]
    raise ValueError(
        f"{file}: expected the {len(wanted)} arrays of the network on the card, got {len(arrays)} ({'; '.join(told)}); "
        "the weights are of another network"
    )


def save_model(model: Any, path: str | Path) -> Path:
    """Write a model and its card.

    Parameters
    ----------
    model
        A torch module with the attribute ``card``, or a model opened from ONNX.
    path
        ``name.safetensors`` or ``name.onnx``; without a suffix safetensors for a torch module, ONNX for an ONNX model.
        ``name.json`` is written beside it. Files are replaced; weights of the other kind that lie there under the same
        name, of the same model and version, stay on the card.

    Returns
    -------
    Path
        The file of the weights.

    Raises
    ------
    TypeError
        If ``model`` is a callable that has no file, or a module without a card.
    ValueError
        If the suffix is unknown, or asks for an ONNX model as safetensors.
    xinsar.MissingExtraError
        If a library that writes the file is not installed.
    """
    path = Path(path)
    suffix = path.suffix or (".onnx" if isinstance(model, OnnxRuntime) else ".safetensors")
    if suffix not in KINDS:
        raise ValueError(f"path: expected a name that ends in .safetensors or .onnx, got {path}")
    content = _content(model, suffix)
    file = path.with_suffix(suffix)
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = _other_weights(model.card, file, KINDS[suffix])
    entry = {KINDS[suffix]: {"file": file.name, "sha256": digest_of(content)}}
    _replace(file, content)
    _replace(file.with_suffix(".json"), model.card.replace(weights={**kept, **entry}).to_json().encode())
    return file


def _content(model: Any, suffix: str) -> bytes:
    """Return the bytes of the file of weights."""
    if isinstance(model, OnnxRuntime):
        if suffix != ".onnx":
            raise ValueError(
                "path: expected a name that ends in .onnx, for a model in ONNX, got .safetensors"
            )
        return bytes_of(model.source)
    if not is_torch(model) or not isinstance(getattr(model, "card", None), ModelCard):
        raise TypeError(
            f"model: expected a torch module with a ModelCard as attribute card, or a model in ONNX, got "
            f"{type(model).__name__}; set module.card = xinsar.models.ModelCard(...)"
        )
    if suffix == ".onnx":
        return _exported(model)
    safetensors = need("safetensors.numpy", purpose="writing weights in safetensors")
    arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in model.state_dict().items()}
    return bytes(safetensors.save(arrays))


def _exported(module: Any) -> bytes:
    """Return a torch module as the bytes of an ONNX file."""
    from xinsar.models.torch_runtime import export_onnx

    with TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        export_onnx(module, module.card, file)
        return file.read_bytes()


def _other_weights(card: ModelCard, file: Path, kind: str) -> dict[str, Mapping[str, str]]:
    """Return what the card that lies there, if of this model, says of weights of another kind that are there."""
    place = file.with_suffix(".json")
    if not place.is_file():
        return {}
    before = ModelCard.read(place)
    if (before.name, before.version) != (card.name, card.version):
        return {}
    return {
        k: v for k, v in before.weights.items() if k != kind and (file.parent / v.get("file", "")).is_file()
    }


def _replace(file: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    beside = file.with_name(file.name + ".part")
    beside.write_bytes(content)
    os.replace(beside, file)
