"""Networks in processes of their own: the same pictures, and faults that stay where they are."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from autoisp_core.errors import (
    AutoISPError,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
)
from autoisp_core.spec import Spec
from autoisp_isp.export import export_onnx
from autoisp_isp.isolated import IsolatedNetwork
from autoisp_isp.isolated.room import Room
from autoisp_isp.network import build
from autoisp_isp.prototype import load_prototype
from autoisp_isp.runtime_session import load_session
from autoisp_testing.graphs import allocating, endless, outside, root_of, sized
from onnx.checker import check_model

Array = npt.NDArray[np.float32]

_GAINS, _CCM = np.array([1.9, 1.0, 1.6], np.float32), np.eye(3, dtype=np.float32)
_NOISE = np.array([0.01, 0.0005], np.float32)
_SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8, packing=4, frames=1, recurrent=1)


@pytest.fixture(scope="module")
def recurrent() -> bytes:
    return export_onnx(build(_SPEC))


def raw(seed: int = 0, height: int = 16, width: int = 24, frames: int = 1) -> Array:
    return np.random.default_rng(seed).uniform(0.1, 0.9, (frames, 4, height, width)).astype(np.float32)


def scenes(length: int) -> Iterator[Array]:
    """Two scenes that have nothing in common, some noise on both."""
    draw = np.random.default_rng(1)
    first, second = draw.uniform(0, 0.2, (4, 16, 24)), draw.uniform(0.6, 1.0, (4, 16, 24))
    second[1] *= 0.1
    for frame in range(length):
        scene = first if frame < length // 2 else second
        yield (scene + draw.normal(0, 0.01, scene.shape)).astype(np.float32)[None]


def test_pictures_are_those_of_the_same_graph_in_this_process(recurrent: bytes) -> None:
    here = load_session(recurrent).start()
    without_resets = load_session(recurrent).start(resets=False)
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        there = network.start()
        assert (network.frames, network.recurrent) == (1, True)
        assert network.inputs == ("raw", "gains", "ccm", "noise")
        differs = False
        for index, frame in enumerate(scenes(8)):
            arguments = (frame, _GAINS, _CCM, _NOISE)
            if index == 2:
                there.skip(*arguments)
                here.skip(*arguments)
                without_resets.skip(*arguments)
                continue
            picture, expected = there.run(*arguments), here.run(*arguments)
            assert np.array_equal(picture, expected)
            differs |= not np.array_equal(expected, without_resets.run(*arguments))
        assert differs, "the clip has a cut, which resets the state"
        assert there.seconds > 0
        assert network.load_seconds > 0
        assert network.peak_memory_bytes > 0
        assert network.provider == "CPUExecutionProvider"
        assert network.macs_per_pixel == pytest.approx(network.cost and network.cost.macs_per_pixel)


def test_streams_of_one_network_take_turns(recurrent: bytes) -> None:
    alone = [load_session(recurrent).start() for _ in range(2)]
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        streams = [network.start(), network.start()]
        for turn in range(3):
            for which, stream in enumerate(streams):
                frame = raw(10 * which + turn, 16 + 8 * which)
                expected = alone[which].run(frame, _GAINS, _CCM, _NOISE)
                assert np.array_equal(stream.run(frame, _GAINS, _CCM, _NOISE), expected)


def test_a_whole_window_runs_as_a_stream(recurrent: bytes) -> None:
    window = raw(3, frames=4)
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        assert np.array_equal(
            network.run(window, _GAINS, _CCM, _NOISE),
            load_session(recurrent).run(window, _GAINS, _CCM, _NOISE),
        )


def test_a_frame_that_is_refused_breaks_nothing(recurrent: bytes) -> None:
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        stream = network.start()
        stream.run(raw(), _GAINS, _CCM, _NOISE)
        with pytest.raises(InvalidArgumentError, match="start another stream"):
            stream.run(raw(height=20), _GAINS, _CCM, _NOISE)
        with pytest.raises(InvalidArgumentError, match="must have the shape"):
            stream.run(raw()[:, :3], _GAINS, _CCM, _NOISE)
        assert stream.run(raw(), _GAINS, _CCM, _NOISE).shape == (3, 32, 48)


def test_frames_are_begun_and_finished_in_order() -> None:
    with IsolatedNetwork(root_of(0.5), limit_s=30) as network:
        stream = network.start()
        frame = raw(5)
        stream.begin(frame, _GAINS, _CCM, _NOISE)
        frame[:] = 0.0  # it has gone already
        with pytest.raises(RuntimeError, match="in work"):
            network.start().begin(raw(), _GAINS, _CCM, _NOISE)
        assert stream.finish().max() > 0.1
        with pytest.raises(RuntimeError, match="begin one"):
            stream.finish()


@pytest.mark.parametrize("model", [b"", b"no ONNX at all", bytes(range(256)) * 400])
def test_bytes_that_are_no_graph_are_refused(model: bytes) -> None:
    with pytest.raises(InvalidArgumentError, match="not a valid ONNX model") as caught:
        IsolatedNetwork(model, limit_s=30, field="subjects.onnx")
    assert caught.value.field == "subjects.onnx"


@pytest.mark.parametrize("inside", ["graph", "node", "loop", "function"])
def test_weights_of_other_files_are_refused(tmp_path: Path, monkeypatch: Any, inside: str) -> None:
    """Even of one that is there: it would be read where the server runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(bytes(4))
    with pytest.raises(InvalidArgumentError, match="in another file") as caught:
        IsolatedNetwork(outside("secret.bin", inside), limit_s=30, field="header.subject")
    assert caught.value.field == "header.subject"


def test_the_child_inherits_no_secrets_and_leaves_no_dump(recurrent: bytes, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very secret")
    monkeypatch.setenv("AUTOISP_DATABASE_URL", "postgresql://me:secret@there")
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        folder = Path(f"/proc/{network.pid}")
        names = {line.partition(b"=")[0] for line in (folder / "environ").read_bytes().split(b"\0") if line}
        assert {b"PATH", b"PYTHONPATH"} <= names
        assert not [name for name in names if name.startswith((b"AWS", b"AUTOISP"))]
        (core,) = [line for line in (folder / "limits").read_text().splitlines() if "core file" in line]
        assert core.split()[4:6] == ["0", "0"]


def test_a_stop_that_all_processes_are_told_of_ends_no_child(recurrent: bytes) -> None:
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(network.pid, number)
        assert network.start().run(raw(), _GAINS, _CCM, _NOISE).shape == (3, 32, 48)


def test_what_both_see_can_not_be_shrunk() -> None:
    room = Room.make()
    room.grow(1 << 16)
    with pytest.raises(PermissionError):
        os.ftruncate(room.descriptor, 0)
    room.close()


def test_nothing_stays_open(recurrent: bytes, monkeypatch: Any) -> None:
    def opened() -> set[str]:
        return set(os.listdir("/proc/self/fd"))

    with IsolatedNetwork(recurrent, limit_s=30):
        pass
    before = opened()
    for _ in range(3):
        with IsolatedNetwork(recurrent, limit_s=30) as network:
            network.start().run(raw(), _GAINS, _CCM, _NOISE)
        with pytest.raises(InvalidArgumentError):
            IsolatedNetwork(b"no ONNX at all", limit_s=30)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    for _ in range(3):
        with pytest.raises(ResourceExhaustedError) as caught:
            IsolatedNetwork(recurrent, limit_s=30)
        assert caught.value.reason == "NO_PROCESS"
    assert opened() == before


def test_a_builtin_is_stopped_like_any_graph() -> None:
    here = load_prototype("builtin:classical")
    with IsolatedNetwork("builtin:classical", limit_s=60) as network:
        assert (network.frames, network.cost, network.provider) == (here.frames, None, "")
        window = raw(frames=3)
        picture = network.start().run(window, _GAINS, _CCM, _NOISE)
        assert np.array_equal(picture, here.run(window, _GAINS, _CCM, _NOISE))
    with IsolatedNetwork("builtin:classical", limit_s=0.2) as network:
        begun = time.monotonic()
        with pytest.raises(FailedPreconditionError) as caught:
            network.start().run(raw(height=540, width=960, frames=3), _GAINS, _CCM, _NOISE)
        assert caught.value.reason == "MODEL_TIMED_OUT"
        assert time.monotonic() - begun < 5
    with pytest.raises(InvalidArgumentError, match="builtin:classical") as unknown:
        IsolatedNetwork("builtin:modern", limit_s=30, field="prototype.builtin")
    assert unknown.value.field == "prototype.builtin"


def test_a_graph_that_hangs_is_stopped_and_stays_broken() -> None:
    with IsolatedNetwork(endless(), limit_s=0.5) as network:
        assert network.cost is None
        stream = network.start()
        begun = time.monotonic()
        with pytest.raises(FailedPreconditionError, match=r"within 0\.5 s") as caught:
            stream.run(raw(), _GAINS, _CCM, _NOISE)
        assert time.monotonic() - begun < 5
        assert caught.value.reason == "MODEL_TIMED_OUT"
        with pytest.raises(FailedPreconditionError, match=r"broken.*within") as again:
            network.start().run(raw(), _GAINS, _CCM, _NOISE)
        assert again.value.reason == "MODEL_TIMED_OUT"


def test_loading_has_a_limit_too(recurrent: bytes) -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        IsolatedNetwork(recurrent, limit_s=30, load_limit_s=0.01)
    assert caught.value.reason == "MODEL_TIMED_OUT"


def test_a_graph_that_wants_too_much_memory_is_told_so() -> None:
    with IsolatedNetwork(allocating(4 << 30), limit_s=60, memory_bytes=512 << 20) as network:
        with pytest.raises(FailedPreconditionError) as caught:
            network.start().run(raw(), _GAINS, _CCM, _NOISE)
        assert caught.value.reason == "MODEL_OUT_OF_MEMORY"


def test_a_child_that_is_killed_is_a_crash_that_names_the_signal(recurrent: bytes) -> None:
    with IsolatedNetwork(recurrent, limit_s=30) as network:
        stream = network.start()
        stream.run(raw(), _GAINS, _CCM, _NOISE)
        os.kill(network.pid, signal.SIGKILL)
        with pytest.raises(FailedPreconditionError, match="SIGKILL") as caught:
            stream.run(raw(), _GAINS, _CCM, _NOISE)
        assert caught.value.reason == "MODEL_CRASHED"


def test_a_child_that_is_killed_while_it_works_is_a_crash() -> None:
    with IsolatedNetwork(endless(), limit_s=30) as network:
        stream = network.start()
        stream.begin(raw(), _GAINS, _CCM, _NOISE)
        os.kill(network.pid, signal.SIGSEGV)
        with pytest.raises(FailedPreconditionError, match="SIGSEGV"):
            stream.finish()


def test_whoever_waits_may_give_up() -> None:
    asked: list[bool] = []

    def give_up() -> None:
        if asked:
            raise KeyError("enough")

    with IsolatedNetwork(endless(), limit_s=30, on_wait=give_up) as network:
        asked.append(True)
        with pytest.raises(KeyError, match="enough"):
            network.start().run(raw(), _GAINS, _CCM, _NOISE)
        with pytest.raises(FailedPreconditionError):
            network.start().run(raw(), _GAINS, _CCM, _NOISE)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_a_picture_that_is_no_number_names_its_frame(value: float) -> None:
    with IsolatedNetwork(root_of(value), limit_s=30) as network:
        stream = network.start()
        stream.skip(raw(), _GAINS, _CCM, _NOISE)
        with pytest.raises(FailedPreconditionError, match="frame 1 ") as caught:
            stream.run(raw(), _GAINS, _CCM, _NOISE)
        assert (caught.value.reason, caught.value.metadata["frame"]) == ("OUTPUT_NOT_FINITE", "1")


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="twice that size"):
        IsolatedNetwork(sized(3), limit_s=30)


def test_a_provider_that_is_not_there_is_named(recurrent: bytes) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("it is there")
    with pytest.raises(FailedPreconditionError, match="CUDAExecutionProvider") as caught:
        IsolatedNetwork(recurrent, limit_s=30, provider="cuda")
    assert caught.value.reason == "NO_PROVIDER"
    with pytest.raises(InvalidArgumentError, match="cpu, cuda"):
        IsolatedNetwork(recurrent, limit_s=30, provider="tpu")


def test_a_closed_network_says_so_and_leaves_no_process(recurrent: bytes) -> None:
    network = IsolatedNetwork(recurrent, limit_s=30)
    network.close()
    assert gone(network.pid)
    with pytest.raises(AutoISPError, match="closed"):
        network.start().run(raw(), _GAINS, _CCM, _NOISE)
    network.close()  # again changes nothing


_PARENT = """
import sys, time
from pathlib import Path
from typing import Any
from autoisp_isp.isolated import IsolatedNetwork
from autoisp_isp.isolated.room import Room
import numpy as np
network = IsolatedNetwork(Path(sys.argv[1]).read_bytes(), limit_s=60)
stream = network.start()
if sys.argv[2] == "busy":
    stream.begin(np.zeros((1, 4, 8, 8)), np.ones(3), np.eye(3), np.ones(2))
print(network.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_the_child_goes_with_its_parent_however_that_goes(tmp_path: Path, state: str) -> None:
    model = tmp_path / "endless.onnx"
    model.write_bytes(endless())
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(model), state], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
    assert wait_for(lambda: gone(child))


def gone(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def test_the_graphs_of_these_tests_are_valid_onnx() -> None:
    import onnx

    for model in (endless(), allocating(1 << 20), root_of(1.0), sized(3)):
        check_model(onnx.load_model_from_string(model))
