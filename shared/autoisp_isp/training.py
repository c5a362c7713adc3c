"""Training of one network: a plain loop that can be watched, stopped, checkpointed and resumed."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec
from torch import Tensor, nn

from autoisp_isp.checkpoint import Checkpoint, copied
from autoisp_isp.design import Design
from autoisp_isp.optimizer import Optimizer
from autoisp_isp.recipe import Recipe, TrainBudget, losses_of
from autoisp_isp.training_set import TrainingSet

_PROGRESS_SECONDS = 1.0
# Weight of the newest step in the loss that is reported.
_LOSS_SHARE = 0.02


class TrainingDivergedError(InvalidArgumentError):
    """The loss is no longer a number; trying the same spec with the same seed again will not help."""

    default_reason = "TRAINING_DIVERGED"

    def __init__(self, step: int, seed: int) -> None:
        super().__init__(
            "trial.spec",
            f"the loss is not finite at step {step} with seed {seed}: use another seed or another spec",
            metadata={"step": str(step), "seed": str(seed)},
        )


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """How far a training is: steps done, seconds trained, running mean of the loss, share of the budget."""

    step: int
    seconds: float
    loss: float
    share: float


@dataclass(frozen=True)
class TrainResult:
    """What a training gives: averaged weights by name, on the CPU, and how they came about.

    `stopped` says whether `should_stop` ended it before its budget did.
    """

    state_dict: dict[str, Tensor]
    steps: int
    seconds: float
    loss: float
    stopped: bool


def train(
    spec: Spec | Design,
    training_set: TrainingSet,
    budget: TrainBudget,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
    *,
    recipe: Recipe | None = None,
    resume_from: Checkpoint | None = None,
    init_from: Mapping[str, Tensor] | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    checkpoint_seconds: float = 20.0,
    should_stop: Callable[[], bool] | None = None,
) -> TrainResult:
    """Trains the network of `spec`; one that is recurrent on short clips, with its loss on their last frame.

    With a budget of steps the result depends on nothing but the arguments: the same seed, threads and device
    give the same bits, also over any number of interruptions.

    Args:
        spec: a valid spec, or another design.
        training_set: gives the batches.
        budget: when to end, counted from the training's first start.
        seed: of weights and batches.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: of torch on the CPU, set for the whole process.
        recipe: hyper-parameters; None: the tuned ones.
        resume_from: an interrupted training of the same spec and seed.
        init_from: weights to start from, of a shorter training of the same spec; ignored when resuming.
        on_progress: called about every second and at the end.
        on_checkpoint: called about every `checkpoint_seconds` with copies that stay as they are.
        should_stop: asked after every step.

    Raises:
        TrainingDivergedError: the loss is not a number.
        InvalidArgumentError: `resume_from` or `init_from` belongs to another spec.
    """
    torch.set_num_threads(threads)
    design = Design.of(spec) if isinstance(spec, Spec) else spec
    run = _Run(design, seed, device, recipe or Recipe(), init_from)
    if resume_from is not None:
        run.restore(resume_from)
    begun = time.monotonic() - run.seconds
    last_progress = last_checkpoint = time.monotonic()
    stopped = False
    while (share := budget.progress(run.step, run.seconds)) < 1.0:
        run.advance(training_set, share)
        now = time.monotonic()
        run.seconds = now - begun
        if on_progress is not None and now - last_progress >= _PROGRESS_SECONDS:
            last_progress = now
            on_progress(run.progress(budget))
        if on_checkpoint is not None and now - last_checkpoint >= checkpoint_seconds:
            last_checkpoint = now
            on_checkpoint(run.checkpoint())
        if should_stop is not None and should_stop():
            stopped = True
            break
    if on_progress is not None:
        on_progress(run.progress(budget))
    averages = {name: value.cpu() for name, value in copied(run.averages).items()}
    return TrainResult(averages, run.step, run.seconds, run.loss, stopped)


class _Run:
    """The state of a training."""

    def __init__(
        self, design: Design, seed: int, device: str, recipe: Recipe, init_from: Mapping[str, Tensor] | None
    ) -> None:
        self._design, self._seed, self._recipe = design, seed, recipe
        self._device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = design.build()
        if init_from is not None:
            _load(network, init_from, "init_from")
        # Channels last saves the convolutions a tenth to a fifth of their time.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._network = network.to(self._device).train()
        self._parameters = dict(self._network.named_parameters())
        self.averages = copied(self._parameters)
        self._optimizer = Optimizer(self._parameters, recipe)
        self.step = 0
        self.seconds = 0.0
        self.loss = math.nan

    def advance(self, training_set: TrainingSet, share: float) -> None:
        """One step."""
        recipe, design = self._recipe, self._design
        batch = training_set.batch(
            self.step,
            seed=self._seed,
            size=recipe.batch,
            patch=recipe.patch,
            frames=design.window(recipe.unroll),
        ).to(self._device)
        raw = batch.raw[:, 0] if design.frames == 1 and not design.recurrent else batch.raw
        losses = losses_of(self._network(raw, batch.gains, batch.ccm, batch.noise), batch.truth)
        loss = losses.mean()
        value = loss.item()
        if not math.isfinite(value):
            raise TrainingDivergedError(self.step, self._seed)
        self._network.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        nn.utils.clip_grad_norm_(self._parameters.values(), recipe.clip_norm)
        self._optimizer.step(self.step, recipe.learning_rate_at(share))
        keep = recipe.ema_at(self.step)
        for name, parameter in self._parameters.items():
            self.averages[name].lerp_(parameter.detach(), 1.0 - keep)
        self.loss = value if math.isnan(self.loss) else self.loss + _LOSS_SHARE * (value - self.loss)
        self.step += 1

    def progress(self, budget: TrainBudget) -> TrainProgress:
        """For the watcher."""
        return TrainProgress(
            self.step, self.seconds, self.loss, min(1.0, budget.progress(self.step, self.seconds))
        )

    def checkpoint(self) -> Checkpoint:
        """A copy of everything that the next steps depend on."""
        return Checkpoint(
            spec_json=self._design.name,
            seed=self._seed,
            step=self.step,
            seconds=self.seconds,
            loss=self.loss,
            weights=copied(self._parameters),
            averages=copied(self.averages),
            first_moment=copied(self._optimizer.first_moment),
            second_moment=copied(self._optimizer.second_moment),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint."""
        if checkpoint.spec_json != self._design.name or checkpoint.seed != self._seed:
            raise InvalidArgumentError("resume_from", "the checkpoint belongs to another spec or seed")
        _load(self._network, checkpoint.weights, "resume_from")
        for mine, theirs in (
            (self.averages, checkpoint.averages),
            (self._optimizer.first_moment, checkpoint.first_moment),
            (self._optimizer.second_moment, checkpoint.second_moment),
        ):
            for name, value in mine.items():
                value.copy_(theirs[name])
        self.step, self.seconds, self.loss = checkpoint.step, checkpoint.seconds, checkpoint.loss


def _load(network: nn.Module, weights: Mapping[str, Tensor], field: str) -> None:
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise InvalidArgumentError(field, f"these weights are of another spec: {error}") from error
