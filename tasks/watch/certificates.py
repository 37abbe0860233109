"""The certificates monitor: facts about certificates and keys in, findings out (see tasks/watch/monitor.py).

Rules: certificate-name, wildcard-name, known-certificate, reused-key, reused-certificate, mixed-certificate,
lookalike-name, keyword-name, certificate-pattern, unreadable-certificate.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine

from db.watching_expected import EXPECTED, WRONG_CHAINS
from db.watching_forms import (
    DEPTH,
    DROP_FORMS,
    FORM_HITS,
    FORMS,
    JOIN_FORMS,
    KNOWN_CERTIFICATES,
    ONE_CERTIFICATE,
    PRESENTED,
    PRESENTED_BY,
    SAME_CERTIFICATE,
    WITHDRAW_FORMS,
    WITHDRAW_KNOWN_KEYS,
    WITHDRAW_PRESENTED,
)
from db.watching_hosts import SAID
from db.watching_match import CERTIFICATE_NAMES, SAME_KEY
from db.watching_rules import WITHDRAW_WATCHED
from db.watching_whole import DROP_WHOLE
from intel.facts import Predicate
from tasks.watch.monitor import Monitor, Monitored, watch

CERTIFICATES: Final = Monitor(
    name="certificates",
    mark="certificates 3",
    predicates=(
        Predicate.NAMES,
        Predicate.HAS_KEY,
        Predicate.SAME_AS,
        Predicate.PRESENTS,
        Predicate.MATCHES,
        Predicate.LOGGED_IN,
        Predicate.ATTRIBUTED_TO,
        Predicate.ISSUED_BY,
    ),
    # The keys before the names: those of every certificate with them are needed. The other forms before both.
    widen=(
        PRESENTED_BY,
        *(SAME_CERTIFICATE,) * DEPTH,
        SAME_KEY,
        *(SAME_CERTIFICATE,) * DEPTH,
        CERTIFICATE_NAMES,
        PRESENTED,
        FORMS,
        *(JOIN_FORMS,) * DEPTH,
        ONE_CERTIFICATE,
    ),
    known=(FORM_HITS, KNOWN_CERTIFICATES),
    withdraw=(WITHDRAW_WATCHED, WITHDRAW_FORMS, WITHDRAW_PRESENTED, WITHDRAW_KNOWN_KEYS, DROP_FORMS, DROP_WHOLE, SAID),
    notes=(EXPECTED, WRONG_CHAINS),
)


def monitor(engine: Engine) -> Monitored:
    """Judge what is due. Raises BusyError where another process is at it."""
    return watch(engine, CERTIFICATES)
