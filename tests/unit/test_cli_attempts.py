"""Which search a repeated command goes on with, and where the judgement of a search is found."""

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2
from autoisp_cli.tune import identity
from autoisp_cli.tune.collect import evaluation_of, find_evaluation
from autoisp_cli.tune.prepare import start_search
from autoisp_core.errors import InternalError, NotFoundError

WANTED = search_pb2.Search(dataset="datasets/d", seed=3)
FIRST, SECOND = (f"searches/{identity.search_id(WANTED, attempt)}" for attempt in (1, 2))
BEST = f"{FIRST}/trials/best"
RUNNING, SUCCEEDED, FAILED = (
    evaluation_pb2.EvaluationState.Value(f"EVALUATION_STATE_{state}")
    for state in ("RUNNING", "SUCCEEDED", "FAILED")
)


def searched(state):
    return search_pb2.Search(name=FIRST, state=state, best_trial=BEST)


def judged(state, name="evaluations/other", trial=BEST):
    failure = common_pb2.Failure(reason="CLIP_MISSING", message="gone") if state == FAILED else None
    return evaluation_pb2.Evaluation(name=name, search=FIRST, trial=trial, state=state, failure=failure)


class Services:
    """A client of services that hold one search and some evaluations."""

    def __init__(self, search, *evaluations):
        self.search, self.evaluations = search, evaluations

    def get_search(self, name):
        if name != self.search.name:
            raise NotFoundError(name)
        return self.search

    def validate_search(self, search, *, search_id):
        return search

    def create_search(self, search, *, search_id, request_id):
        return search_pb2.Search(name=f"searches/{search_id}")

    def list_evaluations(self, *, search):
        return iter([evaluation for evaluation in self.evaluations if evaluation.search == search])

    def watch_evaluation(self, name):
        return iter([evaluation for evaluation in self.evaluations if evaluation.name == name])


class Silent:
    """A view that shows nothing."""

    def evaluation(self, evaluation):
        pass


def nothing_is_wrong():
    pass


@pytest.mark.parametrize(
    ("state", "evaluations", "name", "resumed"),
    [
        (search_pb2.SEARCH_STATE_RUNNING, [], FIRST, True),
        (search_pb2.SEARCH_STATE_FAILED, [], SECOND, False),
        (search_pb2.SEARCH_STATE_CANCELLED, [], SECOND, False),
        (search_pb2.SEARCH_STATE_SUCCEEDED, [], FIRST, True),
        (search_pb2.SEARCH_STATE_SUCCEEDED, [judged(RUNNING)], FIRST, True),
        (search_pb2.SEARCH_STATE_SUCCEEDED, [judged(SUCCEEDED)], FIRST, True),
        (search_pb2.SEARCH_STATE_SUCCEEDED, [judged(FAILED)], SECOND, False),
        (search_pb2.SEARCH_STATE_SUCCEEDED, [judged(FAILED, trial=""), judged(RUNNING)], FIRST, True),
    ],
)
def test_what_can_come_to_nothing_any_more_is_begun_again(state, evaluations, name, resumed):
    search, again = start_search(Services(searched(state), *evaluations), WANTED)
    assert (search.name, again) == (name, resumed)


def test_the_evaluation_is_found_by_its_search_whatever_its_name():
    search = searched(search_pb2.SEARCH_STATE_SUCCEEDED)
    taken = judged(SUCCEEDED, "evaluations/taken", trial="")
    services = Services(search, taken, judged(SUCCEEDED))
    assert evaluation_of(services, search, Silent(), nothing_is_wrong).name == "evaluations/other"
    assert find_evaluation(Services(search, taken), search) is None


def test_a_failed_evaluation_says_why_and_what_to_do():
    search = searched(search_pb2.SEARCH_STATE_SUCCEEDED)
    with pytest.raises(InternalError, match="CLIP_MISSING: gone; run the command again"):
        evaluation_of(Services(search, judged(FAILED)), search, Silent(), nothing_is_wrong)
