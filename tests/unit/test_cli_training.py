"""How networks are trained, on the command line: options to a message, and the message back to words."""

from pathlib import Path

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.tune import identity, training_words
from autoisp_cli.tune.faults import option_of, search_failure
from autoisp_cli.tune.options import TuneOptions
from autoisp_cli.tune.prepare import search_message
from autoisp_cli.views.words import lessons_text
from autoisp_core.errors import InvalidArgumentError

CLASSICAL = prototype_pb2.Prototype(builtin="classical")


def options(**changes) -> TuneOptions:
    return TuneOptions(footage=["a.mp4"], out=Path("report"), reduction=100.0, **changes)


def test_what_is_not_said_is_left_to_the_service():
    message = search_message(options(), CLASSICAL)
    assert not message.HasField("training")
    # So a command from before there were these options still finds its search.
    assert identity.search_id(message) != identity.search_id(search_message(options(distill=0.0), CLASSICAL))


def test_each_option_has_its_field():
    training = options(
        augment="adversarial", distill=0.25, distill_features="/body/Relu:0:0.5", inherit=True
    ).training_message()
    assert training == search_pb2.Training(
        augmentation=search_pb2.AUGMENTATION_ADVERSARIAL,
        distillation=0.25,
        feature_distillation=search_pb2.FeatureDistillation(tensor="/body/Relu:0", weight=0.5),
        inherit_weights=True,
    )
    none = options(distill=0.0).training_message()
    assert none.HasField("distillation")
    refused = options(inherit=False).training_message()
    assert refused.HasField("inherit_weights")
    assert not refused.HasField("distillation")


def test_choices_say_what_was_chosen_and_by_whom():
    search = search_pb2.Search(
        training=search_pb2.Training(
            augmentation=search_pb2.AUGMENTATION_RANDOM,
            distillation=0.5,
            feature_distillation=search_pb2.FeatureDistillation(tensor="relu", weight=0.1),
        )
    )
    told = {choice.name: choice for choice in training_words.choices(options(distill=0.5), search)}
    assert told["Augmentation"].value == "random camera operations"
    assert (told["Augmentation"].why, told["Augmentation"].option) == ("the default", "--augment")
    assert told["Distillation"].why == ""
    assert "0.5" in told["Distillation"].value
    assert told["Features"].value == "relu, weight 0.1"
    assert told["First weights"].value == "random"
    search.training.inherit_weights = True
    search.training.distillation = 0.0
    summary = training_words.summary(search.training)
    assert "no distillation" in summary
    assert "inherited" in summary
    search.training.ClearField("distillation")
    assert "real raw" in training_words.summary(search.training)


def test_lessons_in_words():
    profile = prototype_pb2.PrototypeProfile()
    assert lessons_text(profile) == ""
    profile.lessons.count, profile.lessons.seconds = 120, 29.0
    assert lessons_text(profile) == "120 lessons, in 29 s"
    profile.lessons.real = 40
    assert lessons_text(profile) == "120 lessons, 40 of real raw, in 29 s"


@pytest.mark.parametrize(
    ("field", "option"),
    [
        ("search.training.distillation", "--distill"),
        ("search.training.feature_distillation.weight", "--distill-features"),
        ("search.training.augmentation", "--augment"),
        ("search.training.inherit_weights", "--inherit"),
    ],
)
def test_a_refused_field_is_named_by_its_option(field, option):
    assert option_of(field) == option


def test_features_that_the_prototype_lacks_are_the_options_fault():
    failure = common_pb2.Failure(reason="NO_FEATURES", message="the prototype has no tensor 'x' inside")
    error = search_failure("searches/s", failure, before_trials=True)
    assert isinstance(error, InvalidArgumentError)
    assert error.field == "--distill-features"
