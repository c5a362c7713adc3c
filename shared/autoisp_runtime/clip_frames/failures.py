"""Zarr goes past the artifact store's own errors: what comes out of it is sorted here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from autoisp_core.errors import (
    AutoISPError,
    DataLossError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from obstore.exceptions import BaseError

from autoisp_runtime.artifacts import says_full


@contextmanager
def typed_failures(url: str, uri: str) -> Iterator[None]:
    """Around anything that Zarr does with the clip at ``uri`` in the store ``url``.

    Raises:
        NotFoundError: the frames are not there.
        DataLossError: they are damaged.
        ResourceExhaustedError: the store is full.
        UnavailableError: the store can't be reached.
    """
    try:
        yield
    except AutoISPError:
        raise
    except FileNotFoundError as error:
        clip = clip_of(uri)
        raise NotFoundError(
            clip, f"the frames of {clip} are not in the store; upload it again", reason="CLIP_MISSING"
        ) from error
    except (BaseError, OSError) as error:
        if says_full(error):
            raise ResourceExhaustedError(
                f"the artifact store {url} is full; free space there or point AUTOISP_STORE_URL elsewhere "
                "(nothing of the clip is kept)",
                reason="STORE_FULL",
                metadata={"store": url},
            ) from error
        raise UnavailableError(
            f"the artifact store failed on {uri}: {(str(error) or type(error).__name__).splitlines()[0]}",
            reason="STORE_UNAVAILABLE",
            metadata={"store": url},
        ) from error
    except Exception as error:
        raise unreadable(uri, f"can't be read: {error}; upload it again") from error


def unreadable(uri: str, why: str) -> DataLossError:
    """The frames at ``uri`` are there and are no clip."""
    clip = clip_of(uri)
    return DataLossError(f"the frames of {clip} {why}", reason="CLIP_UNREADABLE", metadata={"clip": clip})


def clip_of(uri: str) -> str:
    """The clip's name.

    >>> clip_of("clips/c0123/4567")
    'clips/c0123'
    """
    return "/".join(uri.split("/")[:2])
