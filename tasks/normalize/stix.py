"""STIX 2.0 and 2.1 (OASIS), as bundles, TAXII 2.1 envelopes, lists of objects, or one object.

Comes in: a document. Goes out: facts, and a reject with its reason for each object, or part of one, that makes none. An
object that is broken costs itself; a document that is not JSON raises ReadError and says where.

Objects are read in the order in which they need one another: what stands for itself, observables, observed data and
software, relationships and sightings, reports. `stix2.parse` is not used: it is ninety times slower than decoding JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from intel.config.sources import Source
from intel.errors import OversizedError, ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.stix_context import Context, Object, locator, read_marking, reject, texts_of, time_of
from tasks.normalize.stix_objects import READERS
from tasks.normalize.stix_observables import OBSERVABLE_TYPES
from tasks.normalize.stix_relations import read_relationship
from tasks.normalize.stix_scos import name_object

_READERS: Final = {**READERS, "relationship": read_relationship}
_OBSERVABLE: Final = 1
_PHASES: Final = {
    **dict.fromkeys(OBSERVABLE_TYPES, _OBSERVABLE),
    **dict.fromkeys(("observed-data", "malware", "tool"), 2),
    **dict.fromkeys(("relationship", "sighting"), 3),
    **dict.fromkeys(("report", "grouping"), 4),
}
_LAST_PHASE: Final = 4
_ENVELOPE: Final = frozenset({"more", "next", "objects"})
_PERSONAL_TYPES: Final = frozenset({"identity", "user-account", "email-addr", "email-message", "phone-number"})
_MALFORMED: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """The facts and rejects of one document. Raises ReadError where it is not JSON, or holds no objects.

    Objects that refer to one another can say far more than they have bytes: past `most_records`, the rest is left out
    and OversizedError raised.
    """
    most = most_records(len(document.body))
    for number, record in enumerate(_read(document, source)):
        if number >= most:
            raise OversizedError(f"couldn't read all of a STIX document: more than {most} facts; the rest is left out")
        yield record


def most_records(size: int) -> int:
    """How many facts and rejects a document of `size` bytes may make; real ones make one from a hundred bytes."""
    return 100_000 + size // 10


def _read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    raws = _objects(document.body)
    context = Context(
        authority=source.options.naming_authority or source.name, label=source.options.label, as_of=document.as_of
    )
    _read_markings(context, document.body, raws)
    later: list[list[tuple[int, msgspec.Raw]]] = [[] for _ in range(_LAST_PHASE + 1)]
    for index, raw in enumerate(raws):
        item = _decode(raw)
        phase = 0
        if isinstance(item, dict):
            object_type = item.get("type")
            phase = _PHASES.get(object_type, 0) if isinstance(object_type, str) else 0
            # Observables refer to one another in any order, so each is named before one is read.
            context.keep(item, *(name_object(item) if phase == _OBSERVABLE else ()))
            if object_type == "observed-data" and _is_timed(item):
                context.observed.update(texts_of(item, "object_refs"))
        if phase:
            later[phase].append((index, raw))
        else:
            yield from _read_object(context, index, item, raw)
    for waiting in later:
        for index, raw in waiting:
            yield from _read_object(context, index, _decode(raw), raw)


def _read_object(context: Context, index: int, item: Any, raw: msgspec.Raw) -> Iterator[Fact | Reject]:
    if not isinstance(item, dict):
        reason = item if isinstance(item, str) else "couldn't read an object: it is no JSON object"
        yield reject({}, reason, _beginning(raw), place=f"/objects/{index}")
        return
    object_type = item.get("type")
    reader = _READERS.get(object_type) if isinstance(object_type, str) else None
    if object_type == "marking-definition" and read_marking(item) is not None:
        return  # it is used, by what is marked with it
    try:
        if not isinstance(object_type, str) or not locator(item):
            raise ReadError("couldn't read an object: it has no type or no id")  # noqa: TRY301 - one way to refuse
        if reader is None:
            raise ReadError(f"not an entity: type {object_type[:100]}")  # noqa: TRY301
        silent = locator(item) not in context.observed  # what observed data refers to is stated there
        for record in reader(context, item):
            silent = False
            yield record
        if silent:
            raise ReadError(f"not kept: this {object_type[:100]} says nothing of any entity")  # noqa: TRY301
    except ReadError as error:
        said = "" if isinstance(object_type, str) and object_type in _PERSONAL_TYPES else _beginning(raw)
        yield reject(item, str(error), said, place=f"/objects/{index}")


def _is_timed(item: Object) -> bool:
    """Whether observed data will be read: what refuses it leaves its observables to speak for themselves."""
    try:
        time_of(item, "first_observed", "created")
        time_of(item, "last_observed")
    except ReadError:
        return False
    return True


def _decode(raw: msgspec.Raw) -> Any:
    """The object, or as text why it could not be decoded."""
    try:
        found = msgspec.json.decode(raw)
    except _MALFORMED as error:
        return f"couldn't decode an object: {error}; the others are read"
    return found if isinstance(found, dict) else None


def _beginning(raw: msgspec.Raw) -> str:
    return bytes(raw)[:200].decode("utf-8", "replace")


def _read_markings(context: Context, body: bytes, raws: list[msgspec.Raw]) -> None:
    """Markings first: they may stand behind what they mark."""
    if b"marking-definition" not in body:
        return
    for raw in raws:
        if b'"marking-definition"' not in bytes(raw):
            continue
        item = _decode(raw)
        if isinstance(item, dict) and item.get("type") == "marking-definition":
            tlp = read_marking(item)
            if tlp is not None and isinstance(item.get("id"), str):
                # A document may make a known marking stricter, never laxer.
                context.markings[item["id"]] = max(tlp, context.markings.get(item["id"], tlp))


# --- what holds the objects


def _objects(body: bytes) -> list[msgspec.Raw]:
    body = body.removeprefix(b"\xef\xbb\xbf")
    start = body[:64].lstrip()[:1]
    if start == b"[":
        found: list[msgspec.Raw] = _decode_as(body, list[msgspec.Raw])
        return found
    members = _decode_as(body, dict[str, msgspec.Raw])
    object_type = _decode_member(members.get("type"))
    if "objects" in members and object_type in {None, "bundle"}:
        try:
            return msgspec.json.decode(members["objects"], type=list[msgspec.Raw])
        except _MALFORMED as error:
            raise ReadError("couldn't read a STIX document: its objects are no list; it is rejected") from error
    if object_type == "bundle" or members.keys() <= _ENVELOPE:
        return []  # without objects the member is left out (TAXII 2.1 section 3.7)
    if object_type is None:
        raise ReadError("couldn't read a STIX document: neither a bundle, an envelope nor an object; it is rejected")
    return [msgspec.Raw(body)]


def _decode_member(raw: msgspec.Raw | None) -> Any:
    return None if raw is None else _decode_as(bytes(raw), object)


def _decode_as(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise ReadError("couldn't read a STIX document: neither an object nor a list; it is rejected") from error
    except _MALFORMED as error:
        raise ReadError(_where(body, error)) from error


def _where(body: bytes, error: Exception) -> str:
    """What is wrong with the JSON, by line and column. The decoder names a byte, or says that the text was cut."""
    words = str(error)
    _, marker, tail = words.rpartition("(byte ")
    cut = not marker
    at = len(body) if cut else int(tail.rstrip(")"))
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    what = "cut off" if "truncated" in words else words.partition(" (byte")[0]
    return f"couldn't read a STIX document: {what} at line {line}, column {column} (byte {at}); it is rejected"
