"""Damaged files of every format: the service answers each one properly, and nothing of it stays.

``make fuzz`` runs many more cases than the suite does: AUTOISP_FUZZ_CASES says how many. A failure prints
the file's name and the list of damages; ``damaged(good(NAME), [...])`` of fuzz_files.py makes the file again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import AutoISPError, ErrorCode
from fuzz_files import FORMATS, HEIGHT, WIDTH, Damage, damaged, damages, good, sidecar
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from ingest_calls import Ingest, running_ingest, tar_of, upload

SUITE_CASES = 240
CASES = int(os.environ.get("AUTOISP_FUZZ_CASES", SUITE_CASES))
MAX_RESIDENT_BYTES = 1 << 30
FUZZ = settings(
    max_examples=max(1, -(-CASES // (len(FORMATS) + 2))),
    # The suite does the same cases each time; a longer run looks elsewhere.
    derandomize=CASES <= SUITE_CASES,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    limits = {"max_frame_side": 512, "max_clip_frames": 40, "max_upload_bytes": 4 << 20, "decode_threads": 1}
    with running_ingest(tmp_path_factory.mktemp("fuzz"), **limits) as running:
        yield running


def check(ingest: Ingest, data: bytes, filename: str, **header: object) -> ingest_pb2.Clip | AutoISPError:
    """Upload it: a good answer of either kind, the service alive and in its bounds, and nothing left."""
    answer: ingest_pb2.Clip | AutoISPError
    try:
        answer = upload(ingest.stub, data, filename, **header)
    except grpc.RpcError as failure:
        answer = from_rpc_error(failure)
        assert answer.code in (ErrorCode.INVALID_ARGUMENT, ErrorCode.RESOURCE_EXHAUSTED), repr(answer)
        assert answer.metadata["field"], repr(answer)
        assert answer.reason, repr(answer)
    else:
        assert ingest.clip_names() == [answer.name]
        assert answer.frame_count >= 1
        assert answer.format.kind
        ingest.stub.DeleteClip(ingest_pb2.DeleteClipRequest(name=answer.name))
    assert ingest.clip_names() == []
    assert ingest.files() == []
    # The most that it ever had: what one case took too much shows in all after it.
    status = Path(f"/proc/{ingest.process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    assert int(peak.split()[1]) * 1024 < MAX_RESIDENT_BYTES, peak
    return answer


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(ingest: Ingest, name: str) -> None:
    whole = check(ingest, good(name), name)
    assert isinstance(whole, ingest_pb2.Clip), str(whole)

    @FUZZ
    @given(changes=damages)
    @example(changes=[Damage("cut off", len(good(name)) // 2, 0)])
    def run(changes: list[Damage]) -> None:
        check(ingest, damaged(good(name), changes), name)

    run()


@pytest.mark.timeout(1800)
def test_lying_headers_and_names(ingest: Ingest) -> None:
    texts = st.text(st.characters(codec="utf-8"), max_size=300)
    suffixes = st.sampled_from(
        ["", ".mp4", ".tar", ".dng", ".raf", ".CR2", ".mkv", ".y4m", ".raw", ".json", "."]
    )
    numbers = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-2, 5_000))

    @FUZZ
    @given(
        name=st.sampled_from(FORMATS),
        filename=st.one_of(st.builds(str.__add__, texts, suffixes), st.sampled_from(FORMATS)),
        header=st.fixed_dictionaries(
            {}, optional={"size_bytes": numbers, "sha256": texts, "display_name": texts}
        ),
    )
    def run(name: str, filename: str, header: dict[str, object]) -> None:
        check(ingest, good(name), filename, **header)

    run()


@pytest.mark.timeout(1800)
def test_strange_sidecars(ingest: Ingest) -> None:
    keys = [
        "width",
        "height",
        "cfa",
        "bit_depth",
        "packing",
        "row_stride",
        "frames",
        "frame_rate",
        "black_level",
    ]
    keys += ["white_level", "gains", "ccm", "noise", "camera", "other"]
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.text(max_size=20),
        st.integers(-(1 << 40), 1 << 40),
        st.sampled_from([WIDTH, HEIGHT, 8, 10, 12, 16, "raw10", "raw12", "raw16", "BGGR", 10**400]),
    )
    values = st.recursive(plain, lambda inner: st.lists(inner, max_size=4), max_leaves=9)
    frame = bytes(WIDTH * HEIGHT * 5 // 4)

    @FUZZ
    @given(changes=st.dictionaries(st.sampled_from(keys), values, min_size=1, max_size=4))
    def run(changes: dict[str, object]) -> None:
        files = {"sidecar.json": sidecar(**changes), **{f"{i}.raw": frame for i in range(4)}}
        check(ingest, tar_of(files), "raw.tar")

    run()


def test_gigantic_sizes(ingest: Ingest) -> None:
    before = psutil.Process(ingest.process.pid).memory_info().rss
    giants = {
        "a.y4m": good("a.y4m").replace(b"W96 H64", b"W100000 H100000"),
        "wide.y4m": good("a.y4m").replace(b"W96", b"W2000000000"),
        "a.dng": good("a.dng").replace(b"\0\1\4\0\1\0\0\0\x60\0", b"\0\1\4\0\1\0\0\0\xff\xff", 1),
        "tiff.tar": good("tiff.tar").replace(b"\x60\0\0\0", b"\xff\xff\xff\x7f"),
        "raw.tar": tar_of({"sidecar.json": sidecar(width=10**9, height=10**9), "0.raw": b"\0" * 100}),
    }
    for name, data in giants.items():
        assert data != good({"wide.y4m": "a.y4m"}.get(name, name))
        assert isinstance(check(ingest, data, name), AutoISPError), name
    assert psutil.Process(ingest.process.pid).memory_info().rss - before < 64 << 20
