"""A whole investigation in this process, without Prefect: the steps of flows/investigate.py as plain calls, in order.

In: an incident's id. Out: its report. A step that fails spares the others and is named in the report, as in the flow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Engine

from intel.errors import BusyError, LapsewatchError
from intel.settings import settings
from tasks.assess import investigation, learned
from tasks.assess.branches import branches
from tasks.assess.report import Report, write_report
from tasks.enrich import certificates, known, network, passive_dns, registration
from tasks.enrich.records import Known
from tasks.pivot.follow import follow
from tasks.pivot.leads import Led, lead_on
from tasks.watch import certificates as of_certificates
from tasks.watch import items, own_rules
from tasks.watch import registrations as of_registrations
from tasks.watch.monitor import Monitored

log = logging.getLogger(__name__)

Result = TypeVar("Result")
_TRIES: Final = 10
_PAUSE: Final = 3.0


def investigate(
    engine: Engine,
    incident: int,
    *,
    publish: bool = False,
    say: Callable[[str], None] = log.info,
    sleep: Callable[[float], None] = time.sleep,
) -> Report:
    """Investigate an incident that is in the warehouse; `say` hears each step's name as it begins.

    `publish` lets its findings be published from then on, which the caller does. Raises BusyError where somebody else
    investigates it, WarehouseError where there is no such incident or the report cannot be kept, and ConfigError.
    """
    with investigation.opened(engine, incident, publish=publish):
        steps = _Steps(say)
        case = investigation.record(engine, incident)
        steps.run("watched", lambda: investigation.watch(engine, case))
        told = steps.run("known", lambda: known.known(engine, case)) or Known()
        steps.run("registered", lambda: registration.registration(engine, case))
        steps.run("certificates", lambda: certificates.certificates(engine, case, told))
        steps.run("passive_dns", lambda: passive_dns.passive_dns(engine, case, told))
        steps.run("network", lambda: network.network(engine, case, told))
        led = steps.run("pivot", lambda: lead_on(engine, case)) or Led()
        steps.run("followed", lambda: follow(engine, case, led))
        steps.run("led", lambda: lead_on(engine, case))
        steps.run("new_watches", lambda: investigation.watch(engine, case))
        steps.run("files_of_watches", lambda: _sync(engine))
        steps.run("monitor_registrations", lambda: _when_free(of_registrations.monitor, engine, sleep))
        steps.run("monitor_certificates", lambda: _when_free(of_certificates.monitor, engine, sleep))
        steps.run("monitor_rules", lambda: _when_free(own_rules.monitor, engine, sleep))
        steps.run("patterns", lambda: learned.learn(engine, case))
        say("report")
        return write_report(engine, case, branches(steps.results))


class _Steps:
    """What the steps came to, by name: a record, or why there is none."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.results: dict[str, object] = {}
        self._say = say

    def run(self, name: str, step: Callable[[], Result]) -> Result | None:
        self._say(name.replace("_", " "))
        try:
            done = step()
        except LapsewatchError as error:
            self.results[name] = error
        except Exception as error:  # a fault of ours costs the one branch; its words may quote people's data
            log.exception("%s failed", name)
            self.results[name] = error
        else:
            self.results[name] = done
            return done
        return None


def _sync(engine: Engine) -> None:
    with engine.begin() as connection:
        items.sync(connection, settings().configs)


def _when_free(monitor: Callable[[Engine], Monitored], engine: Engine, sleep: Callable[[float], None]) -> Monitored:
    """Judge what is due; where another process is at it, it is waited for, since it may have begun before our facts."""
    for _ in range(_TRIES - 1):
        try:
            return monitor(engine)
        except BusyError:
            sleep(_PAUSE)
    return monitor(engine)
