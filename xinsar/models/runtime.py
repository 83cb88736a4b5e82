"""Running models: what a task carries, and the network it becomes in each process.

A *runtime* is a callable with the attribute ``card`` that can be pickled. It gets float32 (window, channel, y, x) and
returns, for a dense card, numbers within 0..1 (window, field, y, x); for a card of objects, a mapping for each window:

``boxes``
    (object, 4): left, top, right, bottom, pixel edges of the window;
``scores``
    (object), 0..1;
``labels``
    (object), index into the classes of the card, from 0;
``masks``
    (object, y, x), bool or 0..1 on the window; without it the boxes are the objects.

What else is in a batch may not change a window's result. Where the attribute ``alone`` is true the runtime computes
window by window, and batches are not padded to a fixed size for it.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from xinsar.models.card import Channel, ModelCard
from xinsar.models.registry import list_models

PACKAGE = "package:"
"""Sources that begin so name a file among the weights that come with xinsar, wherever it is installed."""

WEIGHTS = (".onnx", ".safetensors", ".json")
OBJECTS = ("boxes", "scores", "labels", "masks")


def runtime_of(model: Any) -> Any:
    """Return the runtime of a model: of a name or path, a torch module, any callable, or a runtime itself.

    Raises
    ------
    TypeError
        If ``model`` is none of these.
    ValueError
        If no model has the name, it has no weights here, or its file is damaged or does not fit its card.
    FileNotFoundError
        If nothing lies at the path.
    """
    if isinstance(model, (str, Path)):
        return _of_name(model)
    if is_torch(model):
        from xinsar.models.torch_runtime import torch_runtime

        return torch_runtime(model, _card_of(model))
    if callable(model):
        return model if isinstance(getattr(model, "card", None), ModelCard) else wrap(model)
    raise TypeError(
        "model: expected a name, a path of weights, a torch module or a callable with windows (window, channel, y, x) "
        f"in and fields out, got {type(model).__name__}"
    )


def is_torch(model: Any) -> bool:
    """Tell whether ``model`` is a torch module, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _card_of(module: Any) -> ModelCard:
    card = getattr(module, "card", None)
    if not isinstance(card, ModelCard):
        raise TypeError(
            f"model: expected a module with a ModelCard as attribute card, got {type(module).__name__} without one; "
            "set module.card = xinsar.models.ModelCard(...)"
        )
    return card


def _of_name(name: str | Path) -> Any:
    from xinsar.models.files import load_model

    if isinstance(name, str) and (card := _packaged(f"{name}.json")) is not None:
        return onnx_runtime(
            f"{PACKAGE}{name}.onnx", ModelCard.from_json(card.decode(), source=f"{name}.json")
        )
    path = Path(name)
    if path.suffix in WEIGHTS or path.exists() or path.name != str(name):
        return runtime_of(load_model(path))
    raise ValueError(_unknown(str(name)))


def _unknown(name: str) -> str:
    if name == "default":
        return (
            "model: there are no default weights in this installation; reinstall xinsar, or give model= a path of "
            "weights (name.onnx or name.safetensors with name.json beside it) or any callable"
        )
    if name in list_models():
        return (
            f"model: {name!r} is an architecture without weights in this installation; train it and give the path of "
            "its weights"
        )
    known = ", ".join(map(repr, list_models()))
    return f"model: expected a path of weights, a callable, or a name among {known}, got {name!r}"


def _packaged(name: str) -> bytes | None:
    """Return a file of the weights that come with xinsar, None where there is none."""
    if Path(name).name != name:
        return None
    place = resources.files("xinsar.models") / "weights" / name
    return place.read_bytes() if place.is_file() else None


def wrap(
    model: Callable[..., Any] | str | Path,
    *,
    inputs: Iterable[str | Channel] = ("velocity",),
    name: str | None = None,
    **entries: Any,
) -> Any:
    """Give a callable, or an ONNX file without a card, what :func:`xinsar.detect` must know of it.

    Parameters
    ----------
    model
        Callable: float32 (window, channel, y, x) in; fields within 0..1 (window, field, y, x) out, or what
        :mod:`xinsar.models.runtime` tells of objects. To be used by processes it must be importable or picklable by
        cloudpickle. Or the path of an ONNX file.
    inputs
        Channels: names (values as they are, 0 where missing, and the cube must have them) or
        :class:`~xinsar.models.Channel`.
    name
        Name on the card; that of the callable or file by default.
    **entries
        Further entries of :class:`~xinsar.models.ModelCard`. By default one field ``foreground``, windows of 256 pixels
        that share 64, and any pixel size.

    Returns
    -------
    callable
        With the attribute ``card``.

    Raises
    ------
    xinsar.models.CardError
        If the entries make no card.
    TypeError
        If ``model`` is neither a callable nor a path.

    Examples
    --------
    >>> import numpy as np
    >>> fast = wrap(lambda batch: np.abs(batch) > 0.02, inputs=["velocity"], name="fast")
    >>> fast.card.fields, fast(np.full((1, 1, 2, 2), 0.03, "f4")).mean().item()
    (('foreground',), 1.0)
    """
    channels = tuple(c if isinstance(c, Channel) else Channel(c, optional=False) for c in inputs)
    made: dict[str, Any] = {
        "version": "1", "fields": ("foreground",), "window": (256, 256), "overlap": 64, "multiple": 1, "min_pixels": 1,
        "pixel_size": None,
    }  # fmt: skip
    own = Path(model).stem if isinstance(model, (str, Path)) else getattr(model, "__name__", "model")
    card = ModelCard(name=name or str(own), inputs=channels, **{**made, **entries})
    if isinstance(model, (str, Path)):
        return onnx_runtime(str(model), card)
    if not callable(model):
        raise TypeError(f"model: expected a callable or the path of an ONNX file, got {type(model).__name__}")
    return Wrapped(model, card)


@dataclass(frozen=True)
class Wrapped:
    """A callable with a card."""

    function: Callable[..., Any]
    card: ModelCard

    def __call__(self, batch: Any) -> Any:
        """Return what the callable gives."""
        return self.function(batch)


@dataclass(frozen=True)
class OnnxRuntime:
    """A model in ONNX: what a task carries are the card and the place of the file; each process opens it once."""

    card: ModelCard
    source: str
    digest: str

    alone = True

    def __call__(self, batch: Any) -> Any:
        """Run the network window by window, on one thread: no window can change the numbers of another."""
        session = session_of(self)
        (taken,) = session.get_inputs()
        found = [session.run(None, {taken.name: window[None]}) for window in batch]
        if self.card.output == "dense":
            return np.concatenate([np.concatenate(fields, axis=1) for fields in found])
        names = [out.name for out in session.get_outputs()]
        return [dict(zip(names, map(_unbatched, names, outs), strict=True)) for outs in found]


def _unbatched(name: str, values: Any) -> Any:
    """Return one window's output without the axis of the batch, where it has one."""
    ndim = {"boxes": 2, "masks": 3}.get(name, 1)
    return values[0] if values.ndim == ndim + 1 and len(values) == 1 else values


_SESSIONS: dict[str, Any] = {}
_OPENING = threading.Lock()


def session_of(runtime: OnnxRuntime) -> Any:
    """Return the session of an ONNX file, opened once per process."""
    with _OPENING:
        if runtime.digest not in _SESSIONS:
            content = bytes_of(runtime.source)
            if digest_of(content) != runtime.digest:
                raise ValueError(
                    f"{runtime.source}: the file is not the one that was opened at first; leave models as they are "
                    "while they are used"
                )
            _SESSIONS[runtime.digest] = _open(content, runtime.source)
        return _SESSIONS[runtime.digest]


def _open(content: bytes, source: str) -> Any:
    """Return a session on one thread; Dask gives the parallelism."""
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own kinds share no base but Exception
        raise ValueError(
            f"{source}: expected a whole ONNX model, got {len(content)} bytes that onnxruntime cannot open; get the "
            f"file again ({str(error).splitlines()[0][:200]})"
        ) from None


def bytes_of(source: str) -> bytes:
    """Return the content of a file of weights, among those of the package or at a path."""
    if source.startswith(PACKAGE):
        content = _packaged(source.removeprefix(PACKAGE))
        if content is not None:
            return content
    elif Path(source).is_file():
        return Path(source).read_bytes()
    raise FileNotFoundError(
        f"{source}: there is no such file; workers on other machines need it at the same path as you"
    )


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def onnx_runtime(source: str, card: ModelCard) -> OnnxRuntime:
    """Return the runtime of an ONNX file after checking that it is whole and fits its card."""
    content = bytes_of(source)
    check_digest(source, content, card, "onnx")
    runtime = OnnxRuntime(card, source, digest_of(content))
    _check_shapes(session_of(runtime), card, source)
    return runtime


def check_digest(source: str, content: bytes, card: ModelCard, kind: str) -> None:
    """Raise ValueError where the card knows another digest of the file."""
    wanted = card.weights.get(kind, {}).get("sha256")
    if wanted and digest_of(content) != wanted:
        raise ValueError(
            f"{source}: the file is truncated, altered, or of another model: its SHA-256 is "
            f"{digest_of(content)[:12]}..., that on the card {wanted[:12]}...; get both files again"
        )


def _check_shapes(session: Any, card: ModelCard, source: str) -> None:
    """Raise ValueError where a network takes or gives something else than its card says."""
    taken, given = session.get_inputs(), session.get_outputs()
    wanted = [None, len(card.inputs), *card.window]
    if len(taken) != 1 or not _fits(taken[0].shape, wanted) or taken[0].type != "tensor(float)":
        came = ", ".join(f"{t.name} {t.shape} {t.type}" for t in taken)
        raise ValueError(
            f"{source}: expected a network for {len(card.inputs)} float channels in windows of {card.window}, as its "
            f"card says, got {came}; the weights are of another network"
        )
    if card.output == "objects":
        if missing := {"boxes", "scores", "labels"} - {g.name for g in given}:
            raise ValueError(
                f"{source}: expected outputs boxes, scores and labels, got no {', '.join(sorted(missing))}"
            )
        return
    numbers: list[Any] = [g.shape[1] if len(g.shape) == 4 else None for g in given]
    if None in numbers or (all(isinstance(n, int) for n in numbers) and sum(numbers) != len(card.fields)):
        came = ", ".join(f"{g.name} {g.shape}" for g in given)
        raise ValueError(
            f"{source}: expected outputs (window, field, y, x) with {len(card.fields)} fields, as its card says, got "
            f"{came}; the weights are of another network"
        )


def _fits(shape: Any, wanted: list[int | None]) -> bool:
    """Tell whether a shape, whose free sizes are names or None, allows the wanted one (None: 1)."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(not isinstance(a, int) or a == (b or 1) for a, b in pairs)
