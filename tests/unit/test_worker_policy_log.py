"""What the worker's log says of an augmentation's policy, and how often."""

from autoisp_isp.augment.augmenter import PolicyReport
from autoisp_worker.jobs.policy_log import PolicyLog
from structlog.testing import capture_logs


def report(step: int) -> PolicyReport:
    return PolicyReport(step, 0.98765, 1.2345, {"gain": 1.0}, rollbacks=1)


def test_new_reports_are_logged_now_and_then_and_the_last_one_always() -> None:
    now = 100.0
    log = PolicyLog("searches/s/trials/r0-0000", lambda: now)
    with capture_logs() as lines:
        log.note(None)
        log.note(report(16))
        now = 105.0
        log.note(report(32))
        now = 110.0
        log.note(report(32))
        now = 125.0
        log.note(report(32))
        log.note(report(48))
        log.note(report(48), last=True)
        log.note(report(48), last=True)
    assert [line["step"] for line in lines] == [16, 32, 48]
    assert lines[0] == {
        "event": "augmentation policy",
        "log_level": "info",
        "trial": "searches/s/trials/r0-0000",
        "step": 16,
        "entropy": 0.988,
        "ratio": 1.23,
        "rollbacks": 1,
    }
