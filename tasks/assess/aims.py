"""Targeted or opportunistic, and with which motivation: what speaks for and against each answer. Pure.

In: `Material`. Out: judgements (tasks/assess/judgement.py). Words decide little: each kind of word is one family,
however many there are, and no answer rests on one family. What a source claims of an actor is evidence of that source's
view.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from tasks.assess import wording as say
from tasks.assess.judgement import Judgement, Option, Point, judge
from tasks.assess.material import Material, Said

TARGETED: Final = "targeted"
OPPORTUNISTIC: Final = "opportunistic"
ESPIONAGE: Final = "espionage"
CRIME: Final = "crime for gain"
HACKTIVISM: Final = "hacktivism"

MANY_DOMAINS: Final = 20
"""Domains around one incident from which it looks like mass production."""
MANY_SOURCES: Final = 4
"""Feeds from which everybody has met it."""
_SHOWN: Final = 4

_TARGETED_WORDS: Final = frozenset({"targeted", "spearphishing", "spear", "whaling", "espionage"})
_MASS_WORDS: Final = frozenset(
    {
        "malspam",
        "spam",
        "botnet",
        "loader",
        "scanner",
        "scanning",
        "bruteforce",
        "stealer",
        "scam",
        "kit",
        "phishingkit",
    }
)
_LABELS: Final[Mapping[str, frozenset[str]]] = {
    ESPIONAGE: frozenset({"apt", "espionage", "spyware", "surveillance", "cyberespionage", "statesponsored"}),
    CRIME: frozenset(
        {
            "ransomware", "stealer", "infostealer", "banker", "banking", "botnet", "malspam", "miner", "cryptominer",
            "carding", "skimmer", "scam", "fraud", "cybercrime", "extortion",
        }
    ),
    HACKTIVISM: frozenset({"hacktivist", "hacktivism", "defacement", "ddos"}),
}  # fmt: skip
_LURES: Final[Mapping[str, frozenset[str]]] = {
    ESPIONAGE: frozenset(
        {
            "gov", "ministry", "embassy", "mfa", "defence", "defense", "military", "army", "navy", "parliament",
            "senate", "diplomatic", "foreign", "policy", "election", "journalist", "consulate",
        }
    ),
    CRIME: frozenset(
        {
            "bank", "banking", "pay", "payment", "wallet", "crypto", "coin", "invoice", "refund", "parcel", "delivery",
            "tax", "loan", "card", "prize", "bonus", "shop", "casino",
        }
    ),
    HACKTIVISM: frozenset({"leaks", "expose", "exposed", "resist", "liberation"}),
}  # fmt: skip


def aim(found: Material) -> Judgement:
    """Whether we, or somebody, were meant, or whoever comes along."""
    touched = [
        Point(family="what is ours", said=f"{say.code(one.value)} touches {say.prose(one.ours)} ({one.where})")
        for one in found.targeting.touched[:_SHOWN]
    ]
    prepared = found.rules.get("prepared-before-use", 0)
    targeted = [
        *touched,
        *_words("what sources call it", found.labels, _TARGETED_WORDS),
        *_if(prepared, "preparation", "infrastructure was prepared well before its first use"),
    ]
    opportunistic = [
        *_words("what sources call it", found.labels, _MASS_WORDS),
        *_if(
            found.domains >= MANY_DOMAINS, "scale", f"{found.domains} domains stand around it: few targets need so many"
        ),
        *_if(found.sources >= MANY_SOURCES, "spread", f"{found.sources} sources speak of it: many others have met it"),
    ]
    lacking = "who else received it, and whether what was sent was written for its reader"
    if not found.targeting.known:
        lacking = f"what is ours (configs/organisation.yaml names no domain, brand or network); {lacking}"
    return judge(
        (
            Option(name=TARGETED, pro=tuple(targeted), contra=tuple(opportunistic)),
            Option(name=OPPORTUNISTIC, pro=tuple(opportunistic), contra=tuple(targeted)),
        ),
        lacking=lacking,
    )


def motivation(found: Material) -> Judgement:
    """What it is for: espionage, crime for gain, hacktivism; else unknown."""
    pro = {name: list(_for_motive(name, found)) for name in _LABELS}
    pro[CRIME] += _if(found.wallets, "payments", "a wallet stands around it: somebody is to be paid")
    if found.targeting.touched and any(one.ours.startswith("our brand") for one in found.targeting.touched):
        pro[CRIME] += [Point(family="targets", said="a name imitates our brand, as fraud against customers does")]
    options = []
    for name, mine in pro.items():
        others = [
            Point(family=one.family, said=f"that speaks for {other}")
            for other, points in pro.items()
            if other != name
            for one in points
        ]
        options.append(Option(name=name, pro=tuple(mine), contra=tuple(others)))
    return judge(options, lacking="what was taken or asked for, and from whom; a lure shows the door, not the aim")


def _for_motive(name: str, found: Material) -> Iterable[Point]:
    yield from _words("what sources call it", found.labels, _LABELS[name])
    yield from _words("lures", found.lures, _LURES[name], of_names=True)
    if name == ESPIONAGE:
        named = [one for one in found.actors if "apt" in one.word.lower().replace("-", "_").split(":")[-1].split("_")]
        for one in named[:1]:
            yield Point(
                family="claims",
                said=f"{say.prose(one.where)} claims it for {say.code(one.word)}, which it counts as such a group",
            )


def _words(family: str, said: Iterable[Said], wanted: frozenset[str], *, of_names: bool = False) -> list[Point]:
    met = [one for one in said if one.word in wanted]
    if not met:
        return []
    if of_names:
        shown = ", ".join(f"{say.code(one.where)} ({one.word})" for one in met[:_SHOWN])
        return [Point(family=family, said=f"words in names: {shown}{_more(len(met))}")]
    shown = ", ".join(f"{say.prose(one.where)} says {one.word}" for one in met[:_SHOWN])
    return [Point(family=family, said=f"{shown}{_more(len(met))}")]


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


def _if(truth: object, family: str, said: str) -> list[Point]:
    return [Point(family=family, said=said)] if truth else []
