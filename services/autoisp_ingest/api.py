"""The gRPC servicer: decode, call the use case, encode. Errors are translated by the server's interceptor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp_core.errors import InvalidArgumentError
from autoisp_runtime.uploads import open_upload
from google.protobuf.empty_pb2 import Empty

from autoisp_ingest.live_messages import decode_live_header, encode_acknowledgement, open_frames
from autoisp_ingest.messages import (
    decode_header,
    decode_new_dataset,
    decode_selection,
    encode_clip,
    encode_dataset,
    encode_piece,
    encode_reading,
    encode_upload,
)
from autoisp_ingest.usecases import Clips, Datasets, ReadFrames
from autoisp_ingest.ways_in import WaysIn


class IngestServicer(ingest_pb2_grpc.IngestServiceServicer):
    """``autoisp.ingest.v1.IngestService``."""

    def __init__(self, ways_in: WaysIn, read_frames: ReadFrames, clips: Clips, datasets: Datasets) -> None:
        self._ways_in = ways_in
        self._read_frames = read_frames
        self._clips = clips
        self._datasets = datasets

    async def UploadClip(  # noqa: N802
        self, request_iterator: AsyncIterator[ingest_pb2.UploadClipRequest], context: Any
    ) -> ingest_pb2.Clip:
        header, chunks = await open_upload(request_iterator, offsets=True)
        return encode_clip(await self._ways_in.uploads.receive(decode_header(header), _not_empty(chunks)))

    async def GetUpload(  # noqa: N802
        self, request: ingest_pb2.GetUploadRequest, context: Any
    ) -> ingest_pb2.Upload:
        return encode_upload(await self._ways_in.uploads.get(request.sha256))

    async def ImportClip(  # noqa: N802
        self, request: ingest_pb2.ImportClipRequest, context: Any
    ) -> ingest_pb2.Clip:
        clip = await self._ways_in.import_clip(request.uri, request.display_name, request.sha256)
        return encode_clip(clip)

    # Written and not yielded, which the stubs don't know: acknowledgements go out while parts come in.
    async def IngestFrames(  # type: ignore[override]  # noqa: N802
        self, request_iterator: AsyncIterator[ingest_pb2.IngestFramesRequest], context: Any
    ) -> None:
        message, parts = await open_frames(request_iterator)
        header = decode_live_header(message)
        ingest_frames = self._ways_in.ingest_frames

        async def acknowledge(stored_frames: int) -> None:
            window_bytes = ingest_frames.window_bytes(header)
            await context.write(encode_acknowledgement(stored_frames, window_bytes))

        clip = await ingest_frames(header, parts, acknowledge)
        await context.write(ingest_pb2.IngestFramesResponse(clip=encode_clip(clip)))

    async def ReadFrames(  # noqa: N802
        self, request: ingest_pb2.ReadFramesRequest, context: Any
    ) -> AsyncIterator[ingest_pb2.ReadFramesResponse]:
        reading = await self._read_frames(decode_selection(request))
        yield encode_reading(reading)
        # The next piece is read when the client has taken this one: gRPC's flow control holds the generator.
        async for piece in reading.pieces:
            for part in encode_piece(piece):
                yield part

    async def GetClip(  # noqa: N802
        self, request: ingest_pb2.GetClipRequest, context: Any
    ) -> ingest_pb2.Clip:
        return encode_clip(await self._clips.get(request.name))

    async def ListClips(  # noqa: N802
        self, request: ingest_pb2.ListClipsRequest, context: Any
    ) -> ingest_pb2.ListClipsResponse:
        page = await self._clips.list(request.page_size, request.page_token)
        return ingest_pb2.ListClipsResponse(
            clips=[encode_clip(clip) for clip in page.items], next_page_token=page.next_page_token
        )

    async def DeleteClip(  # noqa: N802
        self, request: ingest_pb2.DeleteClipRequest, context: Any
    ) -> Empty:
        await self._clips.delete(request.name)
        return Empty()

    async def CreateDataset(  # noqa: N802
        self, request: ingest_pb2.CreateDatasetRequest, context: Any
    ) -> ingest_pb2.Dataset:
        return encode_dataset(await self._datasets.create(decode_new_dataset(request)))

    async def GetDataset(  # noqa: N802
        self, request: ingest_pb2.GetDatasetRequest, context: Any
    ) -> ingest_pb2.Dataset:
        return encode_dataset(await self._datasets.get(request.name))

    async def ListDatasets(  # noqa: N802
        self, request: ingest_pb2.ListDatasetsRequest, context: Any
    ) -> ingest_pb2.ListDatasetsResponse:
        page = await self._datasets.list(request.page_size, request.page_token)
        return ingest_pb2.ListDatasetsResponse(
            datasets=[encode_dataset(dataset) for dataset in page.items],
            next_page_token=page.next_page_token,
        )

    async def DeleteDataset(  # noqa: N802
        self, request: ingest_pb2.DeleteDatasetRequest, context: Any
    ) -> Empty:
        await self._datasets.delete(request.name)
        return Empty()


async def _not_empty(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """An endless stream of nothing would hold a call open for ever."""
    async for chunk in chunks:
        if not chunk:
            raise InvalidArgumentError(
                "chunk", "a chunk is empty; send 256 KiB to 1 MiB in each", reason="EMPTY_CHUNK"
            )
        yield chunk
