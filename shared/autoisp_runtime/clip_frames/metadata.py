"""A clip's ``zarr.json`` documents, by the Zarr v3 specification.

Written here and not by Zarr: for short clips that would take longer than decoding them.
"""

from __future__ import annotations

import json
from typing import Any

from autoisp_runtime.clip_frames.layout import PlaneLayout

_BYTES = {"name": "bytes", "configuration": {"endian": "little"}}
_CHECKSUM = {"name": "crc32c"}


def group_metadata(attributes: dict[str, Any]) -> bytes:
    """Of the clip's group."""
    return _document(node_type="group", attributes=attributes)


def plane_metadata(layout: PlaneLayout, count: int, dtype: str) -> bytes:
    """Of one plane's array with ``count`` frames."""
    sharding = {
        "chunk_shape": layout.chunk,
        "codecs": [_BYTES, _CHECKSUM],
        "index_codecs": [_BYTES, _CHECKSUM],
        "index_location": "end",
    }
    return _array(
        (count, *layout.shape),
        layout.shard,
        dtype,
        [{"name": "sharding_indexed", "configuration": sharding}],
        ("frame", "y", "x", "channel")[: len(layout.chunk)],
    )


def times_metadata(count: int) -> bytes:
    """Of the array of times, which is one chunk of plain values."""
    return _array((count,), (max(1, count),), "int64", [_BYTES, _CHECKSUM], ("frame",))


def _array(
    shape: tuple[int, ...], chunk: tuple[int, ...], dtype: str, codecs: list[Any], names: tuple[str, ...]
) -> bytes:
    return _document(
        node_type="array",
        shape=shape,
        data_type=dtype,
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": chunk}},
        chunk_key_encoding={"name": "default", "configuration": {"separator": "/"}},
        fill_value=0,
        codecs=codecs,
        dimension_names=names,
        attributes={},
    )


def _document(**fields: Any) -> bytes:
    return json.dumps({"zarr_format": 3} | fields, indent=1).encode()
