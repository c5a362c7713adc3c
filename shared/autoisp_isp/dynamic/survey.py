"""Which convolutions of a network can become dynamic, and in which blocks; or which can't, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

Inputs = Tensor | tuple[Any, ...]
"""What a network is called with."""

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Plan:
    """What to convert in a block.

    Attributes:
        convolutions: names within the block, in the order of the network.
        channels: of what the block gets.
    """

    convolutions: tuple[str, ...]
    channels: int


def survey(
    model: nn.Module, example: Inputs, *, blocks: Collection[str] | None, keep: Collection[str]
) -> dict[str, Plan]:
    """The plan of each block by the block's name; arguments and errors are those of ``dynamize``."""
    every = dict(model.named_modules())
    for name in (*keep, *(blocks or ())):
        if name not in every:
            raise InvalidArgumentError(
                "keep" if name in keep else "blocks", f"the model has no module {name!r}"
            )
    convolutions = [name for name in _convolutions(model) if not _within(name, keep)]
    found: dict[str, list[str]] = defaultdict(list)
    for name in convolutions:
        block = _block_of(name, every) if blocks is None else _innermost(name, blocks)
        if block is not None:
            found[block].append(name)
    if blocks is None and len(found) > 1:
        found.pop("", None)
    if not any(found.values()):
        raise InvalidArgumentError(
            "model", "there is no 2-D convolution to convert in any block of the model"
        )
    for names in found.values():
        for name in names:
            _check(name, every[name], model)
    channels = _Watch(model, found).run(example)
    return {
        block: Plan(tuple(name[len(block) :].lstrip(".") for name in names), channels[block])
        for block, names in found.items()
    }


@contextmanager
def resting(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode without gradients, and afterwards as it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def called(model: nn.Module, inputs: Inputs) -> None:
    """Runs the model for what its modules see."""
    model(*inputs) if isinstance(inputs, tuple) else model(inputs)


def _convolutions(model: nn.Module) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, _ConvNd)]


def _within(name: str, modules: Collection[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _block_of(name: str, every: dict[str, nn.Module]) -> str:
    block = name.rpartition(".")[0]
    while block and isinstance(every[block], _CONTAINERS):
        block = block.rpartition(".")[0]
    return block


def _innermost(name: str, blocks: Collection[str]) -> str | None:
    around = [block for block in blocks if _within(name, [block]) or block == ""]
    return max(around, key=len) if around else None


def _check(name: str, module: nn.Module, model: nn.Module) -> None:
    """Refuses what has arithmetic, weights or calls that a dynamic convolution doesn't know."""
    if isinstance(module, nn.modules.lazy.LazyModuleMixin):
        _refuse(name, "is lazy and has no weights yet: run the model once before")
    if type(module) is not nn.Conv2d:
        _refuse(name, f"is a {type(module).__name__}, not a plain Conv2d")
    if module._forward_pre_hooks or module._forward_hooks:
        _refuse(name, "has hooks, which would be lost")
    names = [other for other, each in model.named_modules(remove_duplicate=False) if each is module]
    if len(names) > 1:
        _refuse(name, f"is the same layer as {names[1]!r}")
    tied = [
        other
        for other, parameter in model.named_parameters(remove_duplicate=False)
        if parameter is module.weight and other != f"{name}.weight"
    ]
    if tied:
        _refuse(name, f"shares its weights with {tied[0]!r}")


def _refuse(name: str, why: str) -> NoReturn:
    raise InvalidArgumentError(
        f"model.{name}",
        f"layer {name!r} can't become dynamic: it {why}; name it in 'keep' to leave it as it is",
    )


class _Watch:
    """Watches one run of the model: what the blocks get, and whether their convolutions run within them."""

    def __init__(self, model: nn.Module, blocks: dict[str, list[str]]) -> None:
        self._model, self._blocks = model, blocks
        self._depth: dict[str, int] = dict.fromkeys(blocks, 0)
        self._channels: dict[str, int] = {}
        self._ran: set[str] = set()

    def run(self, example: Inputs) -> dict[str, int]:
        """Channels of what each block gets."""
        handles = []
        for block, names in self._blocks.items():
            module = self._model.get_submodule(block)
            handles.append(module.register_forward_pre_hook(self._entering(block), with_kwargs=True))
            handles.append(module.register_forward_hook(self._leaving(block), always_call=True))
            handles += [
                self._model.get_submodule(name).register_forward_pre_hook(self._running(name, block))
                for name in names
            ]
        try:
            with resting(self._model):
                called(self._model, example)
        except InvalidArgumentError:
            raise
        except Exception as error:  # whatever the user's own code raises
            raise InvalidArgumentError("example", f"the model doesn't run on the example: {error}") from error
        finally:
            for handle in handles:
                handle.remove()
        for names in self._blocks.values():
            for name in names:
                if name not in self._ran:
                    _refuse(name, "doesn't run on the example")
        return self._channels

    def _entering(self, block: str) -> Any:
        def entering(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given = args[0] if args else next(iter(kwargs.values()), None)
            if not isinstance(given, Tensor) or given.dim() != 4:
                what = (
                    f"a tensor of {given.dim()} dimensions"
                    if isinstance(given, Tensor)
                    else type(given).__name__
                )
                first = self._blocks[block][0]
                _refuse(first, f"is in block {block!r}, whose first input is {what}, not (N, C, H, W)")
            if self._channels.setdefault(block, given.shape[1]) != given.shape[1]:
                _refuse(self._blocks[block][0], f"is in block {block!r}, which gets different channel counts")
            self._depth[block] += 1

        return entering

    def _leaving(self, block: str) -> Any:
        def leaving(*_: Any) -> None:
            self._depth[block] -= 1

        return leaving

    def _running(self, name: str, block: str) -> Any:
        def running(*_: Any) -> None:
            if self._depth[block] == 0:
                _refuse(name, f"runs outside of its block {block!r}")
            self._ran.add(name)

        return running
