"""ExecuTorch programs for its XNNPACK delegate; needs the extra `executorch`.

The network is built again from the spec and the weights that its ONNX file holds, and exported as one step:
what a recurrent one carries from frame to frame is an input and an output, as in ONNX.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from autoisp_core.errors import FailedPreconditionError

from autoisp_isp.contract import check_contract
from autoisp_isp.cost import grey_inputs
from autoisp_isp.edge.made import Made
from autoisp_isp.edge.shadows import Array
from autoisp_isp.edge.shots import CalibrationFrame, closeness, developed, graph_inputs
from autoisp_isp.runtime_session import load_session

if TYPE_CHECKING:
    from torch import Tensor

_PACKAGE = "executorch"
_LARGEST = (1080, 1920)
"""Rows and columns of the raw planes of 4K: a program's memory is planned for the largest frame."""
_EXAMPLE = (64, 96)
"""Rows and columns of the picture that is exported with; programs take others."""
MULTIPLE = 4
"""Rows and columns of the planes that a program takes are multiples of it."""
_SAME_DB = 80.0


def make_program(model: bytes, frames: Sequence[CalibrationFrame]) -> Made:
    """Writes a program, and runs it on the frames to see that its pictures are those of the ONNX file.

    Raises:
        FailedPreconditionError: reason NOT_INSTALLED, ExecuTorch is not; NOT_CONVERTIBLE, the program's
            pictures are others, or the network has operators that it can't have.
        InvalidArgumentError: the file is none that AutoISP exported from a spec.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise FailedPreconditionError(
            "this worker has no ExecuTorch; run pip install 'autoisp[executorch]' where it runs",
            reason="NOT_INSTALLED",
        )
    frames = [_cut(frame) for frame in frames]
    program = _lowered(model)
    reference = developed(load_session(model), frames)
    pictures, seconds = _run(program, model, frames)
    close = closeness(reference, pictures)
    if close < _SAME_DB:
        raise FailedPreconditionError(
            f"the program's pictures differ from the ONNX file's ({close:.0f} dB)", reason="NOT_CONVERTIBLE"
        )
    release = importlib.metadata.version(_PACKAGE)
    note = (
        f"float32, by ExecuTorch {release}; its pictures are those of onnx-fp32 within {close:.0f} dB on "
        f"{len(frames)} frames, so its quality is that one's"
    )
    return Made(program, judged=model, note=note, seconds_per_megapixel=seconds)


def _lowered(model: bytes) -> bytes:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from torch.export import Dim

    from autoisp_isp.edge.stepping import Step
    from autoisp_isp.import_onnx import import_onnx

    network, _ = import_onnx(model)
    rows, columns = (
        Dim(name, min=2, max=size // MULTIPLE)
        for name, size in zip(("rows", "columns"), _LARGEST, strict=True)
    )
    example = grey_inputs(check_contract(model, field="model"), *_EXAMPLE)
    sizes: list[dict[int, Any]] = []
    for value in example.values():
        # Of raw and of a state, the last two dimensions are the frame's, over what a cell covers.
        cells = value.ndim >= 4
        steps = MULTIPLE * value.shape[-2] // (_EXAMPLE[0] // 2) if cells else 0
        sizes.append({value.ndim - 2: steps * rows, value.ndim - 1: steps * columns} if cells else {})
    arguments = _tensors(example)
    exported = torch.export.export(Step(network), arguments, dynamic_shapes=(tuple(sizes),))
    lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    return bytes(lowered.to_executorch().buffer)


def _run(program: bytes, model: bytes, frames: Sequence[CalibrationFrame]) -> tuple[list[Array], float]:
    """Pictures, and the least processor seconds per megapixel over the frames, on one thread."""
    from executorch.runtime import Runtime

    method: Any = Runtime.get().load_program(program).load_method("forward")
    pictures, seconds = [], []
    for inputs in graph_inputs(model, frames):
        arguments = _tensors(inputs)
        begun = time.process_time()
        srgb = method.execute(arguments)[0].numpy()
        seconds.append((time.process_time() - begun) / (srgb.shape[-1] * srgb.shape[-2] / 1e6))
        pictures.append(np.clip(srgb[0], 0.0, 1.0).copy())
    return pictures, min(seconds)


def _tensors(values: Mapping[str, Array]) -> tuple[Tensor, ...]:
    """Copies whose strides are those of their sizes: NumPy's axes of length 1 have stride 0, and programs
    don't take that."""
    import torch

    return tuple(
        torch.from_numpy(value).clone(memory_format=torch.contiguous_format) for value in values.values()
    )


def _cut(frame: CalibrationFrame) -> CalibrationFrame:
    height, width = (size // MULTIPLE * MULTIPLE for size in frame.raw.shape[-2:])
    return replace(frame, raw=frame.raw[..., :height, :width])
