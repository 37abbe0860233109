"""Certificates around a case: those that name it or what stands on its domains, and those that share a key with them.

In: a `Case` and what is `Known` of it. Out: `Certificates`. Nothing leaves the machine.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Engine

from db import enrich
from tasks.enrich.records import Case, Certificates, CertificateSeen, Known

TOP: Final = 25
TOP_NAMES: Final = 20


def certificates(engine: Engine, case: Case, known: Known) -> Certificates:
    """The certificates, the most recently heard of first. Raises WarehouseError."""
    ids = known.near_ids or tuple(subject.id for subject in case.subjects)
    with engine.connect() as connection:
        rows = enrich.certificates(connection, ids, top=TOP)
        numbers = [row.id for row in rows]
        details = enrich.certificate_details(connection, numbers, top=TOP_NAMES)
        sources = enrich.certificate_sources(connection, numbers)
    said: dict[tuple[int, str], list[Any]] = {}
    for detail in details:
        said.setdefault((detail.id, detail.predicate), []).append(detail)
    total = rows[0].total if rows else 0
    return Certificates(
        certificates=tuple(_seen(row, said, sources.get(row.id, ())) for row in rows),
        total=total,
        capped=total >= enrich.SCAN,
    )


def _seen(row: Any, said: dict[tuple[int, str], list[Any]], sources: tuple[str, ...]) -> CertificateSeen:
    def first(predicate: str) -> str:
        return next((str(detail.value) for detail in said.get((row.id, predicate), ())), "")

    names = said.get((row.id, "names"), [])
    return CertificateSeen(
        value=row.value,
        key=first("has-key"),
        names=tuple(detail.value for detail in names if detail.kind != "email"),
        names_total=names[0].total if names else 0,
        valid_from=first("valid-from"),
        valid_until=first("valid-until"),
        issuer=first("issued-by"),
        sources=sources,
        seen=row.seen,
        same_key_only=not row.direct,
    )
