from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from intel.entities import Entity, Kind, entity, literal
from intel.facts import Predicate
from intel.match.rules import match
from intel.patterns.rule import to_rule
from intel.rules.histories import Histories, Stated, Thing, gather
from intel.rules.read import read_rule
from intel.traits import Name, Profile, Trait, traits

AT = datetime(2026, 1, 5, tzinfo=UTC)
HOSTS = ("ns1.host.example.net", "ns2.host.example.net", "ns1.other.test", "mx.third.test")


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(lambda found: tuple(sorted(found)))


PROFILES = st.builds(
    Profile,
    domain=st.sampled_from(("river1.test", "stone-2.example", "abc.test")),
    registrar=st.sampled_from(("", "iana:9998", "iana:9999")),
    emails=some("a@one.test", "b@one.test", "c@two.test"),
    registrants=some("ann ample"),
    name_servers=some(*HOSTS),
    mail_hosts=some(*HOSTS),
    addresses=some("192.0.2.1", "198.51.100.1"),
    soa_contacts=some("x@soa.test"),
    created=st.sampled_from((datetime(2026, 1, 1, 8, 30, tzinfo=UTC), datetime(2026, 1, 1, 9, tzinfo=UTC))),
    to_the_day=st.just(value=False),
)


def history(profile: Profile) -> Histories:
    """What facts would say of it."""
    subject = Thing(1, entity(Kind.DOMAIN, profile.domain))
    said: list[tuple[Predicate, Entity]] = [
        *((Predicate.REGISTERED_THROUGH, entity(Kind.REGISTRAR, one)) for one in [profile.registrar] if one),
        *((Predicate.REGISTERED_BY, entity(Kind.EMAIL, one)) for one in profile.emails),
        *((Predicate.REGISTERED_BY, entity(Kind.REGISTRANT, one)) for one in profile.registrants),
        *((Predicate.USES_MAIL_HOST, entity(Kind.DOMAIN, one)) for one in profile.mail_hosts),
        *((Predicate.RESOLVES_TO, entity(Kind.IP, one)) for one in profile.addresses),
        *((Predicate.HAS_SOA_CONTACT, entity(Kind.EMAIL, one)) for one in profile.soa_contacts),
    ]
    if profile.name_servers:
        said.append((Predicate.USES_NAME_SERVERS, entity(Kind.NAME_SERVER_SET, " ".join(profile.name_servers))))
    if profile.created:
        said.append((Predicate.CREATED, literal(Kind.TIME, profile.created.isoformat())))
    facts = [
        Stated(fact_id=number, subject=subject, predicate=predicate, object=Thing(1 + number, thing), begin=AT,
               role="registrant" if predicate == Predicate.REGISTERED_BY else "")
        for number, (predicate, thing) in enumerate(said, 1)
    ]  # fmt: skip
    return gather([subject], facts, as_of=AT)


def holds(trait: Trait, profile: Profile) -> bool:
    """Whether the profile has it. Of providers a rule asks that they are there, not that there is no other one."""
    if trait.name in {Name.NAME_SERVER_PROVIDER, Name.MAIL_HOSTS}:
        held = {value for one in traits(profile) if one.name == trait.name for value in one.value.split()}
        return set(trait.value.split()) <= held
    if trait.name == Name.WORD:
        return trait.value in profile.domain.partition(".")[0]
    return trait in traits(profile)


@examples(max_examples=40, deadline=None)
@given(PROFILES, PROFILES)
def test_the_rule_of_a_pattern_finds_what_has_its_traits(known: Profile, other: Profile) -> None:
    for trait in sorted(traits(known)):
        rule = read_rule(to_rule("pattern-1", [trait], severity=50))
        assert bool(match(rule, history(other))) == holds(trait, other), trait
