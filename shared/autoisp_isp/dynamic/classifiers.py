"""The four networks of DyNet's paper and their dynamic twins, with what it says of their arithmetic."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from autoisp_isp.dynamic.mobile import dy_mobile, mobilenet_v2
from autoisp_isp.dynamic.residual import dy_resnet18, dy_resnet50, resnet18, resnet50
from autoisp_isp.dynamic.shuffle import dy_shuffle, shufflenet_v2
from autoisp_isp.dynamic.survey import resting
from autoisp_isp.dynamic.units import Classifier

SIDE = 224
"""Height and width of the pictures that arithmetic is stated for."""


@dataclass(frozen=True)
class Pair:
    """A network and its dynamic twin.

    Attributes:
        name: of the static one.
        static: builds it.
        dynamic: builds its twin; ``bank`` says how many kernels an output channel mixes.
        reduction_percent: how much less arithmetic the twin takes by the abstract of arXiv 2004.10694. It is
            met by counting everything, the prediction of coefficients and the mixing of kernels too.
        iclr_mmacs: millions of multiply-accumulates of both by Table 1 of the submission to ICLR 2020, which
            counts neither.
    """

    name: str
    static: Callable[[], Classifier]
    dynamic: Callable[..., Classifier]
    reduction_percent: float
    iclr_mmacs: tuple[int, int]

    @property
    def iclr_reduction_percent(self) -> float:
        """The reduction by that table."""
        static, dynamic = self.iclr_mmacs
        return 100 * (1 - dynamic / static)


PAIRS = (
    Pair("ShuffleNetV2 1.0", shufflenet_v2, dy_shuffle, 37.0, (146, 88)),
    Pair("MobileNetV2 1.0", mobilenet_v2, dy_mobile, 54.7, (298, 129)),
    Pair("ResNet-18", resnet18, dy_resnet18, 67.2, (1730, 550)),
    Pair("ResNet-50", resnet50, dy_resnet50, 71.3, (3890, 1075)),
)


def export_picture_network(network: nn.Module, side: int = SIDE) -> bytes:
    """A network of pictures (1, 3, side, side) as ONNX, traced in evaluation mode.

    Kernels are mixed at run time, in the graph.

    Args:
        network: stays in the mode it is in.
        side: height and width of the pictures.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(), resting(network):
        # Announced to go, but it writes nothing superfluous, and the graph is as deep as the network.
        warnings.simplefilter("ignore", DeprecationWarning)
        # One picture at a time is what is wanted.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, side, side),),
            buffer,  # type: ignore[arg-type]  # torch's stub knows of files only
            input_names=["picture"],
            output_names=["logits"],
            opset_version=18,
            dynamo=False,
        )
    return buffer.getvalue()
