"""Tiny footage in an artifact store, and the commands that are about it, for the worker's tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.spec import Spec
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipWriter
from autoisp_testing.scenes import moving_scene

SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8, packing=4, frames=3)
RECURRENT = replace(SPEC, frames=1, recurrent=1)
SENSOR = common_pb2.Sensor(builtin="phone", test_noise=common_pb2.Noise(shot=0.01, read=0.0005))
ONNX_FORMATS = ("onnx-fp32", "onnx-fp16", "onnx-int8")
CLASSICAL = prototype_pb2.Prototype(builtin="classical")

_SPLITS = {"a": ingest_pb2.SPLIT_TRAIN, "b": ingest_pb2.SPLIT_VALIDATION, "c": ingest_pb2.SPLIT_TEST}


@dataclass(frozen=True)
class Footage:
    """A dataset of three clips, one for each split, as ingest would leave it."""

    store: ArtifactStore
    entries: dict[str, ingest_pb2.DatasetManifest.Entry]
    manifest: common_pb2.Artifact

    @classmethod
    def make(cls, folder: Path, *, frames: int = 6, height: int = 64, width: int = 96) -> Footage:
        """Write it into a store in ``folder``."""
        store = ArtifactStore(str(folder))
        entries = {}
        for seed, (clip_id, split) in enumerate(_SPLITS.items()):
            pixels = moving_scene(frames, height, width, seed=seed)
            uri = f"clips/{clip_id}/frames"
            with ClipWriter(store, uri, FrameFormat(FrameKind.RGB, 8, width, height)) as writer:
                for frame in pixels:
                    writer.append((frame,), 0)
            clip = ingest_pb2.Clip(
                name=f"clips/{clip_id}",
                display_name=clip_id,
                width=width,
                height=height,
                frame_count=frames,
                source_sha256=f"{seed:064x}",
                frames_uri=uri,
            )
            entries[clip_id] = ingest_pb2.DatasetManifest.Entry(
                clip=clip, split=split, first_frame=0, end_frame=frames
            )
        manifest = ingest_pb2.DatasetManifest(dataset="datasets/d", entries=entries.values())
        return cls(store, entries, reference(store.put_bytes(manifest.SerializeToString())))

    def only_test(self) -> common_pb2.Artifact:
        """The manifest of a dataset with nothing but the test clip."""
        return self._manifest("c")

    def everything(self) -> common_pb2.Artifact:
        """The manifest of the clips as they are now."""
        return self._manifest(*self.entries)

    def _manifest(self, *clips: str) -> common_pb2.Artifact:
        entries = [self.entries[clip] for clip in clips]
        manifest = ingest_pb2.DatasetManifest(dataset="datasets/e", entries=entries)
        return reference(self.store.put_bytes(manifest.SerializeToString()))

    def trial(self, trial_id: str = "r0-0000", **changes: object) -> commands_pb2.RunTrial:
        """A command of 20 steps; ``changes`` replace fields."""
        fields: dict[str, object] = {
            "trial": f"searches/s/trials/{trial_id}",
            "spec": SPEC.to_json(),
            "manifest": self.manifest,
            "sensor": SENSOR,
            "fidelity": search_pb2.Rung(steps=20),
            "seed": 1,
            "validation_seed": 2,
            "validation_frames_per_clip": 2,
        }
        return commands_pb2.RunTrial(**(fields | changes))  # type: ignore[arg-type]

    def profile(self, prototype: prototype_pb2.Prototype = CLASSICAL) -> commands_pb2.ProfilePrototype:
        """A command about ``prototype``."""
        return commands_pb2.ProfilePrototype(
            search="searches/s",
            prototype=prototype,
            manifest=self.manifest,
            sensor=SENSOR,
            seed=3,
            validation_frames_per_clip=2,
        )

    def conversion(self, model: bytes, **changes: object) -> commands_pb2.ConvertModelVersion:
        """A command about an ONNX file; ``changes`` replace fields."""
        fields: dict[str, object] = {
            "model_version": "models/m/versions/1",
            "conversion_id": "c1",
            "onnx": reference(self.store.put_bytes(model)),
            "manifest": self.manifest,
            "sensor": SENSOR,
            "seed": 4,
            "frames_per_clip": 3,
            "formats": ONNX_FORMATS,
        }
        return commands_pb2.ConvertModelVersion(**(fields | changes))  # type: ignore[arg-type]

    def evaluation(self, *subjects: evaluation_pb2.Subject, **changes: object) -> commands_pb2.RunEvaluation:
        """A command about the test clip, and the classical prototype if nothing else is to be judged;
        ``changes`` replace fields."""
        fields: dict[str, object] = {
            "evaluation": "evaluations/e",
            "entry": self.entries["c"],
            "subjects": subjects or [evaluation_pb2.Subject(label="prototype", prototype=CLASSICAL)],
            "sensor": SENSOR,
            "seed": 4,
            "frames_per_clip": 3,
        }
        return commands_pb2.RunEvaluation(**(fields | changes))  # type: ignore[arg-type]


def reference(artifact: Artifact) -> common_pb2.Artifact:
    """The artifact as messages carry it."""
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


def artifact(message: common_pb2.Artifact) -> Artifact:
    """The reverse."""
    return Artifact(message.uri, message.sha256, message.size_bytes, message.media_type)
