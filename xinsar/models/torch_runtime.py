"""A torch network as detection calls it: windows in as arrays, fields 0..1 out as arrays."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import nn

from xinsar.models.card import ModelCard


class TorchRuntime:
    """A network that is done with learning, on its device.

    float32 on the CPU; on a GPU convolutions run in bfloat16 where the device has it, else in float16 (scores within
    .02 of the CPU's). A window's result does not depend on what else is in the batch.
    """

    def __init__(self, module: nn.Module, card: ModelCard) -> None:
        self.card = card
        self._module = module.eval()

    def __call__(self, batch: Any) -> Any:
        """Return fields (window, field, y, x), float32 0..1, of channels (window, channel, y, x)."""
        if self.alone:
            return np.concatenate([self._fields(window[None]) for window in batch])
        return self._fields(batch)

    @property
    def alone(self) -> bool:
        """Whether windows are computed one by one: on a CPU, where a batch could change the order of sums."""
        return self._device.type == "cpu"

    @property
    def _device(self) -> torch.device:
        return next((p.device for p in self._module.parameters()), torch.device("cpu"))

    def _fields(self, batch: Any) -> Any:
        maps = torch.as_tensor(batch, dtype=torch.float32).to(self._device).contiguous()
        with torch.inference_mode(), _precision(self._device):
            fields = probabilities(self._module, maps)
        return fields.float().cpu().numpy()


def probabilities(module: nn.Module, maps: torch.Tensor) -> torch.Tensor:
    """Return what the module predicts, 0..1: its own ``predict``, else the sigmoid of its logits."""
    own = getattr(module, "predict", None)
    return own(maps) if own is not None else torch.sigmoid(module(maps))


def _precision(device: torch.device) -> AbstractContextManager[Any]:
    if device.type != "cuda":
        return torch.autocast("cpu", enabled=False)
    kind = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.autocast("cuda", dtype=kind)


def torch_runtime(module: nn.Module, card: ModelCard) -> TorchRuntime:
    """Return ``module`` as detection calls it."""
    return TorchRuntime(module, card)


class _Fields(nn.Module):
    """A network whose result are fields 0..1, as files hold it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return probabilities(self.module, maps)


def export_onnx(module: nn.Module, card: ModelCard, path: Any) -> None:
    """Write a network as ONNX: channels (window, channel, y, x) in, fields 0..1 out, any number of windows.

    Parameters
    ----------
    module, card
        The network and what its card says of windows and channels.
    path
        File to write.
    """
    from xinsar.extras import need

    for library in ("onnx", "onnxscript"):
        need(library, purpose="writing a model as ONNX")
    rows, columns = card.window
    example = torch.zeros(2, len(card.inputs), rows, columns)
    was = module.training
    torch.onnx.export(
        _Fields(module).eval(),
        (example,),
        str(path),
        input_names=["channels"],
        output_names=["fields"],
        dynamic_shapes=({0: torch.export.Dim("window")},),
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    module.train(was)
    _without_traces(path)


def _without_traces(path: Any) -> None:
    """Take out of an ONNX file what its exporter says of the code that made it: folders of one machine."""
    import onnx

    model: Any = onnx.load(str(path))
    graph = model.graph
    parts = [graph.node, graph.value_info, graph.input, graph.output, graph.initializer, model.functions]
    parts += [function.node for function in model.functions]
    for each in (model, graph, *(item for part in parts for item in part)):
        for name in ("metadata_props", "doc_string"):
            if name in each.DESCRIPTOR.fields_by_name:
                each.ClearField(name)
    onnx.save(model, str(path))
