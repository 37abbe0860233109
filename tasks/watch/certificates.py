"""The certificates monitor: facts about certificates and keys in, findings out (see tasks/watch/monitor.py).

Rules: certificate-name, reused-key, reused-certificate, mixed-certificate.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from db.watching_match import CERTIFICATE_NAMES, SAME_KEY
from intel.facts import Predicate
from tasks.watch.monitor import Monitor, Monitored, watch

CERTIFICATES: Final = Monitor(
    name="certificates",
    mark="certificates",
    predicates=(Predicate.NAMES, Predicate.HAS_KEY, Predicate.PRESENTS, Predicate.ATTRIBUTED_TO),
    # The keys first: the names of every certificate with them are needed after that.
    widen=(SAME_KEY, CERTIFICATE_NAMES),
)


def monitor(engine: Engine) -> Monitored:
    """Judge what is due. Raises BusyError where another process is at it."""
    return watch(engine, CERTIFICATES)
