"""A prototype's lessons: made, kept, mixed into batches, and learned from."""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from autoisp_core.errors import DataLossError, InvalidArgumentError
from autoisp_core.sensor import Noise, builtin
from autoisp_core.spec import Spec
from autoisp_isp.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from autoisp_isp.distillation import FeatureTask, _averaged, taught_losses
from autoisp_isp.execution import Execution
from autoisp_isp.export import export_onnx
from autoisp_isp.feature_tap import TappedNetwork
from autoisp_isp.lessons import Lesson, Lessons, load_lessons, save_lessons
from autoisp_isp.network import build
from autoisp_isp.prototype import load_prototype
from autoisp_isp.recipe import Recipe, TrainBudget, losses_of
from autoisp_isp.taught_set import TaughtSet
from autoisp_isp.teacher import FEWEST, Question, teach
from autoisp_isp.training import TrainResult, train
from autoisp_isp.training_set import Batch, Teaching, TrainingSet
from autoisp_testing.scenes import moving_scene

SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)
PHONE = builtin("phone").with_test_noise(Noise(0.01, 0.0005))
PLAIN = ("raw", "gains", "ccm", "noise", "truth")
RECIPE = Recipe(batch=4, patch=16)
EDGE, MARGIN = 24, 8


@pytest.fixture(scope="module")
def footage() -> TrainingSet:
    return TrainingSet([("a", moving_scene(6, 96, 96))], PHONE)


@pytest.fixture(scope="module")
def prototype() -> bytes:
    torch.manual_seed(7)
    return export_onnx(build(replace(SPEC, width=12, frames=1)))


def asker(footage: TrainingSet, *, real: bool = False) -> Any:
    def ask(number: int) -> Question:
        batch = footage.batch(number, seed=1, size=1, patch=EDGE + 2 * MARGIN, frames=3)
        truth = None if real else batch.truth[0]
        return Question(batch.raw[0], batch.gains[0], batch.ccm[0], batch.noise[0], truth)

    return ask


def lessons_of(footage: TrainingSet, prototype: bytes, tensor: str = "") -> Lessons:
    tap = TappedNetwork(prototype, tensor) if tensor else None
    sources = [asker(footage), asker(footage, real=True)]
    return teach(load_prototype("onnx:p", prototype), sources, 0.0, margin=MARGIN, tap=tap)


def feature_tensor(prototype: bytes) -> str:
    """The features in front of the head."""
    return next(
        node.input[0]
        for node in reversed(onnx.load_from_string(prototype).graph.node)
        if node.op_type == "Conv"
    )


def test_a_few_lessons_of_each_kind_are_made_however_slow_the_prototype(
    footage: TrainingSet, prototype: bytes
) -> None:
    lessons = lessons_of(footage, prototype)
    assert lessons.real.tolist() == [False, True] * FEWEST
    assert lessons.raw.shape == (2 * FEWEST, 3, 4, EDGE, EDGE)
    assert lessons.picture.shape == (2 * FEWEST, 3, 2 * EDGE, 2 * EDGE)
    assert not lessons.truth[lessons.real].any()
    # The same pixels: of what the prototype made of the whole patch, and of the truth.
    question = asker(footage)(0)
    developer = load_prototype("onnx:p", prototype)
    camera = (question.gains.numpy(), question.ccm.numpy(), question.noise.numpy())
    whole = developer.run(question.raw[-1:].numpy(), *camera)
    inner = slice(2 * MARGIN, 2 * (MARGIN + EDGE))
    np.testing.assert_allclose(lessons.picture[0].numpy(), whole[:, inner, inner], atol=1e-3)
    assert question.truth is not None
    torch.testing.assert_close(lessons.truth[0].float(), question.truth[:, inner, inner], atol=1e-3, rtol=0)


def test_teaching_goes_on_while_there_is_time_and_ends_when_asked(
    footage: TrainingSet, prototype: bytes
) -> None:
    class EnoughError(Exception):
        pass

    looks = []

    def look() -> None:
        looks.append(1)
        if len(looks) > 3 * FEWEST:
            raise EnoughError

    developer = load_prototype("onnx:p", prototype)
    with pytest.raises(EnoughError):
        teach(developer, [asker(footage)], 600.0, margin=MARGIN, before_each=look)


def test_a_recurrent_prototype_sees_the_older_frames_first(footage: TrainingSet) -> None:
    torch.manual_seed(0)
    network = build(replace(SPEC, frames=1, recurrent=1))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    data = export_onnx(network)
    question = asker(footage)(0)
    camera = (question.gains.numpy(), question.ccm.numpy(), question.noise.numpy())
    developer = load_prototype("onnx:p", data)
    lessons = teach(developer, [asker(footage)], 0.0, margin=MARGIN)
    stream = developer.run(question.raw.numpy(), *camera)
    alone = developer.run(question.raw[-1:].numpy(), *camera)
    inner = slice(2 * MARGIN, 2 * (MARGIN + EDGE))
    np.testing.assert_allclose(lessons.picture[0].numpy(), stream[:, inner, inner], atol=1e-3)
    assert np.abs(stream - alone).max() > 1e-2


def test_lessons_survive_their_file(footage: TrainingSet, prototype: bytes) -> None:
    lessons = lessons_of(footage, prototype, feature_tensor(prototype))
    again = load_lessons(save_lessons(lessons))
    for name in ("raw", "gains", "ccm", "noise", "picture", "truth", "real", "features"):
        assert torch.equal(getattr(again, name), getattr(lessons, name))
    for data in (b"", b"no lessons", save_lessons(lessons)[:-100]):
        with pytest.raises(DataLossError):
            load_lessons(data)


def test_features_lie_over_the_raw_and_are_standardised(footage: TrainingSet, prototype: bytes) -> None:
    lessons = lessons_of(footage, prototype, feature_tensor(prototype))
    assert lessons.features.shape == (2 * FEWEST, 12, EDGE, EDGE)
    spread = lessons.features.float().std(dim=(0, 2, 3))
    assert torch.all((spread - 1).abs() < 0.02) or not spread.all()
    assert lessons.features.float().mean(dim=(0, 2, 3)).abs().max() < 0.02


def test_a_tensor_that_is_not_there_is_named_with_those_that_are_like_it(
    footage: TrainingSet, prototype: bytes
) -> None:
    name = feature_tensor(prototype)
    with pytest.raises(InvalidArgumentError) as caught:
        lessons_of(footage, prototype, name + "x")
    assert caught.value.field == "search.training.feature_distillation.tensor"
    assert name in caught.value.message


def test_a_tensor_that_is_no_feature_map_is_refused(footage: TrainingSet, prototype: bytes) -> None:
    # What is given for each picture only, such as the noise's strength, says nothing of a place.
    model = onnx.load_from_string(prototype)
    flat = next(node.output[0] for node in model.graph.node if "noise" in node.input)
    with pytest.raises(InvalidArgumentError) as caught:
        lessons_of(footage, prototype, flat)
    assert caught.value.field == "search.training.feature_distillation.tensor"


def test_a_batch_is_a_pure_function_of_its_arguments(footage: TrainingSet, prototype: bytes) -> None:
    taught = TaughtSet(footage, lessons_of(footage, prototype), 0.5)
    for step in range(6):
        one, two = (taught.batch(step, seed=4, size=8, patch=16, frames=3) for _ in range(2))
        assert all(torch.equal(getattr(one, name), getattr(two, name)) for name in PLAIN)
        assert one.teaching is not None
        assert two.teaching is not None
        assert one.teaching.lesson.tolist() == [False] * 6 + [True] * 2
        assert torch.equal(one.teaching.weight, two.teaching.weight)
    other = taught.batch(7, seed=4, size=8, patch=16, frames=3)
    assert not torch.equal(one.raw, other.raw)


def test_lessons_take_the_last_places_and_leave_the_others_alone(
    footage: TrainingSet, prototype: bytes
) -> None:
    batch = TaughtSet(footage, lessons_of(footage, prototype)).batch(3, seed=4, size=8, patch=16, frames=3)
    plain = footage.batch(3, seed=4, size=8, patch=16, frames=3)
    for name in PLAIN:
        mixed, unmixed = getattr(batch, name), getattr(plain, name)
        assert torch.equal(mixed[:6], unmixed[:6])
        assert mixed.shape == unmixed.shape
    assert batch.teaching is not None
    assert not batch.teaching.weight[:6].any()
    assert not torch.equal(batch.raw[6:], plain.raw[6:])


def test_processes_that_share_a_batch_make_the_whole_of_it(footage: TrainingSet, prototype: bytes) -> None:
    class InParts:
        def batch(self, step: int, *, part: slice = slice(None), **options: Any) -> Batch:
            whole = footage.batch(step, **options)
            return Batch(**{name: getattr(whole, name)[part] for name in PLAIN})

    taught = TaughtSet(InParts(), lessons_of(footage, prototype), 0.5, share=0.6)
    options = {"seed": 4, "size": 8, "patch": 16, "frames": 3}
    whole = taught.batch(1, **options)
    for parts in ((slice(0, 4), slice(4, 8)), (slice(0, 2), slice(2, 8))):
        halves = [taught.batch(1, **options, part=part) for part in parts]
        for name in PLAIN:
            joined = torch.cat([getattr(half, name) for half in halves])
            assert torch.equal(joined, getattr(whole, name))
        assert whole.teaching is not None
        lesson = torch.cat([half.teaching.lesson for half in halves if half.teaching])
        assert torch.equal(lesson, whole.teaching.lesson)
        assert {half.teaching.total for half in halves if half.teaching} == {int(lesson.sum())}


def test_patches_may_be_far_smaller_than_lessons(footage: TrainingSet) -> None:
    wide = footage.batch(0, seed=1, size=1, patch=48, frames=2)
    lesson = Lesson(wide.raw[0], wide.gains[0], wide.ccm[0], wide.noise[0], wide.truth[0], wide.truth[0])
    taught = TaughtSet(footage, Lessons.of([lesson]), 0.5, share=0.5)
    for step in range(20):
        batch = taught.batch(step, seed=0, size=4, patch=16, frames=2)
        assert batch.teaching is not None
        assert batch.teaching.features.shape == (4, 0, 1, 1)


def test_the_share_holds_for_any_size_of_a_batch(footage: TrainingSet, prototype: bytes) -> None:
    taught = TaughtSet(footage, lessons_of(footage, prototype), 0.5, share=0.3)
    batches = [taught.batch(step, seed=0, size=2, patch=16, frames=1) for step in range(200)]
    lessons = sum(int(batch.teaching.lesson.sum()) for batch in batches if batch.teaching)
    assert 0.2 < lessons / 400 < 0.4


def test_raw_and_pictures_of_a_lesson_show_the_same_place(footage: TrainingSet) -> None:
    # Each pixel says where it is, in every plane: cut and turned, raw and picture must still agree.
    places = torch.arange(EDGE * EDGE, dtype=torch.float32).reshape(EDGE, EDGE) / EDGE**2
    mosaic = torch.stack([places, places + 0.001, places + 0.002, places + 0.003])
    picture = torch.zeros(2 * EDGE, 2 * EDGE)
    for plane, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
        picture[row::2, column::2] = mosaic[plane]
    lesson = Lesson(
        raw=mosaic[None].expand(3, 4, EDGE, EDGE),
        gains=torch.ones(3),
        ccm=torch.eye(3),
        noise=torch.zeros(2),
        picture=picture.expand(3, -1, -1),
        truth=picture.expand(3, -1, -1),
    )
    lessons = Lessons.of([lesson])
    # As wide as they are, not as narrow as they are kept.
    lessons = replace(lessons, raw=lesson.raw[None], picture=lesson.picture[None], truth=lesson.picture[None])
    taught = TaughtSet(footage, lessons, 1.0, share=1.0)
    batch = taught.batch(0, seed=0, size=16, patch=16, frames=2)
    assert batch.teaching is not None
    for raw, shown, truth in zip(batch.raw, batch.teaching.picture, batch.truth, strict=True):
        for plane, (row, column) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1))):
            assert torch.equal(raw[0, plane], shown[0, row::2, column::2])
        assert torch.equal(shown, truth)
    # Some are turned: then columns run where rows did.
    steps = batch.raw[:, 0, 0, 1, 0] - batch.raw[:, 0, 0, 0, 0]
    assert 0 < int((steps > 1.5 / EDGE**2).sum()) < 16


def test_real_raw_learns_from_the_prototype_alone_and_footage_from_the_truth_alone() -> None:
    torch.manual_seed(0)
    picture, truth, shown = (torch.rand(3, 3, 8, 8) for _ in range(3))
    teaching = Teaching(
        picture=shown,
        weight=torch.tensor([0.0, 0.25, 1.0]),
        features=torch.zeros(3, 0, 1, 1),
        lesson=torch.tensor([False, True, True]),
        total=2,
    )
    against_truth, against_prototype = losses_of(picture, truth), losses_of(picture, shown)
    mixed = taught_losses(against_truth, picture, teaching)
    expected = torch.stack(
        [
            against_truth[0],
            0.75 * against_truth[1] + 0.25 * against_prototype[1],
            against_prototype[2],
        ]
    )
    torch.testing.assert_close(mixed, expected)
    assert taught_losses(against_truth, picture, None) is against_truth


def _train(batches: Any, steps: int, **options: Any) -> TrainResult:
    return train(SPEC, batches, TrainBudget(steps=steps), 3, recipe=RECIPE, **options)


def test_a_network_that_is_taught_comes_nearer_to_its_prototype(
    footage: TrainingSet, prototype: bytes
) -> None:
    lessons = lessons_of(footage, prototype)

    def distance(weights: dict[str, torch.Tensor]) -> float:
        network = build(SPEC)
        network.load_state_dict(weights)
        with torch.no_grad():
            made = network(lessons.raw.float(), lessons.gains, lessons.ccm, lessons.noise)
        return float((made - lessons.picture.float()).square().mean())

    plain = distance(_train(footage, 60).state_dict)
    taught = distance(_train(TaughtSet(footage, lessons, 1.0, share=0.5), 60).state_dict)
    assert taught < 0.8 * plain


def test_features_are_learned_and_resumed_to_the_bit(footage: TrainingSet, prototype: bytes) -> None:
    lessons = lessons_of(footage, prototype, feature_tensor(prototype))
    taught = TaughtSet(footage, lessons, 0.5)
    task = FeatureTask(lessons.channels, 0.5)
    whole = _train(taught, 12, features=task)
    assert set(whole.state_dict) == set(_train(taught, 1).state_dict)
    kept: list[Checkpoint] = []
    _train(taught, 12, features=task, on_checkpoint=kept.append, checkpoint_seconds=0.0)
    halfway = load_checkpoint(save_checkpoint(next(each for each in kept if each.step == 7)))
    assert halfway.adapter
    resumed = _train(taught, 12, features=task, resume_from=halfway)
    assert all(torch.equal(resumed.state_dict[name], value) for name, value in whole.state_dict.items())
    without = _train(taught, 12)
    assert not all(torch.equal(without.state_dict[name], value) for name, value in whole.state_dict.items())
    for other, options in ((replace(halfway, adapter={}), {"features": task}), (halfway, {})):
        with pytest.raises(InvalidArgumentError, match="features") as caught:
            _train(taught, 12, resume_from=other, **options)
        assert caught.value.field == "resume_from"


def test_features_are_learned_in_bfloat16_too(footage: TrainingSet, prototype: bytes) -> None:
    lessons = lessons_of(footage, prototype, feature_tensor(prototype))
    task = FeatureTask(lessons.channels, 0.5)
    ends = [
        _train(TaughtSet(footage, lessons, 0.5), 20, features=task, execution=Execution(precision)).loss
        for precision in ("float32", "bfloat16")
    ]
    assert ends[1] == pytest.approx(ends[0], abs=0.1)


@pytest.mark.parametrize("size", [8, 4, 3])
def test_features_are_averaged_in_a_way_that_repeats_on_any_device(size: int) -> None:
    features = torch.rand(2, 5, 24, 24, requires_grad=True)
    averaged = _averaged(features, size)
    torch.testing.assert_close(averaged, torch.nn.functional.adaptive_avg_pool2d(features, size))
    # The adaptive one has no deterministic gradient on CUDA.
    assert "Adaptive" not in str(averaged.grad_fn)


def test_features_of_sizes_that_do_not_divide_are_averaged_too() -> None:
    assert _averaged(torch.rand(2, 5, 24, 24), 9).shape == (2, 5, 9, 9)


def test_lessons_that_are_too_small_are_refused(footage: TrainingSet, prototype: bytes) -> None:
    taught = TaughtSet(footage, lessons_of(footage, prototype), 0.5)
    for patch, frames in ((EDGE + 1, 3), (16, 4)):
        with pytest.raises(InvalidArgumentError, match="make lessons"):
            taught.batch(0, seed=0, size=4, patch=patch, frames=frames)
    with pytest.raises(InvalidArgumentError) as caught:
        TaughtSet(footage, lessons_of(footage, prototype), 1.5)
    assert caught.value.field == "training.distillation"
