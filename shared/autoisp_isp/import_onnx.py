"""From an exported network back to its module: the file has the spec and, by name, the weights."""

from __future__ import annotations

import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec
from onnx import numpy_helper

from autoisp_isp.contract import parse_onnx
from autoisp_isp.export import SPEC_KEY
from autoisp_isp.export_dynamic import banks_of
from autoisp_isp.network import PixelNetwork, build


def import_onnx(model: bytes, *, field: str = "model") -> tuple[PixelNetwork, dict[str, str]]:
    """The network that :func:`~autoisp_isp.export.export_onnx` wrote.

    Args:
        model: serialised ONNX.
        field: name of the argument that errors speak of.

    Returns:
        The network in evaluation mode, and the file's metadata but for the spec.

    Raises:
        InvalidArgumentError: no valid ONNX, or one that no spec and its weights were written to.
        SpecError: the spec breaks a rule.
    """
    parsed = parse_onnx(model, field=field)
    metadata = {entry.key: entry.value for entry in parsed.metadata_props}
    text = metadata.pop(SPEC_KEY, None)
    if text is None:
        raise InvalidArgumentError(field, f"the model has no {SPEC_KEY}; give one that AutoISP exported")
    network = build(Spec.from_json(text))
    stored = {tensor.name: tensor for tensor in parsed.graph.initializer}
    weights = {}
    for name, wanted in network.state_dict().items():
        if name not in stored:
            raise InvalidArgumentError(
                field,
                f"the model has no weights {name!r}, which its spec asks for; give it as it was exported",
            )
        values = torch.from_numpy(numpy_helper.to_array(stored[name]).copy())
        weights[name] = banks_of(values, wanted.shape) if values.dim() == 3 else values
    network.load_state_dict(weights)
    return network.eval(), metadata
