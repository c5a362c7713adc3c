"""The worker process: pulls jobs and does them, one at a time."""

from autoisp_runtime.jetstream.topology import WORKER_CONVERSIONS, WORKER_FIRST, WORKER_TRIALS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.runtime import Runtime

from autoisp_worker.attempts import Attempts
from autoisp_worker.bus import CommandBus, EventBus
from autoisp_worker.compute import ComputeThread, StopRequest
from autoisp_worker.config import WorkerConfig, check_device
from autoisp_worker.gpu import gpu_figures
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.results import Results
from autoisp_worker.tools import Tools
from autoisp_worker.usecases import Settlement
from autoisp_worker.watch import Watches


async def build(runtime: Runtime[WorkerConfig]) -> None:
    """Wire the worker."""
    config = runtime.config
    check_device(config.device)
    tools = Tools.of(config, runtime.store)
    jobs, compute, attempts = LocalJobs(tools), ComputeThread(), Attempts(runtime.store, config.max_deliver)
    watches = Watches.of(runtime.nats, runtime.publisher, config)
    settlement = Settlement(Results(runtime.store), EventBus(runtime.publisher))
    bus = CommandBus(settlement, jobs, compute, tools.checkpoints, watches, config.worker_id, attempts)
    # Patient: an outage or a full store must not turn hours of training into a failure.
    queues = (WORKER_FIRST, WORKER_TRIALS, WORKER_CONVERSIONS)
    runtime.consume(queues, bus.handle, patient=True, on_dead_letter=bus.bury)
    if config.device != "cpu":
        runtime.sample(gpu_figures(config.device))
    runtime.spawn("warm-up", compute.run(jobs.warm_up, StopRequest()))


if __name__ == "__main__":
    run_service(WorkerConfig, build)
