"""Variants of a network with dynamic convolutions, for accelerators that refuse kernels made at run time.

*Lagged*: a frame is developed with the coefficients of the frame before, which are a state of the graph. So
the kernels of a frame are known before it comes: a driver can mix them beside the accelerator and load them
as weights, and no convolution waits for a mean over the whole frame. A stream starts with mean coefficients.

*Frozen*: mean coefficients for good. What remains is a plain static network, which every accelerator runs.

What either loses is for :mod:`autoisp_isp.evaluation` to measure, on clips that the coefficients weren't
averaged over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import LayerType, Spec
from torch import Tensor

from autoisp_isp.contract import check_contract
from autoisp_isp.dynamic.convolution import DynamicConv2d
from autoisp_isp.dynamic.freezing import mean_coefficients
from autoisp_isp.export import export_onnx
from autoisp_isp.export_dynamic import CoefficientSource
from autoisp_isp.export_graph import GraphWriter
from autoisp_isp.network import PixelNetwork, build
from autoisp_isp.network.block import COEFFICIENTS, dynamic_layers, layer_name
from autoisp_isp.synthesis import RawSample

VARIANT_KEY = "autoisp.variant"
"""Key of the variant's name in the model's ``metadata_props``."""

Means = Sequence[Sequence[Tensor]]
"""Mean coefficients (width, bank) of each dynamic layer of each block."""


def coefficients_over(network: PixelNetwork, samples: Iterable[RawSample]) -> Means:
    """The coefficients that a network makes, in the mean over samples of the footage that it is for.

    Args:
        network: of a spec with dynamic layers.
        samples: whole frames, not patches, since coefficients come from means over the frame; with as many
            frames as the network takes, or more if it is recurrent.

    Raises:
        InvalidArgumentError: no sample, or a network without dynamic layers.
    """
    _check_dynamic(network.spec)
    predictors = {
        f"blocks.{index}": block.get_submodule(COEFFICIENTS) for index, block in enumerate(network.blocks)
    }
    means = mean_coefficients(network, predictors, (_inputs(network.spec, sample) for sample in samples))
    return [means[name] for name in predictors]


def lagged(network: PixelNetwork, means: Means, metadata: Mapping[str, str] | None = None) -> bytes:
    """The network as ONNX whose kernels are mixed by the coefficients of the frame before.

    Args:
        network: of a spec with dynamic layers; stays as it is.
        means: from :func:`coefficients_over`: what a stream starts with.
        metadata: further ``metadata_props``.

    Returns:
        The serialised model: that of :func:`~autoisp_isp.export.export_onnx`, with the input
        ``state_coefficients_I`` (1, C) and the output ``state_coefficients_I_out`` of each block I. They hold
        how far coefficients are from their means, so zeros start a stream, as with every state.

    Raises:
        InvalidArgumentError: a network without dynamic layers, or a block of more coefficients than a state
            may have.
    """
    _check_dynamic(network.spec)
    model = export_onnx(
        network, {**(metadata or {}), VARIANT_KEY: "lagged"}, coefficient_source=_FrameBefore(means)
    )
    check_contract(model, field="model")
    return model


def frozen(network: PixelNetwork, means: Means) -> PixelNetwork:
    """The network with plain convolutions in place of dynamic ones, of a spec that says so.

    Args:
        network: of a spec with dynamic layers; stays as it is.
        means: from :func:`coefficients_over`.

    Raises:
        InvalidArgumentError: a network without dynamic layers.
    """
    spec = network.spec
    _check_dynamic(spec)
    block = tuple(
        replace(layer, type=LayerType.CONV) if layer.type == LayerType.DYNAMIC else layer
        for layer in spec.block
    )
    result = build(replace(spec, block=block))
    weights = {name: value for name, value in network.state_dict().items() if COEFFICIENTS not in name}
    for index, coefficients in enumerate(means):
        for layer, mean in zip(dynamic_layers(spec), coefficients, strict=True):
            name = f"blocks.{index}.{layer_name(layer)}"
            convolution = network.get_submodule(name)
            assert isinstance(convolution, DynamicConv2d)
            weights[f"{name}.weight"] = convolution.kernels(mean[None])[0].detach()
    result.load_state_dict(weights)
    return result.eval()


class _FrameBefore(CoefficientSource):
    """Coefficients that are carried from frame to frame, as the difference from their means."""

    def __init__(self, means: Means) -> None:
        super().__init__()
        self._means = means

    def take(self, graph: GraphWriter, fresh: str, block: int) -> str:
        """See the base."""
        flat = torch.cat([mean.flatten() for mean in self._means[block]])[None].cpu().numpy()
        mean = graph.tensor(f"blocks.{block}.{COEFFICIENTS}.mean", flat)
        name = f"state_coefficients_{block}"
        self.inputs[name] = self.outputs[f"{name}_out"] = ["N", flat.shape[1]]
        graph.rename(graph.node("Sub", [fresh, mean]), f"{name}_out")
        return graph.node("Add", [name, mean])


def _check_dynamic(spec: Spec) -> None:
    if not dynamic_layers(spec):
        raise InvalidArgumentError(
            "model", "the network has no dynamic convolutions: it needs no other variant, deploy it as it is"
        )


def _inputs(spec: Spec, sample: RawSample) -> tuple[Tensor, ...]:
    single = spec.frames == 1 and not spec.recurrent
    raw = sample.raw[-1] if single else sample.raw if spec.recurrent else sample.raw[-spec.frames :]
    return tuple(value[None] for value in (raw, sample.gains, sample.ccm, sample.noise))
