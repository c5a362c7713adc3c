"""Names, ids and page tokens: what is accepted, what is refused, and what the refusal says."""

import base64
import time

import pytest
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.ids import derived_id, new_id, validate_user_id
from autoisp_core.pagination import MAX_PAGE_SIZE, PageRequest, decode_page_token, encode_page_token
from hypothesis import example, given
from hypothesis import strategies as st

PATTERNS = [
    names.CLIP,
    names.DATASET,
    names.SEARCH,
    names.TRIAL,
    names.EVALUATION,
    names.MODEL,
    names.MODEL_VERSION,
]
segments = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)


@given(st.sampled_from(PATTERNS), st.data())
def test_a_formatted_name_parses_back(pattern: names.Pattern, data: st.DataObject) -> None:
    ids = tuple(data.draw(segments) for _ in pattern.collections)
    assert pattern.parse(pattern.format(*ids)) == ids


@given(st.sampled_from(PATTERNS), st.text(max_size=80))
def test_any_text_is_parsed_or_refused_by_field(pattern: names.Pattern, text: str) -> None:
    ids = pattern.match(text)
    if ids is None:
        with pytest.raises(InvalidArgumentError) as caught:
            pattern.parse(text, "parent")
        assert caught.value.field == "parent"
    else:
        assert pattern.format(*ids) == text


@pytest.mark.parametrize(
    "name",
    ["", "searches", "searches/", "searches/A", "searches/../x", "trials/a", "searches/a/", "searches/a\n"],
)
def test_wrong_names_say_the_right_form(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"searches/\{search\}"):
        names.SEARCH.parse(name)


def test_formatting_an_impossible_id_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        names.trial_name("s-1", "a/b")


def test_new_ids_sort_by_time_and_are_names() -> None:
    first = new_id("s-")
    time.sleep(0.002)
    second = new_id("s-")
    assert first < second
    assert names.SEARCH.parse(f"searches/{first}") == (first,)
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_derived_ids_depend_on_every_part_and_its_border() -> None:
    assert derived_id("a", "b") == derived_id("a", "b")
    assert derived_id("a", "b") != derived_id("ab") != derived_id("", "ab")


@pytest.mark.parametrize("value", ["", "A", "1a", "a" * 64, "a_b", "a/b", "-a", "a\n"])
def test_user_ids_are_checked(value: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        validate_user_id(value, "clip_id")
    assert caught.value.field == "clip_id"


def test_artifacts_refuse_what_is_no_digest() -> None:
    with pytest.raises(ValueError, match="sha256"):
        Artifact("blobs/x", "ABC", 1)
    with pytest.raises(ValueError, match="size"):
        Artifact("blobs/x", "0" * 64, -1)


@given(st.text(), st.text())
def test_page_tokens_come_back(key: str, query: str) -> None:
    assert decode_page_token(encode_page_token(key, query), query) == key


@given(st.text(min_size=1))
@example("M0")  # a number
@example(base64.urlsafe_b64encode(b"[" * 90_000).decode())
def test_foreign_page_tokens_are_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError):
        decode_page_token(token, "q")


def test_page_tokens_belong_to_one_query() -> None:
    with pytest.raises(InvalidArgumentError):
        decode_page_token(encode_page_token("a", "parent=1"), "parent=2")


def test_pages_cover_everything_once() -> None:
    rows = [f"{i:03}" for i in range(25)]
    seen: list[str] = []
    token = ""
    while True:
        request = PageRequest.parse(10, token)
        found = [row for row in rows if request.after is None or row > request.after][: request.size + 1]
        page = request.page(found, key=str)
        seen += page.items
        token = page.next_page_token
        if not token:
            break
    assert seen == rows


def test_page_sizes() -> None:
    assert PageRequest.parse(0, "").size == 50
    assert PageRequest.parse(10**6, "").size == MAX_PAGE_SIZE
    with pytest.raises(InvalidArgumentError):
        PageRequest.parse(-1, "")
