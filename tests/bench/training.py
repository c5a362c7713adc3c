"""What the training loop costs: its patches per second against the bare forward and backward pass.

Usage: python tests/bench/training.py [--device cuda] [--threads N] [--steps N] [--repeats N]

Bare is the same network on the same device, as large a batch, always the same one, and a mean squared error:
no batch is made, nothing is clipped, stepped or averaged, nobody watches. Both take turns, so that a busy
neighbour slows both. On a CPU the ratio is of processor time, on a GPU of wall time. `parts` says where the
rest of a step goes, in milliseconds of one thread each.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch
from autoisp_core.spec import LayerType, Spec
from autoisp_core.spec.blocks import chain
from autoisp_isp.design import Design
from autoisp_isp.execution import Execution
from autoisp_isp.optimizer import Optimizer
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.training import train
from autoisp_isp.training_set import EPOCH, Batch, TrainingSet
from autoisp_testing.scenes import moving_scene
from hand_made import SENSOR, hand_made
from record import record, spread

_SMALL = Spec(chain([(LayerType.CONV, 3)] * 2), 12, packing=4, head_kernel=1)


@dataclass(frozen=True)
class Bench:
    """One network in its loop and out of it."""

    design: Design
    footage: TrainingSet
    recipe: Recipe
    execution: Execution
    device: str
    threads: int

    def clock(self) -> float:
        """Seconds of what is scarce on the device."""
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def batch(self, step: int) -> Batch:
        """What the loop trains on at a step."""
        frames, recipe = self.design.window(self.recipe.unroll), self.recipe
        return self.footage.batch(step, seed=1, size=recipe.batch, patch=recipe.patch, frames=frames)

    def network(self) -> torch.nn.Module:
        """As the loop builds it."""
        network = self.design.build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network.to(self.device).train()  # type: ignore[no-any-return]

    def bare(self, steps: int) -> float:
        """Seconds of one forward and backward pass."""
        network, batch = self.network(), self.batch(0).to(torch.device(self.device))
        raw = batch.raw[:, 0] if self.design.frames == 1 and not self.design.recurrent else batch.raw
        parameters = list(network.parameters())
        forward = torch.compile(network) if self.execution.compile else network

        def once() -> None:
            for parameter in parameters:
                parameter.grad = None
            with self.execution.autocast(torch.device(self.device)):
                picture = forward(raw, batch.gains, batch.ccm, batch.noise)
            (picture - batch.truth).square().mean().backward()  # type: ignore[no-untyped-call]

        return self._seconds_of(once, steps)

    def loop(self, steps: int) -> float:
        """Seconds of one step of the training loop, as the worker runs it."""
        done, begun = 0, 0.0

        def watch() -> bool:  # asked after every step; those of the first epoch warm up
            nonlocal done, begun
            done += 1
            if done == EPOCH:
                begun = self.clock()
            return False

        train(
            self.design,
            self.footage,
            TrainBudget(steps=EPOCH + steps),
            1,
            self.device,
            self.threads,
            recipe=self.recipe,
            execution=self.execution,
            on_progress=lambda progress: None,
            should_stop=watch,
        )
        return (self.clock() - begun) / steps

    def parts(self, steps: int) -> dict[str, float]:
        """Milliseconds of a step's parts beside the network, each measured alone."""
        parameters = dict(self.network().named_parameters())
        optimizer = Optimizer(parameters, self.recipe)
        gradients = [torch.randn_like(parameter) for parameter in parameters.values()]
        averages = [parameter.detach().clone() for parameter in parameters.values()]

        def update() -> None:
            for parameter, gradient in zip(parameters.values(), gradients, strict=True):
                parameter.grad = gradient
            optimizer.step(5, 1e-6)

        def average() -> None:
            with torch.no_grad():
                torch._foreach_lerp_(averages, list(parameters.values()), 0.01)

        steps = -(-steps // EPOCH) * EPOCH
        places = iter(range(10 * steps))
        return {
            "batch_ms": 1e3 * self._seconds_of(lambda: self.batch(next(places)), steps, warm=EPOCH),
            "clip_and_step_ms": 1e3 * self._seconds_of(update, steps),
            "average_ms": 1e3 * self._seconds_of(average, steps),
        }

    def _seconds_of(self, call: Callable[[], object], count: int, warm: int = 10) -> float:
        for _ in range(warm):
            call()
        begun = self.clock()
        for _ in range(count):
            call()
        return (self.clock() - begun) / count


def measure(bench: Bench, steps: int, repeats: int) -> dict[str, Any]:
    """Patches per second of both, and their ratio."""
    bare, loop = [], []
    for _ in range(repeats):
        bare.append(bench.bare(steps))
        loop.append(bench.loop(steps))
    size = bench.recipe.batch
    return {
        "bare_patches_per_second": spread([round(size / seconds, 1) for seconds in bare]),
        "loop_patches_per_second": spread([round(size / seconds, 1) for seconds in loop]),
        "percent_of_bare": spread(
            [round(100 * one / other, 1) for one, other in zip(bare, loop, strict=True)]
        ),
        "parts": {name: round(value, 3) for name, value in bench.parts(steps).items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--batch", type=int, default=Recipe().batch)
    parser.add_argument("--steps", type=int, default=8 * EPOCH)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="networks; all if not given")
    parser.add_argument("--name", default="training", help="of the result")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    load = os.getloadavg()[0]
    clips = [(str(seed), moving_scene(24, 272, 480, seed=seed)) for seed in range(3)]
    footage = TrainingSet(clips, SENSOR, options.device)
    execution = Execution(options.precision, options.compile)
    recipe = replace(Recipe(), batch=options.batch)
    networks = {**hand_made(), "small": Design.of(_SMALL)}
    figures = {
        name: measure(
            Bench(design, footage, recipe, execution, options.device, options.threads),
            options.steps,
            options.repeats,
        )
        for name, design in networks.items()
        if not options.only or name in options.only
    }
    setting = {**vars(options), "load_average_before": round(load, 2)}
    if options.device != "cpu":
        setting["device_name"] = torch.cuda.get_device_name(options.device)
    record(options.name, {"setting": setting, "networks": figures})


if __name__ == "__main__":
    main()
