"""The registrations monitor: facts of feeds, registration and resolution in, findings out (see tasks/watch/monitor.py).

Rules: exact, same-domain, same-address, new-resolution, registered, shared-registrant.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from db.watching_match import SAME_REGISTRANT
from intel.facts import Predicate
from tasks.watch.monitor import Monitor, Monitored, watch

REGISTRATIONS: Final = Monitor(
    name="registrations",
    mark="registrations",
    predicates=(
        Predicate.LISTED,
        Predicate.ATTRIBUTED_TO,
        Predicate.REPORTED_IN,
        Predicate.ASSOCIATED_WITH,
        Predicate.COMMUNICATES_WITH,
        Predicate.DOWNLOADS,
        Predicate.USES,
        Predicate.SAME_AS,
        Predicate.RESOLVES_TO,
        Predicate.USES_NAME_SERVER,
        Predicate.USES_NAME_SERVERS,
        Predicate.USES_MAIL_HOST,
        Predicate.REGISTERED_BY,
        Predicate.REGISTERED_THROUGH,
        Predicate.CREATED,
    ),
    widen=(SAME_REGISTRANT,),
)


def monitor(engine: Engine) -> Monitored:
    """Judge what is due. Raises BusyError where another process is at it."""
    return watch(engine, REGISTRATIONS)
