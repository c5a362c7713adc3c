"""The examples in the docstrings run as they stand."""

import doctest

import pytest
from autoisp_cli import arguments
from autoisp_client import aio, client, endpoints, subjects


@pytest.mark.parametrize(
    "module", [aio, client, endpoints, subjects, arguments], ids=lambda module: module.__name__
)
def test_the_examples_of_the_docstrings_run(module):
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
