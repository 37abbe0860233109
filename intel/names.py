"""DNS names: one canonical form, and what a name is registered under.

A canonical name is lower-case, in A-labels (RFC 5890), without a trailing dot, at most 253 octets, each label at
most 63 (RFC 1035 2.3.4). Underscores are kept: service names use them (RFC 8552).

The registrable domain is what somebody registered: the public suffix and one label. Dynamic-DNS providers and other
hosts of strangers' names count as suffixes too, because what stands below them belongs to different hands. Suffixes
come from packages (`publicsuffixlist`, and the list "dynamic-dns" of `pymispwarninglists`), never from the repository.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import idna

from intel.errors import ConfigError, ReadError

_LDH_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MAX_NAME: Final = 253


def canonical_name(text: str) -> str:
    """The one form of a DNS name. `text` is already refanged.

    Raises ReadError for what cannot be a name with at least two labels, an all-numeric last label included.
    """
    if len(text) > _MAX_NAME * 4:
        raise ReadError("couldn't read a name: longer than 253 octets")
    name = text.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, std3_rules=False).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise ReadError("couldn't read a name: not an internationalised name (RFC 5891)") from error
    if len(name) > _MAX_NAME:
        raise ReadError("couldn't read a name: longer than 253 octets")
    if _LDH_NAME.fullmatch(name) is None:
        raise ReadError("couldn't read a name: not labels of letters, digits and hyphens joined by dots")
    if name.rpartition(".")[2].isdigit():
        raise ReadError("couldn't read a name: its last label is a number")
    return name


class Suffixes:
    """Public suffixes, and which part of a name somebody registered.

    `rules` are lines of the Public Suffix List's format (plain, `*.` and `!` rules); `shared` are further names below
    which strangers hold names (dynamic DNS).
    """

    def __init__(self, rules: Iterable[str], shared: Iterable[str] = ()) -> None:
        self._exact: set[str] = set()
        self._wildcard: set[str] = set()
        self._exception: set[str] = set()
        for rule in rules:
            if rule.startswith("!"):
                self._exception.add(rule[1:])
            elif rule.startswith("*."):
                self._wildcard.add(rule[2:])
            else:
                self._exact.add(rule)
        self.shared: Final = frozenset(shared) - self._exact
        self._exact |= self.shared

    def registrable(self, name: str) -> str:
        """The registrable domain of a canonical name; the name itself where it is a suffix."""
        labels = name.split(".")
        suffix_from = len(labels) - 1  # the default rule "*"
        for start in range(len(labels)):
            tail = ".".join(labels[start:]) if start else name
            if tail in self._exception:
                suffix_from = start + 1
                break
            if tail in self._exact:
                suffix_from = start
                break
            if start + 1 < len(labels) and tail.partition(".")[2] in self._wildcard:
                suffix_from = start
                break
        return ".".join(labels[max(suffix_from - 1, 0) :])

    def is_suffix(self, name: str) -> bool:
        """Whether strangers hold names below this one."""
        return self.registrable(name) == name and (
            name in self._exact or "." not in name or name.partition(".")[2] in self._wildcard
        )


def package_folder(name: str) -> Path:
    """Where an installed package lies, without importing it: importing pymispwarninglists takes over a second."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ConfigError(f"couldn't find the package {name}: it is not installed; `make help` sets up what is missing")
    return Path(spec.origin).parent


def _psl_rules() -> list[str]:
    text = (package_folder("publicsuffixlist") / "public_suffix_list.dat").read_text("utf-8")
    rules = []
    for line in text.splitlines():
        rule = line.strip()
        if not rule or rule.startswith("//"):
            continue
        prefix = "!" if rule.startswith("!") else "*." if rule.startswith("*.") else ""
        bare = rule[len(prefix) :]
        if not bare.isascii():
            bare = idna.encode(bare, uts46=True).decode("ascii")
        rules.append(prefix + bare)
    return rules


def dynamic_dns_suffixes() -> frozenset[str]:
    """The dynamic-DNS suffixes that `pymispwarninglists` carries, canonical; unreadable lines are left out."""
    path = package_folder("pymispwarninglists") / "data/misp-warninglists/lists/dynamic-dns/list.json"
    names = set()
    for line in json.loads(path.read_text("utf-8"))["list"]:
        try:
            names.add(canonical_name(line.strip().lstrip(".")))
        except ReadError:
            continue
    return frozenset(names)


@cache
def default_suffixes() -> Suffixes:
    """The suffixes of the installed packages, read once per process (about 0.1 s)."""
    return Suffixes(_psl_rules(), dynamic_dns_suffixes())
