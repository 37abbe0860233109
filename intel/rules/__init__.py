"""Rules of a watch's own: what to look at, which conditions together, over which time, how rare, what to say.

A rule is an entry under `rules:` of a file in configs/watches/, beside the names of built-in rules:

    rules:
      - same-domain
      - name: lure-registrations
        about: domain                                # kind or kinds of what is found; left out: domain
        when:                                        # all of these
          - registered-through: Example Registrar    # short for {is: [Example Registrar]}
          - uses-name-servers: {below: example.net}
          - suffix: [example, test]
        over: 30 days                                # all of them within one such time; left out: ever
        rare: 20 per million                         # at least one of the links met is as rare as that
        say: "{subject} was registered as the lures are"
        severity: 60
        lapse: false

`read_rule(mapping) -> Rule` and `write_rule(rule) -> dict` (ready for YAML and JSON) are each other's inverse.

Conditions. Each is a mapping with one key.

- Link: a predicate, or the name of its inverse (`named-by`, `key-of`, `presented-by`, ...: `INVERSES`), with tests of
  what stands at its other end, all of which must hold:
    is: [..]         one of these values         matches: [..]  shell patterns (`*`, `?`), ASCII letters of any case
    in: [..]         an address in a network     below: [..]    a host (or one of a set's) that is the name or below it
    kind: [..]       of such a kind              watched: true  an item of this watch (false: none)
    rarer-than: 5 per million                    counted in a reference population, and rarer
  and of the statement: state: [value] (or redacted, placeholder, proxy, absent, unparsed), role, type, field. `where`
  is a condition (a link again) on what stands there: `resolves-to: {where: {part-of: AS64500}}`, two deep.
- Short forms of links, as registration patterns need them:
    registrar: X           registered-through: X            name-servers: "a.example b.example"   uses-name-servers: X
    mail-provider: X       registered-by: {kind: email, below: X, role: registrant}
    name-server-provider: X   uses-name-servers: {below: X}  mail-hosts: X   uses-mail-host: {below: X}
    network: AS64500       resolves-to: {where: {part-of: ..}}
    issuer: X              named-by: {where: {issued-by: X}}
- created (updated, expires, valid-from, valid-until): {within: 30 days} (of when it was stated), after, before (days),
  hour: [8, 11] (UTC, both included; where it is known to the hour); {}: whenever that was.
- changed: {uses-name-servers: {from: {tests}, to: {tests}}}: another value in the place of one, by the same source.
- hidden: registered-by (or {registered-by: {field: .., role: ..}}): a value, then redacted, a proxy's or a placeholder,
  by the same source, tier, role and field; exposed: the reverse.
- renewed: same-key: a certificate with the key and a name of an earlier one (by valid-from). about: certificate.
- burst: {at-least: 5, within: 3 days, sharing: [registered-through], by: created}: so many subjects that fulfil all the
  rest, with these links in common (or none), within that time of one another; `by: seen` (left out): when they
  fulfilled it. One in a rule, never inside another condition.
- absent: {after: condition, without: condition, within: 30 days}: the second did not come in that time after the first.
- any: [conditions]: one of them. not: condition: never so.
- Tests of the subject itself, which have no time (and so never stand alone): suffix: [..]; label: {shape: [..],
  words: [..], matches: [..], length: [5, 12], digits: true, hyphens: false}, shape and words as intel.traits has them;
  subject: {tests as of a link's end}.

Meaning, which SQL (db/rules_sql.py) and matcher (intel/match/rules.py) share. A fact is so from its first statement on
(`begin`, event time); one that was only ever ended is none. A condition has witnesses: a time each, and what was new. A
link has one for each thing that it leads to, from when anybody first said so, with `where` from the later of both; a
change's when the new value began and the old was gone; an absence's when its time was up. A rule matches a subject as
of the earliest time at which each of its conditions has a witness no older than `over`. What makes a match new
(`novelty`) is the subject, and, where a change is among the conditions, what it changed to by the first of them. So an
answer depends on what was stated, not on when it came.
"""

from __future__ import annotations

from intel.rules.read import read_rule
from intel.rules.records import INVERSES, Rule
from intel.rules.write import rule_digest, write_rule

__all__ = ["INVERSES", "Rule", "read_rule", "rule_digest", "write_rule"]
