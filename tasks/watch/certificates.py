"""The certificates monitor: facts about certificates and keys in, findings out (see tasks/watch/monitor.py).

Rules: certificate-name, reused-key, reused-certificate, mixed-certificate.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from db.watching_forms import DEPTH, FORMS, JOIN_FORMS, ONE_CERTIFICATE, SAME_CERTIFICATE
from db.watching_match import CERTIFICATE_NAMES, SAME_KEY
from intel.facts import Predicate
from tasks.watch.monitor import Monitor, Monitored, watch

CERTIFICATES: Final = Monitor(
    name="certificates",
    mark="certificates",
    predicates=(
        Predicate.NAMES,
        Predicate.HAS_KEY,
        Predicate.SAME_AS,
        Predicate.PRESENTS,
        Predicate.ATTRIBUTED_TO,
    ),
    # The keys before the names: those of every certificate with them are needed. The other forms before both.
    widen=(
        *(SAME_CERTIFICATE,) * DEPTH,
        SAME_KEY,
        *(SAME_CERTIFICATE,) * DEPTH,
        CERTIFICATE_NAMES,
        FORMS,
        *(JOIN_FORMS,) * DEPTH,
        ONE_CERTIFICATE,
    ),
)


def monitor(engine: Engine) -> Monitored:
    """Judge what is due. Raises BusyError where another process is at it."""
    return watch(engine, CERTIFICATES)
