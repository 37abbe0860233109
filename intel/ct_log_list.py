"""Chrome's list of Certificate Transparency logs, version 3: the file's bytes in, logs and rejects out.

Schema: www.gstatic.com/ct/log_list/v3/log_list_schema.json. Each entry is read on its own: one that is wrong costs
itself, the others stand. The list is signed as a whole (RSA, PKCS #1 v1.5 with SHA-256, over the file's bytes).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from intel.ct_frames import NOT_JSON
from intel.errors import ConfigError, OversizedError, ReadError, VerificationError
from intel.merkle import HASH_SIZE

MAX_BYTES: Final = 16 << 20
_MAX_LOGS: Final = 5_000
_MAX_TEXT: Final = 300
_MAX_KEY: Final = 4_096
_STATES: Final = frozenset({"pending", "qualified", "usable", "readonly", "retired", "rejected"})
_NO_STATE: Final = "pending"  # the schema: a log without a state has not been evaluated
_LONGEST_DELAY: Final = 366 * 86_400
_PEM: Final = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----")


class FinalHead(msgspec.Struct, frozen=True, kw_only=True):
    """The last tree of a log that takes no more entries."""

    tree_size: int
    root_hash: bytes


class ListedLog(msgspec.Struct, frozen=True, kw_only=True):
    """A log as the list describes it.

    `url` is where it is read (a tiled log's monitoring prefix), and ends in a slash, as does `submission_url`, which
    is empty for the others. `mmd` is its maximum merge delay in seconds. It takes certificates that end from
    `not_after_start` to before `not_after_end` (event time), all where these are None.
    """

    log_id: bytes
    description: str
    operator: str
    protocol: Literal["rfc6962", "static"]
    url: str
    submission_url: str = ""
    key: bytes
    mmd: int
    state: str
    not_after_start: datetime | None = None
    not_after_end: datetime | None = None
    final_head: FinalHead | None = None


class LogList(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says. `made_at` is when it was made (event time). `rejects` are entries that cannot be used, each
    with its place and the reason.
    """

    version: str
    made_at: datetime
    logs: tuple[ListedLog, ...]
    rejects: tuple[str, ...] = ()


class _OperatorJson(msgspec.Struct):
    name: str
    logs: list[msgspec.Raw] = []  # msgspec copies an empty list for each record
    tiled_logs: list[msgspec.Raw] = []


class _ListJson(msgspec.Struct):
    log_list_timestamp: datetime
    operators: list[msgspec.Raw]
    version: str = ""


class _Interval(msgspec.Struct):
    start_inclusive: datetime
    end_exclusive: datetime


class _LogJson(msgspec.Struct):
    log_id: str
    key: str
    mmd: int
    description: str = ""
    url: str = ""
    submission_url: str = ""
    monitoring_url: str = ""
    state: dict[str, msgspec.Raw] = {}  # msgspec copies an empty dict for each record
    temporal_interval: _Interval | None = None


class _FinalJson(msgspec.Struct):
    tree_size: int
    sha256_root_hash: bytes


class _ReadonlyJson(msgspec.Struct):
    final_tree_head: _FinalJson | None = None


_LOG: Final = msgspec.json.Decoder(_LogJson)
_OPERATOR: Final = msgspec.json.Decoder(_OperatorJson)
_WRONG: Final = (*NOT_JSON, ReadError)


def read_log_list(body: bytes) -> LogList:
    """Read a list; its signature is not checked here. Raises ReadError where the file as a whole is no such list."""
    if len(body) > MAX_BYTES:
        raise OversizedError(f"couldn't read a list of logs: {len(body)} octets; the one known before stays")
    try:
        listed = msgspec.json.decode(body, type=_ListJson)
        made_at = _utc(listed.log_list_timestamp)
    except _WRONG as error:
        raise ReadError(f"couldn't read a list of logs: {error}; the one known before stays") from error
    logs: dict[bytes, ListedLog] = {}
    rejects: list[str] = []
    for place, entry in _entries(listed.operators):
        if len(logs) + len(rejects) >= _MAX_LOGS:
            raise OversizedError(f"couldn't read a list of logs: more than {_MAX_LOGS}; it is not used")
        try:
            log = entry()
        except _WRONG as error:
            rejects.append(f"{place}: {error}")
            continue
        if log.log_id in logs:
            rejects.append(f"{place}: another entry has the same log_id")
            continue
        logs[log.log_id] = log
    return LogList(version=listed.version[:40], made_at=made_at, logs=tuple(logs.values()), rejects=tuple(rejects))


def _entries(operators: list[msgspec.Raw]) -> Iterator[tuple[str, Callable[[], ListedLog]]]:
    """Each entry's place in the list, and how it is read; an operator that cannot be read is one that cannot."""
    for number, raw in enumerate(operators):
        try:
            operator = _OPERATOR.decode(raw)
            name = _text(operator.name, "its name")
        except _WRONG:
            yield f"operator {number}", partial(_unreadable, raw)
            continue
        for kind, entries in (("logs", operator.logs), ("tiled_logs", operator.tiled_logs)):
            for at, entry in enumerate(entries):
                yield f"{name}, {kind} {at}", partial(_log, entry, name, tiled=kind == "tiled_logs")


def _unreadable(raw: msgspec.Raw) -> ListedLog:
    _text(_OPERATOR.decode(raw).name, "its name")
    raise ReadError("it cannot be read")


def _log(raw: msgspec.Raw, operator: str, *, tiled: bool) -> ListedLog:
    entry = _LOG.decode(raw)
    key = _base64(entry.key, "its key")
    identity = _base64(entry.log_id, "its log_id")
    if hashlib.sha256(key).digest() != identity:
        raise ReadError("its log_id is not the SHA-256 of its key")
    _check_key(key)
    if not 0 <= entry.mmd <= _LONGEST_DELAY:
        raise ReadError("its maximum merge delay is no number of seconds up to a year")
    state, final_head = _state(entry.state)
    start = end = None
    if entry.temporal_interval is not None:
        start, end = _utc(entry.temporal_interval.start_inclusive), _utc(entry.temporal_interval.end_exclusive)
        if start >= end:
            raise ReadError("its temporal interval ends before it begins")
    return ListedLog(
        log_id=identity,
        description=_text(entry.description, "its description"),
        operator=operator,
        protocol="static" if tiled else "rfc6962",
        url=_url(entry.monitoring_url if tiled else entry.url),
        submission_url=_url(entry.submission_url) if tiled else "",
        key=key,
        mmd=entry.mmd,
        state=state,
        not_after_start=start,
        not_after_end=end,
        final_head=final_head,
    )


def _state(states: dict[str, msgspec.Raw]) -> tuple[str, FinalHead | None]:
    if not states:
        return _NO_STATE, None
    if len(states) > 1 or not set(states) <= _STATES:
        raise ReadError("its state is not one of those that there are")
    ((state, raw),) = states.items()
    if state != "readonly":
        return state, None
    final = msgspec.json.decode(raw, type=_ReadonlyJson).final_tree_head
    if final is None:
        return state, None
    if not 0 <= final.tree_size < 1 << 63 or len(final.sha256_root_hash) != HASH_SIZE:
        raise ReadError("its final tree head is out of range")
    return state, FinalHead(tree_size=final.tree_size, root_hash=final.sha256_root_hash)


def _check_key(key: bytes) -> None:
    try:
        load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ReadError("its key cannot be read") from error


def _base64(text: str, what: str) -> bytes:
    if len(text) > _MAX_KEY:
        raise ReadError(f"{what} is too long")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:  # binascii.Error and non-ASCII text
        raise ReadError(f"{what} is not base64") from error


def _text(text: str, what: str) -> str:
    if not text.strip() or len(text) > _MAX_TEXT or not text.isprintable():
        raise ReadError(f"{what} is empty, too long or not printable")
    return text.strip()


def _url(text: str) -> str:
    """A URL that can be joined with a path: no query, no user, a slash at its end."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    plain = text.isascii() and text.isprintable() and len(text) <= _MAX_TEXT and not set(text) & set(" @?#\\<>\"'")
    if not usable or not plain:
        raise ReadError("its URL cannot be used")
    return text.rstrip("/") + "/"


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ReadError("a time in it says no time zone")
    return moment.astimezone(UTC)


def list_key(text: str) -> bytes:
    """The key that signs lists, SPKI in DER, from base64 or PEM as the configuration has it. Raises ConfigError."""
    try:
        key = base64.b64decode("".join(_PEM.sub("", text).split()), validate=True)
        if not isinstance(load_der_public_key(key), rsa.RSAPublicKey):
            raise ConfigError("couldn't use log_list.key of ct.yaml: lists are signed with RSA; no list is read")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            "couldn't use log_list.key of ct.yaml: it is not a public key (DER in base64, or PEM); no list is read"
        ) from error
    return key


def verify_log_list(body: bytes, signature: bytes, key_spki_der: bytes) -> None:
    """Raises VerificationError unless the key (RSA) signed exactly these bytes."""
    key = load_der_public_key(key_spki_der)
    if not isinstance(key, rsa.RSAPublicKey):
        raise VerificationError("couldn't verify the list of logs: its key is no RSA key")
    try:
        key.verify(signature, body, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise VerificationError(
            "couldn't verify the list of logs: the configured key did not sign it; the one known before stays"
        ) from error
