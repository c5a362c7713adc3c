"""What develops a stream's frames, from the artifact store. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autoisp.registry.v1 import registry_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, InvalidArgumentError, NotFoundError
from autoisp_core.names import MODEL_VERSION
from autoisp_core.sensor import SensorProfile
from autoisp_isp.isolated import IsolatedNetwork
from autoisp_isp.prototype import sensor_for
from autoisp_runtime.artifacts import ArtifactStore
from google.protobuf.message import DecodeError

from autoisp_worker.live.domain import LiveSubject


@dataclass(frozen=True)
class OpenSubject:
    """A subject that is ready to develop.

    Args:
        developer: in a process of its own.
        reference: whether it is the prototype. One that can't be told a colour matrix gets none; a network
            without that input has learned the one of its sensor.
    """

    developer: IsolatedNetwork
    reference: bool

    def sensor(self, sensor: SensorProfile) -> SensorProfile:
        """The sensor that the subject works for."""
        return sensor_for(self.developer, sensor) if self.reference else sensor

    def close(self) -> None:
        """Ends its process."""
        self.developer.close()


class Subjects:
    """Opens subjects.

    Args:
        store: where networks are.
        threads: of one subject.
        frame_limit_s: one that takes longer for a frame fails.
        memory_bytes: one that wants more fails.
        model_bytes: a network that is larger is not read.
    """

    def __init__(
        self, store: ArtifactStore, threads: int, *, frame_limit_s: float, memory_bytes: int, model_bytes: int
    ) -> None:
        self._store = store
        self._threads = threads
        self._model_bytes = model_bytes
        self._frame_limit_s = frame_limit_s
        self._memory_bytes = memory_bytes

    def open(self, subject: LiveSubject, on_wait: Callable[[], None]) -> OpenSubject:
        """Make it ready.

        Args:
            on_wait: called now and then while the subject is waited for, here and for each frame; may raise.

        Raises:
            NotFoundError: the store does not have it.
            InvalidArgumentError: it is no graph of the model contract, too large, or no builtin.
            AutoISPError: its process fails.
        """
        name = f"builtin:{subject.builtin}"
        network = IsolatedNetwork(
            name if subject.builtin else self._store.get_bytes(self._artifact(subject)),
            self._threads,
            limit_s=self._frame_limit_s,
            memory_bytes=self._memory_bytes,
            field="header.subject.prototype.builtin" if subject.builtin else "header.subject",
            on_wait=on_wait,
        )
        return OpenSubject(network, subject.prototype)

    def _artifact(self, subject: LiveSubject) -> Artifact:
        wanted = subject.onnx or self._of_version(subject.model_version)
        # By digest: the address that a client gives could be of anything.
        found = self._store.find(wanted.sha256)
        if found is None:
            raise NotFoundError(
                f"artifacts/{wanted.sha256}",
                f"the artifact store has no {wanted.sha256}; upload the network with UploadArtifact first",
                reason="NO_ARTIFACT",
            )
        # Before it is read: what the store has of this digest may be an hour of footage.
        if found.size_bytes > self._model_bytes:
            raise InvalidArgumentError(
                "header.subject",
                f"{wanted.sha256} has {found.size_bytes} bytes, and a network at most {self._model_bytes}, "
                "the server's AUTOISP_MAX_MODEL_BYTES",
                reason="MODEL_TOO_LARGE",
            )
        return found

    def _of_version(self, name: str) -> Artifact:
        _, version = MODEL_VERSION.parse(name, "header.subject.model_version")
        if not version.isdigit():
            raise InvalidArgumentError(
                "header.subject.model_version",
                f"{name} is an alias: give a version by number; GetModelVersion says which one it is",
            )
        data = self._store.get_result(name)
        if data is None:
            raise NotFoundError(
                name,
                f"{name} is not in the artifact store; list the model's versions, and if it is one that an "
                "earlier release registered, give its ONNX artifact instead",
            )
        try:
            message = registry_pb2.ModelVersion.FromString(data)
            return Artifact(message.onnx.uri, message.onnx.sha256, message.onnx.size_bytes)
        except (DecodeError, ValueError) as error:
            raise DataLossError(
                f"what the artifact store has of {name} can't be read ({error}); register the network again",
                reason="ARTIFACT_DAMAGED",
            ) from error
