"""What ``--server`` may be."""

import pytest
from autoisp_client import Endpoints
from autoisp_core.errors import InvalidArgumentError


def test_one_address_serves_all():
    endpoints = Endpoints.parse("gateway.example:8080")
    assert endpoints == Endpoints(*["gateway.example:8080"] * 5)


def test_named_addresses_in_any_order():
    endpoints = Endpoints.parse("search=b:2, ingest=[::1]:1,registry=d:4,evaluation=c:3")
    assert endpoints == Endpoints("[::1]:1", "b:2", "c:3", "d:4")


def test_live_evaluation_is_where_evaluation_is_unless_it_has_an_address():
    text = "ingest=a:1,search=b:2,evaluation=c:3,registry=d:4"
    assert Endpoints.parse(text).live == "c:3"
    assert Endpoints.parse(text + ",live=e:5").live == "e:5"


def test_a_file_of_an_earlier_release_has_no_live_address(tmp_path):
    path = tmp_path / "endpoints.json"
    path.write_text('{"ingest": "a:1", "search": "b:2", "evaluation": "c:3", "registry": "d:4"}')
    assert Endpoints.parse(str(path)) == Endpoints("a:1", "b:2", "c:3", "d:4", "c:3")


def test_a_file_comes_back_as_it_was_written(tmp_path):
    endpoints = Endpoints("a:1", "b:2", "c:3", "d:4", "e:5")
    path = tmp_path / "endpoints.json"
    path.write_text(endpoints.to_json())
    assert Endpoints.parse(str(path)) == endpoints


@pytest.mark.parametrize(
    "text",
    [
        "localhost",
        "localhost:0",
        "localhost:99999",
        "localhost:http",
        "http://localhost:80",
        "ingest=a:1",
        "ingest=a:1,search=b:2,evaluation=c:3,registry=d:4,live=nowhere",
        "ingest=a:1,search=b:2,evaluation=c:3,registry=d:4,live=e:5,live=e:5",
        "ingest=a:1,ingest=a:1,search=b:2,evaluation=c:3,registry=d:4",
        "ingest=a:1,search=b:2,evaluation=c:3,registy=d:4",
        "nowhere/endpoints.json",
        "",
    ],
)
def test_anything_else_names_the_field_and_the_fix(text):
    with pytest.raises(InvalidArgumentError, match="HOST:PORT") as caught:
        Endpoints.parse(text)
    assert caught.value.field == "server"


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "endpoints.json"
    path.write_text('{"ingest": "a:1"}')
    with pytest.raises(InvalidArgumentError, match="no endpoints file"):
        Endpoints.parse(str(path))
