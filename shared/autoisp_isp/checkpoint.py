"""Checkpoints of a training as safetensors bytes: nothing in them is ever unpickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import safetensors.torch
import torch
from autoisp_core.errors import DataLossError
from safetensors import SafetensorError
from torch import Tensor

_FORMAT = "autoisp-checkpoint-1"
_WEIGHTS, _AVERAGES, _FIRST, _SECOND = "weights", "averages", "first_moment", "second_moment"
_AUGMENTER, _ADAPTER = "augmenter", "adapter"
_GROUPS = (_WEIGHTS, _AVERAGES, _FIRST, _SECOND, _AUGMENTER, _ADAPTER)


@dataclass(frozen=True)
class Checkpoint:
    """A training between two steps.

    The seed and the step say which batches follow, so no generator's state is kept.

    Attributes:
        spec_json: the network's spec.
        seed: of the training.
        step: steps done.
        seconds: trained so far.
        loss: running mean of the loss.
        weights, averages: parameters by name, and their moving averages.
        first_moment, second_moment: the optimiser's, by name; not every parameter has a second one.
        augmenter: what chooses the patches' augmentation, by name; empty if that learns nothing.
        adapter: what learns a prototype's features beside the network; empty if nothing does.
    """

    spec_json: str
    seed: int
    step: int
    seconds: float
    loss: float
    weights: Mapping[str, Tensor]
    averages: Mapping[str, Tensor]
    first_moment: Mapping[str, Tensor]
    second_moment: Mapping[str, Tensor]
    augmenter: Mapping[str, Tensor] = field(default_factory=dict)
    adapter: Mapping[str, Tensor] = field(default_factory=dict)


def save_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The checkpoint as bytes of one safetensors file."""
    tensors: dict[str, Tensor] = {}
    for group in _GROUPS:
        for name, value in getattr(checkpoint, group).items():
            tensors[f"{group}.{name}"] = value.detach().cpu().contiguous()
    scalars = {
        "spec_json": checkpoint.spec_json,
        "seed": checkpoint.seed,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "loss": checkpoint.loss,
    }
    return safetensors.torch.save(tensors, metadata={"format": _FORMAT, "training": json.dumps(scalars)})


def load_checkpoint(data: bytes) -> Checkpoint:
    """Reads what `save_checkpoint` wrote.

    Raises:
        DataLossError: when the bytes are no checkpoint.
    """
    try:
        scalars = json.loads(_metadata(data)["training"])
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
        for key, value in safetensors.torch.load(data).items():
            group, _, name = key.partition(".")
            groups[group][name] = value
        return Checkpoint(
            spec_json=str(scalars["spec_json"]),
            seed=int(scalars["seed"]),
            step=int(scalars["step"]),
            seconds=float(scalars["seconds"]),
            loss=float(scalars["loss"]),
            weights=groups[_WEIGHTS],
            averages=groups[_AVERAGES],
            first_moment=groups[_FIRST],
            second_moment=groups[_SECOND],
            augmenter=groups[_AUGMENTER],
            adapter=groups[_ADAPTER],
        )
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DataLossError(f"these {len(data)} bytes are no training checkpoint: {error}") from error


def save_weights(weights: Mapping[str, Tensor]) -> bytes:
    """Weights by name as bytes of one safetensors file."""
    return safetensors.torch.save(
        {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    )


def load_weights(data: bytes) -> dict[str, Tensor]:
    """Reads what `save_weights` wrote.

    Raises:
        DataLossError: when the bytes are no safetensors file.
    """
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError) as error:
        raise DataLossError(f"these {len(data)} bytes are no weights: {error}") from error


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that later steps do not change."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }


def _metadata(data: bytes) -> dict[str, str]:
    """The header's free texts; safetensors' own reader shows them for files only."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header["__metadata__"]
    if metadata["format"] != _FORMAT:
        raise ValueError(f"format {metadata['format']}")
    return dict(metadata)
