"""What the keys of WHOIS replies mean: a folded key in, a role and a field out.

A key is a field of the domain ("creation date"), a role ("registrant", the head of a section or a contact's handle), a
role with an attribute ("owner-name", "admin email"), or an attribute alone ("e-mail"), which is the section's. The same
key means the same in every registry that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Role = Literal["domain", "registrant", "registrar", "contact", "other", "servers", ""]
"""Whose a key is: "contact" is a record of its own that is referred to by its handle, "other" are the contacts that
are neither registrant nor registrar, "servers" the list of name servers; empty where the key itself does not say."""


class Meaning(NamedTuple):
    """Whose a key is and what it says; `field` is empty for a section's head, and "?" where it is none of ours."""

    role: Role
    field: str


UNKNOWN: Final = Meaning("", "?")

_DOMAIN: Final[dict[str, tuple[str, ...]]] = {
    "domain": ("domain name", "domain", "domainname", "query", "ascii", "domain idn", "dominio"),
    "created": (
        *("creation date", "created", "created on", "created date", "date created", "registered", "registered on"),
        *("registration date", "domain registration date", "registration time", "record created", "registered date"),
        *("domain create date", "domain created", "domain created on", "create date", "domain name commencement date"),
        *("activation date", "record created on", "domain record activated", "activated", "activated on"),
        *("date registered", "crdate", "registration", "domain registered", "domain registered on", "created at"),
        *("assigned", "assigned date", "delegated", "domain registered date", "record registered", "activated at"),
        *(
            "first registration date",
            "registrar creation date",
            "domain dateregistered",
            "date de creation",
            "fecha de registro",
        ),
        *(
            "fecha de creacion",
            "fecha de alta",
            "data de criacao",
            "data de registo",
            "inserted",
            "reg date",
            "entered",
        ),
        *("domain creation date", "domain registration", "record activated", "start date", "connected date"),
    ),
    "updated": (
        *("updated date", "last updated", "last updated on", "last modified", "modified", "changed", "last update"),
        *(
            "updated",
            "domain last updated date",
            "record last updated on",
            "update date",
            "updated on",
            "modified date",
        ),
        *("modification date", "last modified date", "domain record last updated", "last updated date", "last changed"),
        *("updated at", "last update date", "domain last updated", "record last modified", "last change"),
        *("date modified", "date updated", "registrar updated date", "changed date", "ultima modificacion"),
        *(
            "record updated on",
            "domain datelastmodified",
            "domain last modified",
            "last edited",
            "last modified on",
            "domain modified",
        ),
    ),
    "expires": (
        *("registry expiry date", "registrar registration expiration date", "expiration date", "expiry date"),
        *("expires", "expires on", "paid till", "valid until", "renewal date", "record expires on", "expire date"),
        *("domain expiration date", "domain expires", "expire", "exp date", "expiration time", "expires at"),
        *("expiry", "validity", "valid date", "domain expires on", "expiration", "renewal", "record will expire on"),
        *("registration expiration date", "domain expiry date", "expdate", "expires date", "valid to", "paid until"),
        *("free date", "record expires", "fecha de expiracion", "fecha de vencimiento", "data de expiracao"),
        *("date d'expiration", "expired date", "option expiration date", "expired", "validity date", "end date"),
        *(
            "domain expires date",
            "domain expiration",
            "registered until",
            "next renewal date",
            "expiring date",
            "record expired",
            "domain datebilleduntil",
        ),
    ),
    "name_server": (
        *("name server", "name servers", "nserver", "nameserver", "nameservers", "ns", "dns", "dns server"),
        *("dns servers", "host name", "hostname", "domain servers in listed order", "domain nameservers", "ns name"),
        *(
            "primary server",
            "secondary server",
            "name servers information",
            "domain servers",
            "name server information",
        ),
        *("nameserver information", "nameservers in listed order", "domain name servers", "name server hostname"),
        *("name server handle", "primary server hostname", "secondary server hostname", "ns hostname", "ns host"),
        *("nameserver name", "authoritative name servers", "servers", "delegated name servers", "name servers listed"),
        *("domain nameserver", "primary name server", "secondary name server", "dns name", "dns host", "fqdn"),
        *("primary dns", "secondary dns", "host", "servidor", "servidores dns", "servidor dns", "nombres de dominio"),
        *(
            "listado de dns",
            "name server list",
            "name servers in the listed order",
            "name servers in listed order",
            "host server",
            "nservers",
            "name server in listed order",
        ),
        *("hostnames", "primary nameserver", "secondary nameserver", "nameserver hostname", "dns server name"),
    ),
    "status": ("status", "domain status", "state", "eppstatus", "registration status", "estado", "domain state"),
    "dnssec": ("dnssec", "dnssec signed", "signed", "dnssec status"),
    "registrar_iana_id": ("registrar iana id", "sponsoring registrar iana id", "iana id"),
    "descr": ("descr",),
}

_ROLES: Final[dict[Role, tuple[str, ...]]] = {
    "registrant": (
        *("registrant", "registrant contact", "registrant contact information", "registrant information", "holder"),
        *("domain holder", "owner", "domain owner", "domain owner contact", "owner contact", "registrant details"),
        *("holder of domain name", "domain owners", "registrant handle", "holder c", "owner c", "registrant c"),
        *("domain registrant", "domain name administrator", "titular", "titular do dominio", "registrants"),
        *("domain name holder", "organization using domain name", "registered by", "licensee", "licence holder"),
        *("registrant internationalized address", "registrant data", "titulaire", "domain name registrant", "bearer"),
        *("registrant organization and address", "registrant person", "domaininhaber", "holder contact"),
        *(
            "contact information",
            "registrant org and address",
            "owner information",
            "registrant record",
            "domain owner information",
        ),
    ),
    "registrar": (
        *("registrar", "sponsoring registrar", "current registrar", "registration service provider", "registrar data"),
        *("authorized agency", "registrar information", "registrar of record", "registrar details", "agent"),
        *("maintained by", "accredited registrar", "authorised registrar", "registered through", "registrar company"),
        *("provider", "registrar contact information", "current registar", "support", "registered via"),
    ),
    "servers": (),
    "domain": (
        *(
            "additional info",
            "additional information",
            "additional section",
            "domain information",
            "domain details",
            "relevant dates",
            "domain data",
            "status information",
            "dates",
        ),
        *("dnssec information", "domain name information", "registration information", "record", "domain record"),
    ),
}
_OTHERS: Final = frozenset(
    """
    admin administrative adm administrator tech technical tec tecnico technique billing bill zone
    abuse reseller contact noc support manager managers managing agent secondary security emergency owner-technical
    facturation cobranza pagamento financial facturacion
    """.split()  # noqa: SIM905  a column of quoted words would fill the page
)
_ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "name": (
        *("name", "contact name", "full name", "person", "personname", "english name", "contact person", "nom"),
        *("names", "nombre", "contact", "person name", "responsible person", "role"),
        *("name english", "internationalized name"),
    ),
    "organisation": (
        *("organization", "organisation", "org", "company", "company name", "organization name", "org name", "firm"),
        *("company english name", "organisation name", "org english name", "organizacion", "corporation", "corporate"),
        *("contact organization", "contact organisation", "internationalized organization", "legal name", "orgname"),
    ),
    "email": (
        *(
            "email",
            "e mail",
            "mail",
            "email address",
            "e mail address",
            "contact email",
            "contact e mail",
            "public email",
        ),
        *("email addresses", "correo", "correo electronico", "emails", "eml", "mailbox"),
    ),
    "phone": (
        *("phone", "phone number", "telephone", "tel", "phone no", "telephone number", "contact phone", "voice"),
        *("phone numbers", "tel no", "telefono", "telefone", "contact telephone", "office phone"),
    ),
    "country": (
        *("country", "country code", "country economy", "countrycode", "pais", "country name", "contact country"),
        *("cc", "country region"),
    ),
    "handle": (
        "id",
        "handle",
        "nic hdl",
        "nic hdl br",
        "contact id",
        "nic handle",
        "contact handle",
        "norid handle",
        "code",
    ),
    "role": ("type",),
}
_LEFT_OUT: Final = frozenset(
    """
    address street city state province postal code zip fax ext language website url web page remarks source mnt by
    notify changed created updated anonymous obsoleted script organization type number vat ident trouble key
    """.split()  # noqa: SIM905  as above
)
REFERRING: Final = frozenset(
    {"holder c", "owner c", "registrant c", "registrant handle", "owner contact", "licensee c"}
)
"""Keys whose value is the handle of the registrant's record."""
CONTACTS: Final = frozenset({"contact", "person", "role", "nic hdl", "nic hdl br", "personname", "contact id", "id"})
"""Keys by which a contact's own record begins."""

_BY_KEY: Final[Mapping[str, Meaning]] = {
    **{key: Meaning("domain", "") for key in _ROLES["domain"]},
    **{key: Meaning("registrant", "") for key in _ROLES["registrant"]},
    **{key: Meaning("registrar", "") for key in _ROLES["registrar"]},
    **{key: Meaning("domain", field) for field, keys in _DOMAIN.items() for key in keys},
    # Several of these stand for a section of other contacts as well; as keys of a value they are the domain's.
    "registrar name": Meaning("registrar", "name"),
    "registrar organization": Meaning("registrar", "organisation"),
    "registrar company name": Meaning("registrar", "name"),
    "sponsoring registrar organization": Meaning("registrar", "organisation"),
    "registry registrant id": Meaning("registrant", "handle"),
    "responsible": Meaning("registrant", "name"),
    "org name": Meaning("registrant", "organisation"),
    "org country": Meaning("registrant", "country"),
    "org email": Meaning("registrant", "email"),
    "org phone": Meaning("registrant", "phone"),
    "organisation using domain name": Meaning("registrant", "organisation"),
}
_SECTIONS: Final = frozenset(
    {"admin", "administrative", "tech", "technical", "billing", "billing party", "admin c", "tech c"}
)
_ATTRIBUTE: Final = {key: field for field, keys in _ATTRIBUTES.items() for key in keys}
_LED: Final[tuple[Role, ...]] = ("registrant", "registrar")
_LEADS: Final = sorted(((f"{key} ", role) for role in _LED for key in _ROLES[role]), key=lambda pair: -len(pair[0]))
_CONTACT_ENDS: Final = (" contact", " contacts", " contact information")
_LONGEST_HEAD: Final = 48
_LONGEST_WORDS: Final = 6


def meaning(key: str) -> Meaning:
    """What a folded key means; UNKNOWN where no table has it."""
    if known := _BY_KEY.get(key):
        return known
    if field := _ATTRIBUTE.get(key):
        return Meaning("", field)
    for lead, role in _LEADS:
        if key.startswith(lead):
            rest = key[len(lead) :]
            field = _ATTRIBUTE.get(rest, "?")
            # "Registrar Technical Contacts", "Registrar Abuse Contact Email".
            return _other(rest.split()) if field == "?" and _OTHERS & set(rest.split()) else Meaning(role, field)
    words = key.split()
    return _other(words) if len(words) <= _LONGEST_WORDS and _OTHERS & set(words) else UNKNOWN


def _other(words: list[str]) -> Meaning:
    """Another contact: the head of its section, or an attribute of it, which begins nothing ("admin email")."""
    last = words[-1]
    return Meaning("other", "?" if last in _LEFT_OUT or (last in _ATTRIBUTE and last != "contact") else "")


def heads(text: str) -> Meaning:
    """What a line without a colon is the head of ("Titular / Registrant", "Nameservers"), if anything."""
    # A line of terms of use may be one word too: "... to the\nregistrar."
    if len(text) > _LONGEST_HEAD or not text[:1].isupper() or text.endswith((".", ",")):
        return UNKNOWN
    for part in (text.rpartition(" / ")[2], text, text.partition("/")[0]):
        key = " ".join(part.casefold().replace("_", " ").replace("-", " ").split()).strip(" .*-")
        if known := _BY_KEY.get(key):
            if not known.field or known.field == "name_server":
                return known
        elif key in _SECTIONS or (key.endswith(_CONTACT_ENDS) and len(key.split()) <= 4):
            return Meaning("other", "")
    return UNKNOWN


def is_detail(key: str) -> bool:
    """Whether a key with nothing behind it belongs to a contact (its address) and begins nothing of its own."""
    return bool(key) and all(word in _LEFT_OUT for word in key.split())
