"""Training of one network: a plain loop that can be watched, stopped, checkpointed and resumed."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec
from torch import Tensor, nn

from autoisp_isp.augment.augmenter import Augmenter, PolicyReport, of_another_augmentation
from autoisp_isp.augment.factory import augmenter_for
from autoisp_isp.checkpoint import Checkpoint, copied
from autoisp_isp.design import Design
from autoisp_isp.distillation import FeatureLearner, FeatureTask, taught_losses
from autoisp_isp.execution import Execution
from autoisp_isp.loss_watch import LossWatch
from autoisp_isp.loss_watch import TrainingDivergedError as TrainingDivergedError
from autoisp_isp.optimizer import Optimizer
from autoisp_isp.parallel import ALONE, Parallel
from autoisp_isp.prefetch import AHEAD, Prefetcher
from autoisp_isp.recipe import Recipe, TrainBudget, losses_of
from autoisp_isp.taught_set import Batches
from autoisp_isp.training_set import Batch

_PROGRESS_SECONDS = 1.0
# To read a loss is to wait for the device, and takes its time on a CPU too.
_STEPS_UNREAD = 16


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """How far a training is: steps done, seconds trained, running mean of the loss, share of the budget.

    `policy` is the newest report of an adversarial augmentation's policy; None of other trainings.
    """

    step: int
    seconds: float
    loss: float
    share: float
    policy: PolicyReport | None = None


@dataclass(frozen=True)
class TrainResult:
    """What a training gives: averaged weights by name, on the CPU, and how they came about.

    `stopped` says whether `should_stop` ended it before its budget did; `policy` is the last report of an
    adversarial augmentation's policy, None of other trainings.
    """

    state_dict: dict[str, Tensor]
    steps: int
    seconds: float
    loss: float
    stopped: bool
    policy: PolicyReport | None = None


def train(
    spec: Spec | Design,
    training_set: Batches,
    budget: TrainBudget,
    seed: int,
    device: str = "cpu",
    threads: int = 1,
    *,
    recipe: Recipe | None = None,
    execution: Execution | None = None,
    parallel: Parallel = ALONE,
    resume_from: Checkpoint | None = None,
    init_from: Mapping[str, Tensor] | None = None,
    features: FeatureTask | None = None,
    on_progress: Callable[[TrainProgress], None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    checkpoint_seconds: float = 20.0,
    should_stop: Callable[[], bool] | None = None,
) -> TrainResult:
    """Trains the network of `spec`; one that is recurrent on short clips, with its loss on their last frame.

    With a budget of steps the result depends on nothing but the arguments: the same seed, threads and device
    give the same bits, also over any number of interruptions; on CUDA if `execution` is deterministic.

    Args:
        spec: a valid spec, or another design.
        training_set: gives the batches.
        budget: when to end, counted from the training's first start.
        seed: of weights and batches.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: of torch on the CPU, set for the whole process.
        recipe: hyper-parameters and augmentation; None: the tuned ones, and none.
        execution: precision, compilation, determinism; None: the usual ones of the device.
        parallel: the processes that train this network together, each of which calls this with the same other
            arguments but the device; the callbacks and the clock of the first one count.
        resume_from: an interrupted training of the same spec and seed.
        init_from: weights to start from, of a shorter training of the same spec, or those that
            :func:`autoisp_isp.inherit.inherited_weights` gives; ignored when resuming.
        features: learn a prototype's features too, which the batches must have then.
        on_progress: called about every second and at the end.
        on_checkpoint: called about every `checkpoint_seconds` with copies that stay as they are.
        should_stop: asked after every step.

    Raises:
        TrainingDivergedError: the loss is not a number.
        InvalidArgumentError: `resume_from` or `init_from` belongs to another spec, or `resume_from` to
            another augmentation or other features; the device lacks what `execution` asks for, or the batch
            can't be shared by the processes.
    """
    torch.set_num_threads(threads)
    design = Design.of(spec) if isinstance(spec, Spec) else spec
    recipe, execution = recipe or Recipe(), execution or Execution()
    with ExitStack() as stack:
        stack.enter_context(execution.determinism())
        operations = training_set.operations(design.window(recipe.unroll))
        augmenter = augmenter_for(recipe.augmentation, operations, seed)
        run = _Run(design, seed, device, recipe, execution, parallel, init_from, augmenter, features)
        if resume_from is not None:
            run.restore(resume_from)
        batches = run.batches(training_set)
        if execution.prefetches(torch.device(device)):
            # An augmenter that learns knows its choices for so many steps only.
            ahead = AHEAD if augmenter is None else min(AHEAD, recipe.augmentation.every)
            batches = stack.enter_context(Prefetcher(batches, run.step, ahead))
        now = last_progress = last_checkpoint = time.monotonic()
        begun, stop = now - run.seconds, False
        while True:
            # To tell or to keep anything is to read the losses, and one that is no number must end all
            # processes at the same step: so they agree on that too.
            share, (stopped, telling, keeping) = parallel.agreed(
                budget.progress(run.step, run.seconds),
                stop,
                on_progress is not None and now - last_progress >= _PROGRESS_SECONDS,
                on_checkpoint is not None and now - last_checkpoint >= checkpoint_seconds,
            )
            if share >= 1.0 or stopped:
                break
            run.advance(batches(run.step), share)
            now = time.monotonic()
            run.seconds = now - begun
            if telling or keeping:
                run.watch.check()
            if telling:
                last_progress = now
                if on_progress is not None:
                    on_progress(run.progress(budget))
            if keeping:
                last_checkpoint = now
                if on_checkpoint is not None:
                    on_checkpoint(run.checkpoint())
            stop = should_stop is not None and should_stop()
        progress = run.progress(budget)
        if on_progress is not None:
            on_progress(progress)
        averages = {name: value.cpu() for name, value in copied(run.averages).items()}
        return TrainResult(averages, run.step, run.seconds, progress.loss, stopped, run.policy)


class _Run:
    """The state of a training."""

    def __init__(
        self,
        design: Design,
        seed: int,
        device: str,
        recipe: Recipe,
        execution: Execution,
        parallel: Parallel,
        init_from: Mapping[str, Tensor] | None,
        augmenter: Augmenter | None,
        features: FeatureTask | None,
    ) -> None:
        self._design, self._seed, self._recipe, self._augmenter = design, seed, recipe, augmenter
        self._execution, self._parallel = execution, parallel
        self._device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = design.build()
            learner = FeatureLearner(network, design.width, features, recipe) if features else None
        if init_from is not None:
            _load(network, init_from, "init_from")
        # Channels last saves the convolutions a tenth to a fifth of their time.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self._network = network.to(self._device).train()
        self._forward = execution.compiled(self._network)
        self._parameters = dict(self._network.named_parameters())
        self._learner = learner.to(self._device) if learner else None
        self.averages = copied(self._parameters)
        self._averaged: tuple[list[Tensor], list[Tensor]] = (
            list(self.averages.values()),
            list(self._parameters.values()),
        )
        self._optimizer = Optimizer(self._parameters, recipe)
        self.watch = LossWatch(seed, _STEPS_UNREAD)
        self.step = 0
        self.seconds = 0.0

    @property
    def policy(self) -> PolicyReport | None:
        """The newest report of the augmentation's policy, if it has one."""
        return None if self._augmenter is None else self._augmenter.report

    def batches(self, training_set: Batches) -> Callable[[int], Batch]:
        """Gives the batch of a step, or this process's part of it, on the device."""
        recipe, parallel, augmenter = self._recipe, self._parallel, self._augmenter
        frames = self._design.window(recipe.unroll)
        part = parallel.part(recipe.batch)

        def batch(step: int) -> Batch:
            made = training_set.batch(
                step,
                seed=self._seed,
                size=recipe.batch,
                patch=recipe.patch,
                frames=frames,
                choices=None if augmenter is None else augmenter.choices(step, recipe.batch),
                part=part,
            )
            return made.to(self._device)

        return batch

    def advance(self, batch: Batch, share: float) -> None:
        """One step."""
        recipe, design = self._recipe, self._design
        raw = batch.raw[:, 0] if design.frames == 1 and not design.recurrent else batch.raw
        with self._execution.autocast(self._device):
            picture = self._forward(raw, batch.gains, batch.ccm, batch.noise)
        losses = taught_losses(losses_of(picture, batch.truth), picture, batch.teaching)
        if self._learner is not None and batch.teaching is not None:
            losses = losses + self._learner.losses(batch.teaching)
        loss = losses.mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        self._parallel.average(told := loss.detach())
        self.watch.add(self.step, told)
        rate = recipe.learning_rate_at(share)
        self._optimizer.step(self.step, rate, self._parallel.average)
        if self._learner is not None:
            self._learner.step(self.step, rate, self._parallel.average)
        with torch.no_grad():
            torch._foreach_lerp_(*self._averaged, 1.0 - recipe.ema_at(self.step))
        self._learn(losses.detach(), batch)
        self.step += 1

    def _learn(self, losses: Tensor, batch: Batch) -> None:
        """Tells whoever chose the augmentation what came of it, for the whole batch in every process."""
        augmenter, parallel = self._augmenter, self._parallel
        if augmenter is None or not augmenter.learns or batch.choices is None or batch.content is None:
            return
        choices, content = batch.choices, batch.content
        if parallel.count > 1:
            losses, content = map(parallel.gathered, (losses, content))
            choices = augmenter.choices(self.step, self._recipe.batch)
        if batch.teaching is not None:
            # Nothing was done to lessons, and how hard they are says nothing of what was done to others.
            others = slice(len(choices) - batch.teaching.total)
            losses, content, choices = losses[others], content[others], choices.part(others)
        if (self.step + 1) % self._recipe.augmentation.every == 0:
            # Losses are read at the end of a round anyway; what is no number must not get into the policy.
            self.watch.check()
        augmenter.learn(self.step, losses, choices, content)

    def progress(self, budget: TrainBudget) -> TrainProgress:
        """For the watcher."""
        self.watch.check()
        share = min(1.0, budget.progress(self.step, self.seconds))
        return TrainProgress(self.step, self.seconds, self.watch.mean, share, self.policy)

    def checkpoint(self) -> Checkpoint:
        """A copy of everything that the next steps depend on."""
        self.watch.check()
        return Checkpoint(
            spec_json=self._design.name,
            seed=self._seed,
            step=self.step,
            seconds=self.seconds,
            loss=self.watch.mean,
            weights=copied(self._parameters),
            averages=copied(self.averages),
            first_moment=copied(self._optimizer.first_moment),
            second_moment=copied(self._optimizer.second_moment),
            augmenter={} if self._augmenter is None else self._augmenter.state(),
            adapter=copied(self._learner.state()) if self._learner else {},
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes on from a checkpoint."""
        if checkpoint.spec_json != self._design.name or checkpoint.seed != self._seed:
            raise InvalidArgumentError("resume_from", "the checkpoint belongs to another spec or seed")
        _load(self._network, checkpoint.weights, "resume_from")
        if self._augmenter is not None:
            self._augmenter.restore(checkpoint.augmenter)
        elif checkpoint.augmenter:
            raise of_another_augmentation("it holds a policy, and augmentation is off")
        for mine, theirs in (
            (self.averages, checkpoint.averages),
            (self._optimizer.first_moment, checkpoint.first_moment),
            (self._optimizer.second_moment, checkpoint.second_moment),
        ):
            for name, value in mine.items():
                value.copy_(theirs[name])
        if self._learner is not None:
            self._learner.restore(checkpoint.adapter)
        elif checkpoint.adapter:
            raise InvalidArgumentError(
                "resume_from", "the checkpoint learns features, and feature distillation is off: train anew"
            )
        self.step, self.seconds = checkpoint.step, checkpoint.seconds
        self.watch.mean = checkpoint.loss


def _load(network: nn.Module, weights: Mapping[str, Tensor], field: str) -> None:
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise InvalidArgumentError(field, f"these weights are of another spec: {error}") from error
