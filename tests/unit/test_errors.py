"""The error family: one class per code, nothing lost when taken apart and put together again."""

import pickle

import pytest
from autoisp_core.errors import (
    AlreadyExistsError,
    AutoISPError,
    ErrorCode,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
    UnknownError,
    error_classes,
    from_parts,
)


def make(cls: type[AutoISPError]) -> AutoISPError:
    return (
        cls("field_or_resource", "message")
        if cls in (InvalidArgumentError, NotFoundError, AlreadyExistsError)
        else cls("message")
    )  # type: ignore[call-arg]


@pytest.mark.parametrize("cls", error_classes())
def test_parts_rebuild_the_same_class(cls: type[AutoISPError]) -> None:
    error = make(cls)
    rebuilt = from_parts(error.code, error.reason, str(error), error.metadata)
    assert type(rebuilt) is cls
    assert (rebuilt.code, rebuilt.reason, str(rebuilt), rebuilt.metadata) == (
        error.code,
        error.reason,
        "message",
        error.metadata,
    )


@pytest.mark.parametrize("cls", error_classes())
def test_errors_survive_a_process_pool(cls: type[AutoISPError]) -> None:
    error = pickle.loads(pickle.dumps(make(cls)))
    assert type(error) is cls
    assert str(error) == "message"


def test_every_code_has_exactly_one_class() -> None:
    assert sorted(cls.code.value for cls in error_classes()) == [code.value for code in ErrorCode]


def test_invalid_argument_names_the_field_even_if_metadata_says_otherwise() -> None:
    error = InvalidArgumentError("fps", "fps must be above 0", metadata={"field": "x", "limit": "0"})
    assert error.field == "fps"
    assert error.metadata == {"field": "fps", "limit": "0"}


def test_not_found_says_what_to_do() -> None:
    error = NotFoundError("clips/a")
    assert error.resource == "clips/a"
    assert str(error).startswith("clips/a does not exist; list")


def test_parts_without_metadata_still_have_the_promised_keys() -> None:
    error = from_parts(ErrorCode.INVALID_ARGUMENT, "X", "m", {})
    assert isinstance(error, InvalidArgumentError)
    assert error.field == ""


def test_only_some_errors_are_worth_repeating() -> None:
    assert UnavailableError("m").transient
    assert not InvalidArgumentError("f", "m").transient
    assert not UnknownError("m").transient
