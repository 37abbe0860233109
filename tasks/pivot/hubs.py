"""What kind of shared thing a value is: an entity in, `Hub`s out, from lists, configs/hubs*, and registration's words.

No database: what is read is read once in a process. What several lists say is all given; `intel.hubs.weakest` is what
counts for a link.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Final

from intel.config.hubs import ClassEntry, EndEntry, HubsFile, read_hub_values, read_hubs
from intel.entities import Entity, Kind, entity, guess
from intel.errors import ReadError
from intel.facts import State
from intel.hubs import Hub, HubClass
from intel.names import default_suffixes
from intel.registration import Field
from intel.registration_words import RegistrationWords, email_field, name_field, phone_field, read_words
from intel.settings import CHECKOUT, settings
from tasks.pivot.hub_lists import Annotation, Found, lists, suffix_list_day
from tasks.pivot.hub_values import Values, factor_of, kind_of

_WORDS: Final = "registration.yaml"
_READERS: Final[dict[str, Callable[..., Field]]] = {
    Kind.EMAIL: email_field,
    Kind.REGISTRANT: name_field,
    Kind.PHONE: phone_field,
}
_NOBODY: Final = {
    State.PROXY: (HubClass.PRIVACY_PROXY, "a privacy or proxy service: its customers share it"),
    State.REDACTED: (HubClass.PLACEHOLDER, "a redaction's wording, which names nobody"),
    State.PLACEHOLDER: (HubClass.PLACEHOLDER, "a placeholder, which names nobody"),
}
_ENDS: Final = {"seized": HubClass.SEIZURE, "sinkholed": HubClass.SINKHOLE}
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_CUSTOMERS: Final = "a stranger's place there, not the service's own: "


@lru_cache(maxsize=65_536)
def links_nothing(item: Entity) -> bool:
    """Whether sharing an entity says nothing about the hand, by a list or by configs/hubs*."""
    return any(not hub.links for hub in hubs_of(item))


def hubs_of(item: Entity, *, predicate: str = "") -> list[Hub]:
    """What kinds of shared thing an entity is, each list or entry once; empty where nothing knows it.

    `predicate` says what it is of another thing: an issuer's name counts as an issuer for `issued-by`, as a subject for
    `described-as`, as either where it is left out. Raises ConfigError where configs/ is wrong.
    """
    known = _known()
    found = list(known.listed(item))
    found += known.values.hubs(item, predicate)
    found += nobodys(item)
    found += known.ends(item)
    found += known.special(item, found)
    if item.kind == Kind.IP and (inner := _translated(item.address)):
        found += hubs_of(entity(Kind.IP, inner), predicate=predicate)
    if item.kind == Kind.NAME_SERVER_SET:
        found += _whole_set(item, found, known)
    return list(dict.fromkeys(found))


def annotate(item: Entity) -> list[Annotation]:
    """What known-good lists, hubs and values take from a finding that touches an entity, each once."""
    said = lists().annotate(item)
    for hub in _known().values.hubs(item):
        if hub.takes:
            said.append(Annotation(list=hub.list, hub=hub.hub, takes=hub.takes, why=hub.why))
    return said


class _Known:
    """What configs/ says, indexed."""

    def __init__(self, hubs: HubsFile) -> None:
        self._classes = hubs.classes
        self.values = Values(read_hub_values(settings().configs / "hubs-values.yaml"), hubs.classes)
        self._names: dict[str, list[Hub]] = {}
        self._registrants: dict[str, list[Hub]] = {}
        self._networks: list[tuple[str, Hub]] = []
        self._documentation = [guess(text) for text in hubs.documentation]
        for entry in hubs.ends:
            self._end(entry)

    def about(self, hub: str) -> ClassEntry | None:
        """What having a value of this class in common means, where configuration says."""
        return self._classes.get(HubClass(hub))

    def listed(self, item: Entity) -> Iterator[Hub]:
        """What the lists say."""
        for one in lists().find(item):
            yield self._of_list(one, item, below=one.below)
        if item.scope and item.kind in {Kind.DOMAIN, Kind.NAME_SERVER}:
            for one in lists().of_suffix(item.scope.partition(".")[2]):
                if one.entry.hub == HubClass.DYNAMIC_DNS:
                    yield self._of_list(one, item, below=True)
            if default_suffixes().is_suffix(item.value):
                yield Hub(
                    hub=HubClass.SHARED_SUFFIX,
                    why="a public suffix, below which strangers have names",
                    list="the public suffix list",
                    as_of=suffix_list_day(),
                    takes=50,
                    factor=factor_of(self._classes, HubClass.SHARED_SUFFIX, item.kind),
                )

    def _of_list(self, one: Found, item: Entity, *, below: bool) -> Hub:
        entry = one.entry
        return Hub(
            hub=entry.hub,
            why=(_CUSTOMERS if below else "") + entry.why,
            list=one.list,
            as_of=one.as_of,
            takes=entry.takes,
            factor=1.0
            if below or self._is_example(entry.hub, item)
            else factor_of(self._classes, entry.hub, kind_of(item)),
        )

    def _is_example(self, hub: HubClass, item: Entity) -> bool:
        """Whether it is special for being reserved for documentation alone."""
        return hub == HubClass.SPECIAL_USE and any(
            _within(item.address, one.address) if one.address else one.value == item.scope
            for one in self._documentation
        )

    def special(self, item: Entity, said: Sequence[Hub]) -> Iterator[Hub]:
        """Whether an address is nobody's on the internet, where no list says so."""
        if not item.address or any(one.hub == HubClass.SPECIAL_USE for one in said):
            return
        network = ipaddress.ip_network(item.address)
        if network.is_private or network.is_unspecified or network.is_loopback:
            yield Hub(
                hub=HubClass.SPECIAL_USE,
                why="an address that is nobody's on the internet (RFC 6890)",
                list="IANA's special-purpose addresses",
                factor=factor_of(self._classes, HubClass.SPECIAL_USE, item.kind),
            )

    def ends(self, item: Entity) -> list[Hub]:
        """Whether it is somebody's who takes domains away."""
        found: list[Hub] = []
        if item.kind in {Kind.EMAIL, Kind.REGISTRANT}:
            found += self._registrants.get(item.value.lower(), ())
        if item.kind in {Kind.DOMAIN, Kind.NAME_SERVER}:
            name = item.value
            while name:
                found += self._names.get(name, ())
                name = name.partition(".")[2]
        found += [hub for taken, hub in self._networks if _within(item.address, taken)]
        return found

    def _end(self, entry: EndEntry) -> None:
        hub = Hub(hub=_ENDS[entry.reason], why=entry.how, list="hubs.yaml", as_of=entry.as_of, takes=40)
        for text in entry.registrants:
            self._registrants.setdefault(text.lower(), []).append(hub)
        for text in entry.name_servers:
            self._names.setdefault(entity(Kind.NAME_SERVER, text).value, []).append(hub)
        for network in entry.addresses:
            self._networks.append((str(network), hub))


def _within(address: str, network: str) -> bool:
    """Whether an address or network lies in a network; one that is empty lies in none."""
    if not address:
        return False
    inner, outer = ipaddress.ip_network(address), ipaddress.ip_network(network)
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # of one version


def _translated(address: str) -> str:
    """The IPv4 address in one of NAT64 (RFC 6052) or 6to4 (RFC 3056); empty for any other."""
    found = ipaddress.ip_address(address)
    if found.version == 4:
        return ""
    if found in _NAT64:
        return str(ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF))
    return str(found.sixtofour or "")


def nobodys(item: Entity) -> Iterator[Hub]:
    """Whether a registrant's name, e-mail or phone is a privacy service's, or a placeholder, by registration.yaml."""
    reader = _READERS.get(item.kind)
    if reader is None:
        return
    said = _NOBODY.get(State(reader(item.value, _words(), where="", reader="").state))
    if said is not None:
        yield Hub(hub=said[0], why=said[1], list=_WORDS, takes=60)


def _whole_set(item: Entity, found: Sequence[Hub], known: _Known) -> Iterator[Hub]:
    """What a set of name servers is that are all of one class, where that makes the set of it too."""
    if found:
        return
    hosts = [hubs_of(host) for host in _hosts(item)]
    if not hosts:
        return
    for hub in hosts[0]:
        about = known.about(hub.hub)
        if about is not None and about.sets and all(any(one.hub == hub.hub for one in other) for other in hosts):
            yield hub


def _hosts(item: Entity) -> list[Entity]:
    hosts = []
    for name in item.value.split():
        try:
            hosts.append(entity(Kind.NAME_SERVER, name))
        except ReadError:  # what a set holds was read once already
            return []
    return hosts


@cache
def _known() -> _Known:
    return _Known(read_hubs(settings().configs / "hubs.yaml"))


@cache
def _words() -> RegistrationWords:
    found = settings().configs / _WORDS
    return read_words((found if found.is_file() else CHECKOUT / "configs" / _WORDS).read_bytes())


def meaning(hub: Hub) -> str:
    """What a hub means for a pivot, in a phrase."""
    about = _known().about(hub.hub)
    said = about.means if about is not None else "it links nothing"
    if about is not None and hub.factor == about.factor:
        return said
    return f"{said}; here it counts {'in full' if hub.factor == 1 else format(hub.factor, 'g')}"
