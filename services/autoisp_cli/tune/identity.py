"""Ids made from what is asked, so that the same command finds its own unfinished work again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.search.v1 import search_pb2

_DIGITS = 12


def dataset_id(parts: Sequence[ingest_pb2.DatasetClip]) -> str:
    """The id of the dataset of these clips and ranges; clips are named by their content."""
    return f"data-{_digest([[p.clip, p.split, p.first_frame, p.end_frame] for p in parts])}"


def search_id(search: search_pb2.Search, attempt: int = 1) -> str:
    """The id of the search for these inputs; later attempts follow one that failed or was cancelled.

    How many trials run at once is left out: more workers may go on with what fewer began.
    """
    wanted = search_pb2.Search()
    wanted.CopyFrom(search)
    wanted.ClearField("max_parallel_trials")
    wanted.ClearField("display_name")
    # A map-free message of scalars and lists: its deterministic bytes are the same in every run.
    text = wanted.SerializeToString(deterministic=True).hex()
    identity = f"tune-{_digest(text)}"
    return identity if attempt == 1 else f"{identity}-{attempt}"


def evaluation_id(evaluation: evaluation_pb2.Evaluation, attempt: int = 1) -> str:
    """The id of the evaluation of these subjects on these frames; later attempts judge once more."""
    identity = f"eval-{_digest(evaluation.SerializeToString(deterministic=True).hex())}"
    return identity if attempt == 1 else f"{identity}-{attempt}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:_DIGITS]
