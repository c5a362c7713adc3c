"""The tables. Changing them takes a new migration; a test compares the two."""

from __future__ import annotations

from autoisp_runtime.outbox import outbox_table
from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Integer, MetaData, String, Table, Text

metadata = MetaData()

# Times are microseconds since 1970 in UTC: exact, and the same in every database.
clips = Table(
    "clips",
    metadata,
    Column("id", String(64), primary_key=True),
    # Sorts by creation; what pages are cut by.
    Column("order_key", String(32), nullable=False, unique=True),
    Column("display_name", String(255), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frame_count", Integer, nullable=False),
    Column("frame_rate", Float(53), nullable=False),
    Column("codec", String(64), nullable=False),
    Column("source_sha256", String(64), nullable=False),
    Column("source_size_bytes", BigInteger, nullable=False),
    Column("frames_uri", String(255), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    # FrameFormat and SensorProfile as JSON.
    Column("format", Text, nullable=False),
    Column("variable_frame_rate", Boolean, nullable=False),
    Column("duration_us", BigInteger, nullable=False),
    Column("sensor", Text, nullable=True),
)

# Frames that no clip owns: being written, left by a crash, or of a deleted clip and not deleted yet.
unowned_frames = Table(
    "unowned_frames",
    metadata,
    Column("uri", String(255), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("noted_time_us", BigInteger, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("order_key", String(32), nullable=False, unique=True),
    Column("display_name", String(255), nullable=False),
    Column("request_id", String(128), nullable=True, unique=True),
    Column("manifest_uri", String(255), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("manifest_size_bytes", BigInteger, nullable=False),
    Column("manifest_media_type", String(128), nullable=False),
    Column("create_time_us", BigInteger, nullable=False),
    Column("published", Boolean, nullable=False),
    # A JSON list.
    Column("tags", Text, nullable=False),
)

dataset_clips = Table(
    "dataset_clips",
    metadata,
    Column("dataset_id", ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("clip_id", ForeignKey("clips.id", ondelete="RESTRICT"), nullable=False, index=True),
    Column("split", String(16), nullable=False),
    Column("first_frame", Integer, nullable=False),
    Column("end_frame", Integer, nullable=False),
)

sensor_profiles = Table(
    "sensor_profiles",
    metadata,
    Column("id", String(64), primary_key=True),
    # Of its newest version.
    Column("newest", Integer, nullable=False),
)

sensor_profile_versions = Table(
    "sensor_profile_versions",
    metadata,
    Column("profile_id", ForeignKey("sensor_profiles.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("toml", Text, nullable=False),
    Column("source", String(16), nullable=False),
    # JSON; calibrated versions only.
    Column("calibration", Text, nullable=True),
    Column("request_id", String(128), nullable=True, unique=True),
    Column("create_time_us", BigInteger, nullable=False),
)

outbox = outbox_table(metadata)
