from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from db.registration_history import Ended
from intel.facts import State
from intel.registration_merge import merge
from intel.registration_timeline import gaps, timeline
from intel.registration_versions import FIELDS, Chronicle, Said, Sighting
from tasks.assess.report_registration import registration
from tasks.enrich.history import History
from tasks.enrich.records import Claim, Registered, Thing
from tests.intel.registration_made import BOOK, HIDDEN, RDAP, WHOIS, chronicle, day, said, version

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ADA = said("ada@registrant.example", personal=True)
OPEN = {"created": "2026-03-02", "registrar": "iana:146", "registrant email": ADA}


def history(*told: Chronicle, **values: object) -> History:
    sightings: tuple[Sighting, ...] = values.pop("sightings", ())  # type: ignore[assignment] # the test's own words
    made = History(
        domain="evil.example", entity_id=1, now=NOW, view=merge(told, NOW, BOOK, sightings=sightings),
        events=timeline(told, BOOK), gaps=gaps(told, NOW), chronicles=told, sightings=sightings, seen=(), notes=(),
        silent=(), ends=(), book=BOOK,
    )  # fmt: skip
    return msgspec.structs.replace(made, **values)


def text(*histories: History, claims: tuple[Claim, ...] = ()) -> str:
    return "\n".join(registration(Registered(history=claims), histories))


def test_a_hidden_registrant_is_a_difference_masked() -> None:
    hidden = {**OPEN, "registrant email": HIDDEN}
    told = text(
        history(
            chronicle(RDAP, [version(0, OPEN), version(4, hidden)]),
            chronicle(WHOIS, [version(0, OPEN), version(4, hidden)]),
        )
    )
    assert "Registered as of 2026-03-06 09:00." in told
    assert "| registrar | `GoDaddy.com, LLC (IANA 146)` | rdap registrar |" in told
    assert (
        "- between 2026-03-02 09:00 and 2026-03-06 09:00: registrant hidden, registrant email"
        " `a***@registrant.example` to `redacted (REDACTED)` (rdap registrar, whois registrar)"
    ) in told
    assert "ada@" not in told


def test_a_value_in_dispute_is_told_with_both() -> None:
    rdap = chronicle(RDAP, [version(0, {"registrar": "iana:146"})])
    whois = chronicle(WHOIS, [version(0, {"registrar": "iana:69"})])
    assert "in dispute: whois registrar says `IANA 69`" in text(history(rdap, whois))


def test_notes_ends_and_what_others_say() -> None:
    host = said("mx.hosting.example")
    mail = Sighting(field="mail host", said=host, source="pdns", reliability="B", first=day(0), last=day(1))
    told = text(
        history(
            chronicle(RDAP, [version(0, OPEN)]),
            sightings=(mail,),
            notes=("seen in CT 2 days before it was created: re-registered?",),
            ends=(Ended(at=day(3), reason="seized", fact=1),),
        )
    )
    assert "- seen in CT 2 days before it was created: re-registered?" in told
    assert "- 2026-03-05 09:00: seized" in told
    assert "| mail host | `mx.hosting.example` | pdns (B) | 2026-03-02 09:00 to 2026-03-03 09:00 |" in told


def test_claims_of_domains_without_a_history_are_kept() -> None:
    claim = Claim(
        about=1, subject_id=1, subject=Thing(kind="domain", value="other.example"), predicate="created",
        object=Thing(kind="time", value="2026-03-01"), state="value", source="feed", source_title="A feed",
        reliability="B", reference="", tlp=0, first=NOW, last=NOW, ended=False,
    )  # fmt: skip
    assert "| `other.example` | created |" in text(history(), claims=(claim,))
    assert "Nothing is known" not in text(claims=(claim,))
    assert "Nothing is known of the registration of its domains." in text()


texts = st.text(max_size=30)
sayings = st.one_of(
    texts.map(said),
    texts.map(lambda one: Said(state=State.PROXY, text=one)),
    texts.map(lambda one: Said(state=State.REDACTED, text=one)),
)
records = st.dictionaries(st.sampled_from(FIELDS), sayings, max_size=6)


@settings(max_examples=60)
@given(st.lists(records, min_size=1, max_size=3))
def test_nothing_that_servers_say_breaks_a_line(told: list[dict[str, Said]]) -> None:
    versions = [version(at, dict(fields)) for at, fields in enumerate(told)]
    for line in registration(Registered(), [history(chronicle(RDAP, versions))]):
        assert "\n" not in line
        assert not line.startswith("|") or line.count("|") == 6
