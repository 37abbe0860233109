"""How carefully the infrastructure was made: habits that cost effort, and mistakes. Pure.

In: `Material`. Out: a judgement between considerable and little. A lapse shows a mistake, not a beginner: it speaks
against care in that one habit, and only several habits together say something of the hand.
"""

from __future__ import annotations

from typing import Final

from tasks.assess import wording as say
from tasks.assess.judgement import Judgement, Option, Point, judge
from tasks.assess.material import Material

CONSIDERABLE: Final = "considerable"
LITTLE: Final = "little"

_FEW: Final = 3
_MISTAKES: Final = (
    ("registrant-exposed", "registration", "a registrant was exposed"),
    ("registrant-hidden", "registration", "a registrant was exposed before it was hidden"),
    ("shared-registrant", "registration", "one registrant stands on several domains"),
    ("reused-key", "certificates and keys", "one key served several names"),
    ("reused-certificate", "certificates and keys", "one certificate served several hosts"),
    ("mixed-certificate", "certificates and keys", "one certificate names what was to be kept apart"),
    ("clear-c2", "traffic", "its traffic was sent in the clear"),
    ("outside-vpn", "traffic", "somebody connected from outside the usual VPN ranges"),
    ("shared-handle", "identities", "a handle or an address of one persona was used again"),
)
_TOOLS: Final = {
    "leaked-key": "the key of a leaked tool is in use",
    "default-certificate": "a tool's default certificate is in use",
}
_SERVICES: Final = {
    "dynamic-dns": "names of a dynamic-DNS service are used",
    "url-shortener": "a URL shortener is used",
    "disposable-mail": "a disposable mailbox is used",
    "shared-hosting": "shared hosting is used",
}


def sophistication(found: Material) -> Judgement:
    """Whether it took considerable care and means, or little."""
    little = [
        Point(family=family, said=f"{said} (rule {rule}, findings: {found.rules[rule]})")
        for rule, family, said in _MISTAKES
        if rule in found.rules
    ]
    little += [
        Point(family="tools", said=f"{said}: {say.code(found.hubs[hub])}")
        for hub, said in _TOOLS.items()
        if hub in found.hubs
    ]
    little += [
        Point(family="services", said=f"{said}: {say.code(found.hubs[hub])}")
        for hub, said in _SERVICES.items()
        if hub in found.hubs
    ]
    considerable: list[Point] = []
    if found.rules.get("prepared-before-use"):
        considerable.append(Point(family="preparation", said="infrastructure was prepared well before its first use"))
    if found.certificates >= _FEW and found.keys == found.certificates:
        considerable.append(
            Point(family="certificates and keys", said=f"each of {found.certificates} certificates has its own key")
        )
    if found.registrants_hidden and not found.registrants_shown:
        considerable.append(
            Point(
                family="registration",
                said=f"no registrant was ever shown (domains: {found.registrants_hidden}), which many registrars do by"
                " default",
            )
        )
    return judge(
        (
            Option(name=CONSIDERABLE, pro=tuple(considerable), contra=tuple(little)),
            Option(name=LITTLE, pro=tuple(little), contra=tuple(considerable)),
        ),
        lacking="the tools on the hosts, and how access was kept: infrastructure shows the habits of whoever rents it",
    )
