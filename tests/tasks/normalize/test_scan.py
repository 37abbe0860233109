from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.certificates import Order, key_from_seed, self_signed

if TYPE_CHECKING:
    from intel.facts import Fact

SHA256, SHA1, KEY = "ab" * 32, "cd" * 20, "ef" * 32
JARM = "2ad2ad0002ad2ad00042d42d000000" + "0" * 32
WIDGITS = "CN=localhost,O=Internet Widgits Pty Ltd,C=AU"


@pytest.fixture(scope="session")
def read(make_source: Any, read_all: Any) -> Any:
    return lambda body: read_all(make_source("scan"), body, "scan-exports/a.json")


def told(facts: list[Fact]) -> set[tuple[str, str, str]]:
    return {(fact.subject.value, fact.predicate, fact.object.value) for fact in facts if fact.object}


FACTS = {
    ("192.0.2.10:8443", "presents", f"sha256:{SHA256}"),
    (f"sha256:{SHA256}", "same-as", f"sha1:{SHA1}"),
    (f"sha256:{SHA256}", "has-key", f"sha256:{KEY}"),
    (f"sha256:{SHA256}", "issued-by", WIDGITS),
    (f"sha256:{SHA256}", "described-as", WIDGITS),
    ("192.0.2.10:8443", "uses", f"jarm:{JARM}"),
}


def test_hosts_of_censys_in_both_of_its_shapes(read: Any) -> None:
    older = {
        "ip": "192.0.2.10",
        "services": [
            {
                "port": 8443,
                "observed_at": "2026-01-02T03:04:05Z",
                "jarm": {"fingerprint": JARM},
                "tls": {
                    "certificates": {
                        "leaf_data": {
                            "fingerprint": SHA256,
                            "fingerprint_sha1": SHA1,
                            "subject_dn": WIDGITS,
                            "issuer_dn": WIDGITS,
                            "public_key": {"fingerprint": KEY},
                            "names": ["*.evil.example", "192.0.2.10", "localhost", "not a name."],
                        }
                    }
                },
            },
            {"port": 22},
        ],
    }
    newer = {
        "host": {
            "ip": "192.0.2.10",
            "services": [
                {
                    "port": 8443,
                    "scan_time": "2026-01-02T03:04:05Z",
                    "jarm": {"fingerprint": JARM},
                    "cert": {
                        "fingerprint_sha256": SHA256,
                        "fingerprint_sha1": SHA1,
                        "parsed": {
                            "subject_dn": WIDGITS,
                            "issuer_dn": WIDGITS,
                            "subject_key_info": {"fingerprint_sha256": KEY},
                        },
                    },
                }
            ],
        }
    }
    facts, rejects = read(json.dumps(older) + "\n" + json.dumps(newer))
    assert not rejects
    names = {(f"sha256:{SHA256}", "names", "evil.example"), (f"sha256:{SHA256}", "names", "192.0.2.10")}
    assert told(facts) == FACTS | names
    assert {str(fact.event_time) for fact in facts} == {"2026-01-02 03:04:05+00:00"}
    assert told(read(json.dumps([newer]))[0]) == FACTS


def test_banners_of_shodan_and_the_key_in_their_chain(read: Any) -> None:
    made = x509.load_der_x509_certificate(self_signed(Order(names=("evil.example",), key=key_from_seed("c2"))))
    record = {
        "ip_str": "2001:db8::10",
        "port": 443,
        "timestamp": "2026-01-02T03:04:05.678901",
        "ssl": {
            "cert": {
                "fingerprint": {"sha256": SHA256, "sha1": SHA1},
                "subject": {"C": "AU", "CN": "evil"},
                "issuer": {"CN": "evil"},
                "issued": "20260101000000Z",
                "expires": "20360101000000Z",
            },
            "chain": [made.public_bytes(Encoding.PEM).decode()],
            "jarm": "0" * 62,
            "ja3s": "ab" * 16,
        },
    }
    facts, rejects = read(json.dumps(record))
    assert not rejects
    said = {(predicate, value) for _, predicate, value in told(facts)}
    assert {("presents", f"sha256:{SHA256}"), ("issued-by", "CN=evil"), ("described-as", "C=AU,CN=evil")} <= said
    assert {
        ("valid-from", "2026-01-01T00:00:00+00:00"),
        ("names", "evil.example"),
        ("uses", f"ja3s:{'ab' * 16}"),
    } <= said
    assert any(predicate == "has-key" for predicate, _ in said)
    assert {fact.subject.value for fact in facts if fact.predicate == "presents"} == {"[2001:db8::10]:443"}
    assert not any("jarm" in value for _, value in said)


def test_tables_with_the_columns_of_shadowserver(read: Any) -> None:
    table = (
        '"timestamp","ip","port","subject_common_name","subject_organization_name","subject_country","sha1_fingerprint",'
        '"issuer_common_name","issuer_organization_name","issuer_country","sha256_fingerprint","jarm","spki_sha256"\n'
        f'"2026-01-02 03:04:05","192.0.2.10","8443","localhost","Internet Widgits Pty Ltd","AU","{SHA1}","localhost",'
        f'"Internet Widgits Pty Ltd","AU","{":".join(["AB"] * 32)}","{JARM}","{KEY}"\n'
        "short,row\n"
    )
    facts, rejects = read(table)
    assert told(facts) == FACTS
    assert [reject.locator for reject in rejects] == ["line 3"]
    assert read("a,b\n1,2\n")[1][0].reason.startswith("couldn't read a table of a scan")


def test_what_is_broken_costs_itself(read: Any) -> None:
    certificate = {"cert": {"fingerprint": {"sha256": SHA256}}}
    lines = [
        json.dumps({"ip_str": "no address", "port": 1, "ssl": certificate}),
        '{"port": 1}',
        "{",
        '{"ip_str": "192.0.2.1", "port": 99999, "ssl": {"jarm": "ff"}}',
        json.dumps({"ip_str": "192.0.2.1", "port": 443, "ssl": certificate}),
        '{"ip_str": "192.0.2.1", "services": [1, {"port": 2, "cert": {"fingerprint": "zz"}}]}',
    ]
    facts, rejects = read("\n".join(lines))
    assert told(facts) == {("192.0.2.1:443", "presents", f"sha256:{SHA256}")}
    assert len(rejects) == 5


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["cert", "ip", "port", "ssl"]), inner),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(["ip", "ip_str", "port", "ssl", "services", "cert", "tls", "host"]), _VALUES))
def test_whatever_stands_there_nothing_breaks(read: Any, record: dict[str, Any]) -> None:
    record["ip"] = record.get("ip") or "192.0.2.1"
    _, rejects = read(json.dumps(record))
    assert not any(reject.reason.startswith("fault") for reject in rejects)
