"""When findings go out to people: what is new into the outbox, then what is due to its channel, and a day's digest."""

from __future__ import annotations

from prefect import flow, get_run_logger

from intel.errors import ConfigError
from tasks.publish import outbox_task as task


@flow(name="notify", persist_result=False)
def notify() -> int:
    """Send what is new or due; returns the number of messages sent. Fails where a channel cannot be used, when the
    others have had theirs.
    """
    enqueued = task.enqueue.submit()
    sent = task.send.submit(enqueued).result()  # type: ignore[call-overload]  # Prefect resolves the future
    if sent.doubted:
        get_run_logger().warning("%s messages may or may not have arrived: lapsewatch outbox list", sent.doubted)
    if sent.problems:
        raise ConfigError("; ".join(sent.problems))
    return int(sent.sent)
