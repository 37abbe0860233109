from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.facts import State
from intel.registration_merge import CLOSE, View, fullness, merge
from intel.registration_versions import Chronicle, Said, Sighting
from tests.intel.registration_made import (
    BOOK,
    HIDDEN,
    RDAP,
    RDAP_REGISTRY,
    WHOIS,
    WHOIS_REGISTRY,
    chronicle,
    day,
    said,
    version,
)

FULL = {"created": "2026-03-02", "registrar": "iana:146", "registrant email": "ada@registrant.example"}


def at(moment: float, *told: Chronicle, sightings: tuple[Sighting, ...] = ()) -> View:
    return merge(told, day(moment), BOOK, sightings=sightings)


def test_the_fuller_leads_when_both_are_close_in_time() -> None:
    rdap = chronicle(RDAP, [version(2, {"created": "2026-03-02", "registrant email": HIDDEN})])
    whois = chronicle(WHOIS, [version(0, FULL)])
    view = at(3, rdap, whois)
    assert view.leads == "whois"
    assert view.because == "it is fuller: 3 fields have a value, of RDAP's 1"
    assert fullness([whois.versions[0]]) == 3


def test_rdap_leads_where_both_are_as_full() -> None:
    view = at(3, chronicle(RDAP, [version(0, FULL)]), chronicle(WHOIS, [version(2, FULL)]))
    assert (view.leads, view.because) == ("rdap", "both are as full: 3 fields have a value")


def test_otherwise_the_newer_leads() -> None:
    rdap = chronicle(RDAP, [version(0, FULL)])
    whois = chronicle(WHOIS, [version(4, {"created": "2026-03-02"})])
    assert at(5, rdap, whois).leads == "whois"
    assert at(3, rdap, whois).leads == "rdap"
    again = chronicle(RDAP, [version(0, FULL)], more=[9])
    assert at(10, again, whois).leads == "rdap"


def test_a_redaction_in_the_fuller_hides_no_value_of_the_other() -> None:
    rdap = chronicle(RDAP, [version(1, {**FULL, "updated": "2026-03-02", "registrant email": HIDDEN})])
    whois = chronicle(WHOIS, [version(0, {"registrant email": "ada@registrant.example"})])
    view = at(2, rdap, whois)
    assert view.leads == "rdap"
    found = view.field("registrant email")
    assert found is not None
    assert found.best.said.values == ("ada@registrant.example",)
    assert found.best.voice == WHOIS
    assert [(one.voice, one.said.state) for one in found.others] == [(RDAP, State.REDACTED)]
    assert not found.conflict


def test_a_value_that_another_voice_took_back_since_is_not_believed_for_having_been_heard_before() -> None:
    open_, hidden = {"registrant email": said("ada@registrant.example")}, {"registrant email": HIDDEN}
    whois = chronicle(WHOIS, [version(0, open_)])
    found = at(3, chronicle(RDAP, [version(0, open_), version(2, hidden)]), whois).field("registrant email")
    assert found is not None
    assert found.best.said.state is State.REDACTED
    assert (found.best.since, found.best.was.values) == (day(2), ("ada@registrant.example",))
    # Heard again after that, it tells it still.
    again = chronicle(WHOIS, [version(0, open_)], more=[2.5])
    found = at(3, chronicle(RDAP, [version(0, open_), version(2, hidden)]), again).field("registrant email")
    assert found is not None
    assert found.best.said.state is State.VALUE
    # Another value was never taken back.
    other = chronicle(WHOIS, [version(0, {"registrant email": said("bob@registrant.example")})])
    found = at(3, chronicle(RDAP, [version(0, open_), version(2, hidden)]), other).field("registrant email")
    assert found is not None
    assert found.best.said.values == ("bob@registrant.example",)


def test_what_was_hidden_since_stays_hidden_with_the_old_value_beside_it() -> None:
    rdap = chronicle(RDAP, [version(10, {**FULL, "registrant email": HIDDEN})])
    whois = chronicle(WHOIS, [version(0, FULL)])
    found = at(11, rdap, whois).field("registrant email")
    assert found is not None
    assert found.best.said.state is State.REDACTED
    assert [one.said.values for one in found.others] == [("ada@registrant.example",)]
    assert found.others[0].heard == day(0)


def test_two_values_close_in_time_are_a_conflict_and_both_are_kept() -> None:
    rdap = chronicle(RDAP, [version(0, {"registrant name": "Ada Invented", "created": "2026-03-02"})])
    whois = chronicle(WHOIS, [version(1, {"registrant name": "Bob Invented", "created": "2026-03-02T11:00:00Z"})])
    view = at(2, rdap, whois)
    name, created = view.field("registrant name"), view.field("created")
    assert name is not None
    assert created is not None
    assert name.conflict
    assert name.others[0].said.values == ("Bob Invented",)
    assert not created.conflict


def test_one_registrar_by_two_names_is_no_conflict() -> None:
    rdap = chronicle(RDAP_REGISTRY, [version(0, {"registrar": "iana:146"})])
    whois = chronicle(WHOIS_REGISTRY, [version(0, {"registrar": "GoDaddy.com, Inc."})])
    found = at(1, rdap, whois).field("registrar")
    assert found is not None
    assert not found.conflict


def test_the_registrar_knows_the_registrant_and_the_registry_all_else() -> None:
    registry = chronicle(RDAP_REGISTRY, [version(1, {"created": "2026-03-02", "registrant name": "Old Name"})])
    registrar = chronicle(RDAP, [version(0, {"created": "2026-03-01", "registrant name": "New Name"})])
    view = at(2, registry, registrar)
    name, created = view.field("registrant name"), view.field("created")
    assert name is not None
    assert created is not None
    assert (name.best.voice, created.best.voice) == (RDAP, RDAP_REGISTRY)


def test_since_is_when_the_field_was_first_so_and_heard_when_it_was_last() -> None:
    told = chronicle(RDAP, [version(0, FULL), version(2, {**FULL, "status": ("active",)})], more=[5])
    found = at(6, told).field("registrar")
    assert found is not None
    assert (found.best.since, found.best.heard) == (day(0), day(5))


def test_a_deleted_domain_has_no_fields() -> None:
    registry = chronicle(RDAP_REGISTRY, [version(0, FULL), version(9, None)])
    whois = chronicle(WHOIS, [version(8, FULL)])
    view = at(10, registry, whois)
    assert (view.registered, view.disputed, view.fields) == (False, False, ())
    later = at(30, chronicle(RDAP_REGISTRY, [version(0, FULL), version(20, None)]), whois)
    assert (later.registered, later.fields) == (False, ())


def test_what_was_heard_before_a_new_registration_is_another_owners() -> None:
    registry = chronicle(RDAP_REGISTRY, [version(40, {"created": "2026-04-09T00:00:00Z"})])
    whois = chronicle(WHOIS, [version(0, FULL)])
    view = at(41, registry, whois)
    assert view.field("registrant email") is None
    assert view.leads == "rdap"


def test_a_creation_date_that_lies_ahead_of_the_answer_hides_nothing() -> None:
    told = chronicle(RDAP_REGISTRY, [version(0, {"created": "2096-03-02", "registrar": "iana:146"})])
    field = at(1, told).field("registrar")
    assert field is not None
    assert field.best.said.value == "iana:146"


def test_a_registrar_that_knows_no_such_domain_does_not_decide() -> None:
    view = at(3, chronicle(RDAP_REGISTRY, [version(0, FULL)]), chronicle(RDAP, [version(2, None)]))
    assert (view.registered, view.disputed) == (True, False)


def test_two_registries_that_disagree_are_a_dispute() -> None:
    view = at(3, chronicle(RDAP_REGISTRY, [version(0, FULL)]), chronicle(WHOIS_REGISTRY, [version(1, None)]))
    assert (view.registered, view.disputed) == (True, True)


def test_a_feed_gives_a_field_of_which_no_look_up_speaks() -> None:
    feed = Sighting(field="created", said=said("2026-03-01"), source="import", first=day(-1), last=day(0))
    alone = at(1, sightings=(feed,)).field("created")
    beside = at(1, chronicle(RDAP, [version(0, FULL)]), sightings=(feed,)).field("created")
    assert alone is not None
    assert beside is not None
    assert alone.best.voice.source == "import"
    assert beside.best.voice == RDAP
    assert beside.others[0].voice.source == "import"
    ended = Sighting(
        field="created", said=said("2026-03-01"), source="import", first=day(-1), last=day(0), ended=day(0)
    )
    assert at(1, sightings=(ended,)).field("created") is None


def test_nothing_told_is_not_known() -> None:
    view = at(0)
    assert (view.registered, view.leads, view.fields) == (None, "", ())
    assert at(0, chronicle(RDAP, [version(1, FULL)])).registered is None


states = st.one_of(st.just(HIDDEN), st.just(Said(state=State.ABSENT)), st.sampled_from("abc").map(said))
records = st.dictionaries(st.sampled_from(["registrant name", "registrant email", "name servers"]), states)


@settings(max_examples=60)
@given(records, records, st.integers(0, 6))
def test_no_value_that_was_told_close_in_time_is_lost(one: dict[str, Said], other: dict[str, Said], later: int) -> None:
    told = [chronicle(RDAP, [version(0, one)]), chronicle(WHOIS, [version(later, other)])]
    view = merge(told, day(10), BOOK)
    for field in {*one, *other}:
        found = view.field(field)
        assert found is not None
        all_told = [found.best, *found.others]
        assert {two.said for two in all_told} == {two[field] for two in (one, other) if field in two}
        valued = any(two[field].state is State.VALUE for two in (one, other) if field in two)
        if valued and timedelta(days=later) <= CLOSE:
            assert found.best.said.state is State.VALUE
