"""The registrations monitor: facts of feeds, registration and resolution in, findings out (see tasks/watch/monitor.py).

Rules: exact, same-domain, same-address, new-resolution, registered, shared-registrant, registrant-hidden,
registrant-exposed, name-servers-moved, re-registered, expired, seized, sinkholed, new-domain, lookalike-domain,
keyword-domain, clear-c2, outside-vpn, shared-handle, prepared-before-use. It also concludes when domains ceased to be
whose they were (db/ownership.py).
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Engine

from db.ownership_effects import DROP_ENDED, ENDED
from db.watching_versions import DROP_VERSIONS
from db.watching_whole import DROP_WHOLE
from intel.facts import Predicate
from tasks.watch.monitor import Monitor, Monitored, watch
from tasks.watch.takers import takers

REGISTRATIONS: Final = Monitor(
    name="registrations",
    mark="registrations 3",
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
        Predicate.MATCHES,
        Predicate.HAS_SOA_CONTACT,
        Predicate.NAMES,
        Predicate.PRESENTS,
    ),
    widen=(),
    known=(ENDED,),
    withdraw=(DROP_VERSIONS, DROP_ENDED, DROP_WHOLE),
    ends=(),
    lapses=True,
)


def monitor(engine: Engine) -> Monitored:
    """Judge what is due. Raises BusyError where another process is at it, and ConfigError for a wrong configuration."""
    who = takers()
    # The warehouse is judged anew by whoever is known to take domains away now.
    mark = f"{REGISTRATIONS.mark} {who.digest[:12]}"
    return watch(engine, msgspec.structs.replace(REGISTRATIONS, mark=mark, ends=who.takers))
