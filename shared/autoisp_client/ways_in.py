"""The ways in for footage: the part of the blocking client that sends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import grpc
from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc

from autoisp_client.connection import Connection
from autoisp_client.live import Frame, LiveOptions
from autoisp_client.live_calls import send_frames
from autoisp_client.payload import clip_payload
from autoisp_client.uploading import NOTHING_RECEIVED, ClipUpload, OnProgress


class WaysIn:
    """Uploads, imports and live frames; see the whole client."""

    _ingest: Connection
    _ingest_stub: ingest_pb2_grpc.IngestServiceStub

    def upload_clip(
        self, path: Path | str, *, display_name: str = "", on_progress: OnProgress | None = None
    ) -> ingest_pb2.Clip:
        """Uploads a video file, or a folder of frames; the same bytes give the same clip.

        Goes on where it, or an earlier upload of the same bytes, broke off. It is given up when nothing got
        through for ``patience`` seconds.

        Args:
            on_progress: told how far it is, in the thread that sends.

        Raises:
            InvalidArgumentError: nothing there, nothing in it, or nothing that decodes.
        """
        payload = clip_payload(Path(path))
        upload = ClipUpload(payload, display_name, self._ingest.patience, on_progress)
        return self._ingest.attempt(lambda: self._send(upload), pause=upload.pause)

    def import_clip(self, uri: str, *, display_name: str = "", sha256: str = "") -> ingest_pb2.Clip:
        """Has the server take footage that it can read itself, ``file:///…`` or ``s3://…``.

        Raises:
            PermissionDeniedError: the server's configuration does not allow the place.
        """
        request = ingest_pb2.ImportClipRequest(uri=uri, display_name=display_name, sha256=sha256)
        return self._ingest.attempt(lambda: self._ingest_stub.ImportClip(request))

    def ingest_frames(
        self,
        frames: Iterable[Frame],
        *,
        frame_rate: float,
        bit_depth: int = 0,
        cfa: str = "",
        sensor: common_pb2.Sensor | None = None,
        times_ns: Iterable[int] | None = None,
        display_name: str = "",
        on_stored: Callable[[int], None] | None = None,
    ) -> ingest_pb2.Clip:
        """Sends frames as they come, no faster than they are stored; the same frames give the same clip.

        Nothing is repeated: a camera's frames don't come twice. After an error there is no clip.

        Args:
            frames: arrays (height, width, 3) RGB or (height, width) mosaic, uint8 or uint16, all alike.
            frame_rate: per second; 0 if unknown, and then ``times_ns`` must be given.
            bit_depth: significant bits; by default 8 for uint8 and 16 for uint16.
            cfa: of a mosaic, its row-major 2×2 tile, such as ``RGGB``.
            sensor: of a mosaic: levels, gains, colour matrix and noise.
            times_ns: of each frame since the first, which is 0; by default as the frame rate says.
            on_stored: told how many frames are stored.

        Raises:
            InvalidArgumentError: the frames differ, or are not what can be stored.
        """
        options = LiveOptions(frame_rate, bit_depth, cfa, sensor, times_ns, display_name, on_stored)
        return self._ingest.attempt(
            lambda: send_frames(self._ingest_stub.IngestFrames, frames, options), repeat=False
        )

    def get_upload(self, sha256: str) -> ingest_pb2.Upload:
        """How much the server has of the file with this digest."""
        request = ingest_pb2.GetUploadRequest(sha256=sha256)
        return self._ingest.unary(self._ingest_stub.GetUpload, request)

    def _send(self, upload: ClipUpload) -> ingest_pb2.Clip:
        try:
            found = self._ingest_stub.GetUpload(upload.question, timeout=60)
            received = upload.resumes_at(found)
        except grpc.RpcError as error:
            if error.code() not in NOTHING_RECEIVED:
                raise
            received = 0
        return self._ingest_stub.UploadClip(upload.stream(received))
