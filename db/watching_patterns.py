"""The statements of the rules about what certificates and new domains match, by name.

db/watching_rules.py says what goes in and out.

A fact `matches` says that a certificate or a new domain, when it was read, met a pattern, a name that its wildcard
covers, or a name in octets that nobody could parse (then its role is `unparsed`). Whether that is still watched, and by
whom, is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _of_matches(rule: str, said: str, novelty: str) -> str:
    """The statement of a rule over the matches for which `said` holds; each of those that a watch looks for is one."""
    return f"""
INSERT INTO watch_match
SELECT '{rule}', h.watch_id, h.item_id, h.since, s.id, o.id, {novelty}, c.event_time, c.fact_id, NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id AND s.kind = 'certificate'
JOIN watch_entity o ON o.id = c.object_id
JOIN watch_hit h ON h.entity_id = c.object_id AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'matches' AND {said}
"""  # noqa: S608 - put together from constants


_READ: Final = "c.role IS NULL AND o.kind = 'pattern' AND o.value LIKE"
_CERTIFICATE: Final = "s.digest::text"
_CERTIFICATE_AND_PATTERN: Final = "s.digest || ' ' || o.digest"

# A watched certificate that a log holds, by whichever of its forms it is watched, or by issuer and serial number.
_KNOWN_CERTIFICATE: Final = f"""
INSERT INTO watch_match
SELECT 'known-certificate', h.watch_id, h.item_id, h.since, s.id, NULL::bigint, {_CERTIFICATE}, c.event_time, c.fact_id,
    NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id AND s.kind = 'certificate'
JOIN watch_entity o ON o.id = c.object_id
JOIN watch_hit h ON h.entity_id = CASE c.predicate WHEN 'matches' THEN o.id ELSE s.id END AND h.match = 'entity'
    AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'logged-in' OR (c.predicate = 'matches' AND o.kind = 'pattern' AND o.value LIKE 'serial:%')
"""  # noqa: S608 - put together from constants

OF_MATCHES: Final[Mapping[str, str]] = {
    "wildcard-name": _of_matches("wildcard-name", "c.role IS NULL AND o.kind <> 'pattern'", _CERTIFICATE),
    "known-certificate": _KNOWN_CERTIFICATE,
    "lookalike-name": _of_matches("lookalike-name", f"{_READ} 'lookalike:%'", _CERTIFICATE_AND_PATTERN),
    "keyword-name": _of_matches("keyword-name", f"{_READ} 'keyword:%'", _CERTIFICATE_AND_PATTERN),
    "certificate-pattern": _of_matches(
        "certificate-pattern", f"({_READ} 'issuer:%' OR {_READ} 'subject:%')", _CERTIFICATE_AND_PATTERN
    ),
    "unreadable-certificate": _of_matches("unreadable-certificate", "c.role = 'unparsed'", _CERTIFICATE),
}


def _of_domains(rule: str, said: str) -> str:
    """The statement of a rule over the new domains that match a pattern for which `said` holds."""
    return f"""
INSERT INTO watch_match
SELECT '{rule}', h.watch_id, h.item_id, h.since, s.id, o.id, s.digest || ' ' || o.digest, c.event_time, c.fact_id,
    NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id AND s.kind = 'domain'
JOIN watch_entity o ON o.id = c.object_id AND o.kind = 'pattern' AND o.value LIKE '{said}'
JOIN watch_hit h ON h.entity_id = c.object_id AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'matches' AND c.role IS NULL
"""  # noqa: S608 - put together from constants


NEW: Final = "newly registered"
"""The label under which a channel of new domains lists what a watch covers."""

# A watched name, or one that stands under a watched domain, that a channel of new domains shows.
_NEW_DOMAIN: Final = f"""
INSERT INTO watch_match
SELECT 'new-domain', h.watch_id, h.item_id, h.since, s.id, NULL::bigint, s.digest::text, c.event_time, c.fact_id,
    NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id AND s.kind = 'domain'
JOIN watch_entity o ON o.id = c.object_id AND o.kind = 'label' AND o.value = '{NEW}'
JOIN watch_hit h ON h.entity_id = c.subject_id AND h.match <> 'network' AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'listed'
"""  # noqa: S608 - put together from constants

OF_NEW_DOMAINS: Final[Mapping[str, str]] = {
    "new-domain": _NEW_DOMAIN,
    "lookalike-domain": _of_domains("lookalike-domain", "lookalike:%"),
    "keyword-domain": _of_domains("keyword-domain", "keyword:%"),
}
