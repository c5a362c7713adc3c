"""How a training is computed: precision, compilation, determinism, batches made ahead."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor, nn

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Execution:
    """What changes a training's speed and, but for rounding, not its result.

    Attributes:
        precision: of the convolutions; `auto` is bfloat16 on CUDA devices that have it, else float32.
            Weights, their gradients, the loss and the fixed maths of the picture are float32 always.
        compile: whether torch.compile makes kernels for the network first. It takes a C++ compiler on a CPU,
            Triton on CUDA, and up to a minute, so it can pay for long trainings only.
        deterministic: whether only algorithms are used that give the same bits again. On a CPU all do.
        prefetch: whether a thread makes the next batches while this one is trained on; None: on CUDA, where
            the processor waits anyway. On a CPU it takes a core of its own to pay.
    """

    precision: Precision = "auto"
    compile: bool = False
    deterministic: bool = False
    prefetch: bool | None = None

    def prefetches(self, device: torch.device) -> bool:
        """Whether batches are made ahead on this device."""
        return device.type == "cuda" if self.prefetch is None else self.prefetch

    def autocast(self, device: torch.device) -> AbstractContextManager[object]:
        """Around the network: its convolutions compute in the precision.

        Raises:
            InvalidArgumentError: the device has no such numbers.
        """
        if not self._halves(device):
            return nullcontext()
        return torch.autocast(device.type, dtype=torch.bfloat16)

    def compiled(self, network: nn.Module) -> Callable[..., Tensor]:
        """The network as a training calls it."""
        if not self.compile:
            return network
        # Networks share their code, and torch counts the graphs of a piece of code in the whole process:
        # after some eight networks it would compile no more.
        torch._dynamo.reset()
        made: Callable[..., Tensor] = torch.compile(network)
        return made

    def _halves(self, device: torch.device) -> bool:
        if device.type != "cuda":
            return self.precision == "bfloat16"
        known = self.precision != "float32" and torch.cuda.is_bf16_supported(including_emulation=False)
        if self.precision == "bfloat16" and not known:
            raise InvalidArgumentError(
                "execution.precision",
                f"{torch.cuda.get_device_name(device)} has no bfloat16: use float32",
            )
        return known

    @contextmanager
    def determinism(self) -> Iterator[None]:
        """While it lasts, torch computes as `deterministic` says; then as before."""
        if not self.deterministic:
            yield
            return
        # cuBLAS reads this when it is first used; torch refuses to promise anything without.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        cudnn = torch.backends.cudnn
        before = torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark
        torch.use_deterministic_algorithms(True)
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0])
            cudnn.deterministic, cudnn.benchmark = before[1:]
