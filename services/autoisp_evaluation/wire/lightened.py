"""Evaluations that would not fit into a message, without what is missed least."""

from __future__ import annotations

from autoisp.evaluation.v1 import evaluation_pb2

GRPC_BYTES = 4_150_000
"""Of 4 MiB."""
BUS_BYTES = 850_000
"""Of 900,000, which also hold what an event says beside the evaluation."""


def lightened(message: evaluation_pb2.Evaluation, most: int) -> evaluation_pb2.Evaluation:
    """The message itself, without as little as makes it fit into `most` bytes.

    It loses, in turn: crops of the worst frames, the list of these, the clips' pictures, improvements and
    metrics of single clips, their frames, all that was measured of single clips, and why they failed.
    Totals, comparisons, the gate's report and the state of every clip always stay.
    """
    for lighten in (_worst_crops, _worst, _pictures, _metrics, _frames, _figures, _texts):
        if message.ByteSize() <= most:
            break
        lighten(message)
    return message


def _worst_crops(message: evaluation_pb2.Evaluation) -> None:
    for clip in message.clips:
        for worst in clip.worst:
            worst.ClearField("pictures")


def _worst(message: evaluation_pb2.Evaluation) -> None:
    for clip in message.clips:
        clip.ClearField("worst")


def _pictures(message: evaluation_pb2.Evaluation) -> None:
    for clip in message.clips:
        clip.ClearField("pictures")


def _metrics(message: evaluation_pb2.Evaluation) -> None:
    for comparison in message.comparisons:
        comparison.ClearField("clips")
    for clip in message.clips:
        for subject in clip.subjects:
            subject.ClearField("metrics")


def _frames(message: evaluation_pb2.Evaluation) -> None:
    for clip in message.clips:
        for subject in clip.subjects:
            subject.ClearField("frames")


def _figures(message: evaluation_pb2.Evaluation) -> None:
    for clip in message.clips:
        clip.ClearField("subjects")


def _texts(message: evaluation_pb2.Evaluation) -> None:
    for clip in message.clips:
        clip.ClearField("failure")
        clip.ClearField("display_name")
