"""Every metric of AutoISP, in one place; docs/guides/observability.md lists them, and a test compares.

They are counted whether or not anybody reads them: that costs about a microsecond each. Names and units are
as Prometheus asks: base units, ``_total`` for counters. Labels take few values: never a name of a resource.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LONG = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 4 * 3600.0)

RPC_SECONDS = Histogram(
    "autoisp_rpc_duration_seconds",
    "Calls of gRPC methods, from the request to the end of the answer; a watch lasts as long as its client.",
    ("method", "code"),
    buckets=_QUICK,
)
RPC_DENIED = Counter(
    "autoisp_rpc_denied",
    "Calls refused for who made them: no or a bad token, scope, project, rate; they reach no method.",
    ("method", "reason"),
)
MESSAGES_HANDLED = Counter(
    "autoisp_messages_handled",
    "Deliveries of commands and events by how they ended: acked, retried, dead_letter or handed_back.",
    ("consumer", "kind", "outcome"),
)
MESSAGE_SECONDS = Histogram(
    "autoisp_message_handling_seconds",
    "Handling of one command or event, however it ended.",
    ("consumer", "kind"),
    buckets=_LONG,
)
MESSAGES_IN_WORK = Gauge(
    "autoisp_messages_in_work", "Commands and events that this process is handling now.", ("consumer",)
)
MESSAGES_PUBLISHED = Counter(
    "autoisp_messages_published", "Commands and events that JetStream confirmed.", ("kind",)
)
OUTBOX_WAIT_SECONDS = Histogram(
    "autoisp_outbox_wait_seconds", "From the commit of an event to its confirmed publication.", buckets=_QUICK
)
OUTBOX_MESSAGES = Gauge("autoisp_outbox_messages", "Events that wait in the outbox.")
OUTBOX_AGE_SECONDS = Gauge(
    "autoisp_outbox_oldest_age_seconds", "Age of the oldest event in the outbox; 0 when it is empty."
)
DATABASE_SECONDS = Histogram(
    "autoisp_database_session_seconds",
    "Transactions (mode write: lock, statements and commit) and reading sessions (mode read).",
    ("mode",),
    buckets=_QUICK,
)
DEPENDENCY_UP = Gauge(
    "autoisp_dependency_up", "1 while the process reaches what it depends on, else 0.", ("dependency",)
)
CONSUMER_WAITING = Gauge(
    "autoisp_consumer_waiting_messages",
    "Lag: messages of a durable consumer not delivered yet.",
    ("consumer",),
)
CONSUMER_IN_WORK = Gauge(
    "autoisp_consumer_in_work_messages",
    "Messages of a durable consumer delivered and not acknowledged, over all processes.",
    ("consumer",),
)
CONSUMER_IDLE = Gauge(
    "autoisp_consumer_idle_requests",
    "Requests for messages of a durable consumer that wait: idle processes.",
    ("consumer",),
)
STREAM_MESSAGES = Gauge("autoisp_stream_messages", "Messages that a JetStream stream keeps.", ("stream",))
STREAM_BYTES = Gauge("autoisp_stream_bytes", "Bytes that a JetStream stream keeps.", ("stream",))
DEAD_LETTERS = Gauge("autoisp_dead_letters", "Messages that nobody could handle, kept for 30 days.")
SEARCHES = Gauge("autoisp_searches", "Searches by state.", ("state",))
TRIALS = Gauge("autoisp_search_trials", "Trials of searches that have not ended, by state.", ("state",))
WORKER_STEP_SECONDS = Histogram(
    "autoisp_worker_step_seconds",
    "Steps of a worker's jobs: train, export, validate, time, upload, and whole jobs of other kinds.",
    ("step",),
    buckets=_LONG,
)
WORKER_TRIALS = Counter("autoisp_worker_trials", "Trials that this worker ended, by state.", ("state",))
TRAINING_STEPS = Counter("autoisp_worker_training_steps", "Optimizer steps of this worker's trainings.")
TRAINING_PIXELS = Counter(
    "autoisp_worker_training_pixels", "Pixels of developed pictures that those steps trained on."
)
GPU_UTILIZATION = Gauge(
    "autoisp_gpu_utilization_ratio", "Share of the last moment in which the worker's GPU worked.", ("device",)
)
GPU_MEMORY_USED = Gauge(
    "autoisp_gpu_memory_used_bytes", "Memory of the worker's GPU in use, by anybody.", ("device",)
)
GPU_MEMORY = Gauge("autoisp_gpu_memory_bytes", "Memory of the worker's GPU.", ("device",))
