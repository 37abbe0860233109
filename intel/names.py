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

# What the Public Suffix List says of a name: `name`, `!name`, `*.name`.
_EXACT: Final = 1
_EXCEPTION: Final = 2
_WILDCARD: Final = 4


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
        kinds: dict[str, int] = {}
        for rule in rules:
            bare = rule.removeprefix("!").removeprefix("*.")
            kind = _EXCEPTION if rule.startswith("!") else _WILDCARD if rule.startswith("*.") else _EXACT
            kinds[bare] = kinds.get(bare, 0) | kind
        self.shared: Final = frozenset(name for name in shared if not kinds.get(name, 0) & _EXACT)
        for name in self.shared:
            kinds[name] = kinds.get(name, 0) | _EXACT
        self._kinds = kinds
        # No rule speaks of more labels than this, so that a name of a hundred costs what a short one does.
        self._most = max((name.count(".") + 2 for name in kinds), default=1)

    def registrable(self, name: str) -> str:
        """The registrable domain of a canonical name; the name itself where it is a suffix."""
        starts = [0]
        dot = name.find(".")
        while dot >= 0:
            starts.append(dot + 1)
            dot = name.find(".", dot + 1)
        count = len(starts)
        suffix = count - 1  # the default rule "*"
        kinds = self._kinds
        # From the longest tail on: the rule with the most labels prevails, an exception over all.
        for number in range(max(0, count - self._most), count):
            kind = kinds.get(name[starts[number] :])
            if kind is None:
                continue
            if kind & _EXCEPTION:
                suffix = number + 1
            elif kind & _WILDCARD and number:
                suffix = number - 1
            elif kind & _EXACT:
                suffix = number
            else:
                continue
            break
        return name[starts[suffix - 1] :] if suffix else name

    def is_suffix(self, name: str) -> bool:
        """Whether strangers hold names below this one."""
        kind = self._kinds.get(name, 0)
        if kind & _EXCEPTION or self.registrable(name) != name:
            return False
        _, dot, parent = name.partition(".")
        return not dot or kind & _EXACT > 0 or self._kinds.get(parent, 0) & _WILDCARD > 0


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
