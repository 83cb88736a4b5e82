"""Optional libraries: imported where they are used, named with their remedy where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

_EXTRA_OF = {
    "snaphu": "unwrap",
    "cupy": "gpu",
    "distributed": "distributed",
    "obstore": "cloud",
    "fsspec": "cloud",
    "s3fs": "cloud",
    "pyarrow": "parquet",
    "torch": "models",
    "torchvision": "models",
    "safetensors": "models",
    "lightning": "train",
    "onnx": "train",
    "onnxscript": "train",
}


class MissingExtraError(ImportError):
    """An optional library is needed and not installed; the message holds the command that installs it."""


def need(module: str, *, purpose: str) -> Any:
    """Import an optional ``module``, or raise :class:`MissingExtraError` with the remedy."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        extra = _EXTRA_OF.get(module.split(".")[0], module)
        raise MissingExtraError(
            f"{purpose} needs the package {module!r}, which is not installed; "
            f"install it with: pip install 'xinsar[{extra}]'"
        ) from error
