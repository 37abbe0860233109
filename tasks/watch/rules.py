"""The rules: what each looks for, what it is worth and how a finding of it reads.

A rule is one entry here and one statement of the same name in `db/watching_rules.py` (or, of those that are judged
whole, what `lapses` runs, and of `alike` what tasks/watch/alike.py does). Severity is 0 to 100, before
known-good lists and hubs take their part. Titles take `subject` (what was found), `item` (what is watched), `other`
(what else the statement names), `name` and `why` (what matched, and in which way), `shared` (what two registrants have
in common); those of which more is said (versions of a registration, `lapse_words`) `fields`, `how`, `began`, `day` and
`ranges`. People's data in them is masked.
"""

from __future__ import annotations

from typing import Final

import msgspec

from db import watching_hosts
from db.watching_rules import STATEMENTS
from db.watching_whole import JUDGED_WHOLE


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. `lapse`: what it finds is a mistake of the actor's.

    Where they read differently, `title_of_itself` is for a subject that is the very thing watched, `title_of_key` for
    a watched key, and `title_of_host` for a host that presents a certificate which others are watched for.
    """

    name: str
    monitor: str
    severity: int
    title: str
    title_of_itself: str = ""
    title_of_key: str = ""
    title_of_host: str = ""
    lapse: bool = False

    @property
    def statements(self) -> tuple[str, ...]:
        """Its SQL, which reads the monitor's tables and writes `watch_match`; none where it is judged otherwise."""
        if self.name in JUDGED_WHOLE or self.name not in STATEMENTS:
            return ()
        return (STATEMENTS[self.name], *watching_hosts.MORE.get(self.name, ()))


RULES: Final = (
    Rule(name="exact", monitor="registrations", severity=70, title="{subject} was stated by another source or again"),
    Rule(
        name="same-domain",
        monitor="registrations",
        severity=60,
        title="{subject} stands under {item}",
        title_of_itself="another source names {item}",
    ),
    Rule(
        name="same-address",
        monitor="registrations",
        severity=60,
        title="{subject} stands on {item}",
        title_of_itself="another source names {item}",
    ),
    Rule(name="new-resolution", monitor="registrations", severity=50, title="{subject} leads to {other}"),
    Rule(name="registered", monitor="registrations", severity=65, title="new registration: {subject}, {other}"),
    Rule(
        name="shared-registrant",
        monitor="registrations",
        severity=75,
        title="{subject} has {shared} in common with {other}",
        lapse=True,
    ),
    Rule(
        name="registrant-hidden",
        monitor="registrations",
        severity=85,
        title="the registrant of {subject} was exposed ({fields}) from {began} on, and was hidden by {day}",
        lapse=True,
    ),
    Rule(
        name="registrant-exposed",
        monitor="registrations",
        severity=85,
        title="the registrant of {subject} was hidden, and is exposed ({fields}) since {day}{how}",
        lapse=True,
    ),
    Rule(
        name="name-servers-moved",
        monitor="registrations",
        severity=50,
        title="{subject} left its name servers for {other}",
    ),
    Rule(
        name="re-registered",
        monitor="registrations",
        severity=45,
        title="{subject} was registered anew on {day}: it is no longer whose it was",
    ),
    Rule(
        name="expired",
        monitor="registrations",
        severity=35,
        title="{subject} expired by {day}: {how}",
    ),
    Rule(
        name="seized",
        monitor="registrations",
        severity=40,
        title="{subject} was seized by {day}: {how}",
    ),
    Rule(
        name="sinkholed",
        monitor="registrations",
        severity=40,
        title="{subject} was sinkholed by {day}: {how}",
    ),
    Rule(
        name="new-domain",
        monitor="registrations",
        severity=65,
        title="{subject}, which is watched, is among the new domains",
    ),
    Rule(
        name="lookalike-domain",
        monitor="registrations",
        severity=60,
        title="the new domain {subject} looks like {item}: {why}",
    ),
    Rule(
        name="keyword-domain",
        monitor="registrations",
        severity=45,
        title="in the new domain {subject} stands {item}",
    ),
    Rule(
        name="clear-c2",
        monitor="registrations",
        severity=75,
        title="traffic with {subject} goes in the clear: {how}",
        lapse=True,
    ),
    Rule(
        name="outside-vpn",
        monitor="registrations",
        severity=85,
        title="{subject} reached {other} on {day} ({how}) from outside {ranges}",
        lapse=True,
    ),
    Rule(
        name="shared-handle",
        monitor="registrations",
        severity=75,
        title="{subject} has {shared} in common with {other}: {how}",
        lapse=True,
    ),
    Rule(
        name="prepared-before-use",
        monitor="registrations",
        severity=55,
        title="{subject} {how}",
        lapse=True,
    ),
    Rule(
        name="alike",
        monitor="alike",
        severity=75,
        title="{subject} was registered as known domains are",
    ),
    Rule(name="certificate-name", monitor="certificates", severity=60, title="certificate {subject} names {other}"),
    Rule(
        name="wildcard-name",
        monitor="certificates",
        severity=40,
        title="certificate {subject} names {name}, which covers {item}",
    ),
    Rule(
        name="known-certificate",
        monitor="certificates",
        severity=55,
        title="a log holds {item}",
    ),
    Rule(
        name="lookalike-name",
        monitor="certificates",
        severity=55,
        title="certificate {subject} names {name}, which looks like {item}: {why}",
    ),
    Rule(
        name="keyword-name",
        monitor="certificates",
        severity=40,
        title="certificate {subject} names {name}, in which {item} stands",
    ),
    Rule(name="certificate-pattern", monitor="certificates", severity=40, title="certificate {subject} has {item}"),
    Rule(
        name="unreadable-certificate",
        monitor="certificates",
        severity=50,
        title="certificate {subject} cannot be read, and has {name} among its octets, which touches {item}",
    ),
    Rule(
        name="reused-key",
        monitor="certificates",
        severity=80,
        title="certificate {subject} has a key that {item} was known to have",
        title_of_key="certificate {subject} has {item}",
        title_of_host="{subject} presents certificate {other} with a key of {item}",
        lapse=True,
    ),
    Rule(
        name="reused-certificate",
        monitor="certificates",
        severity=80,
        title="{subject} presents the watched certificate {other}",
        title_of_host="{subject} presents certificate {other}, as {item} does",
        lapse=True,
    ),
    Rule(
        name="mixed-certificate",
        monitor="certificates",
        severity=45,
        title="certificate {subject} names {other} together with names under watch",
        lapse=True,
    ),
)

BY_NAME: Final = {rule.name: rule for rule in RULES}


def of_monitor(monitor: str) -> tuple[Rule, ...]:
    """The rules that a monitor evaluates, in their order."""
    return tuple(rule for rule in RULES if rule.monitor == monitor)
