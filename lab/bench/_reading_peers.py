"""What other readers find in a certificate, for comparison: DER in, names and addresses out, None where they refuse.

Names are the DNS names of subjectAltName and the subject's common names, as the peer gives them; of addresses the
text. `cryptography` comes with the project, asn1crypto with the extra `bench`, OpenSSL is asked where it is installed.
"""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

Peer = Callable[[bytes], "frozenset[str] | None"]

_OPENSSL_SECONDS: Final = 10
_DNS: Final = re.compile(r"DNS:([^,\n]*)")
_ADDRESS: Final = re.compile(r"IP Address:([^,\n]*)")
_COMMON_NAME: Final = re.compile(r"^ *commonName *= (.*)$", re.MULTILINE)


def peers() -> dict[str, Peer]:
    """The peers that are at hand, by name."""
    found: dict[str, Peer] = {"cryptography": by_cryptography}
    try:
        import asn1crypto.x509  # noqa: F401, PLC0415 - an extra
    except ImportError:
        pass
    else:
        found["asn1crypto"] = by_asn1crypto
    if shutil.which("openssl"):
        found["openssl"] = by_openssl
    return found


def could_be_a_name(text: str) -> bool:
    """Whether a peer's text can be a name or address at all: readable, of one word, with a dot or a colon.

    Names outside of ASCII are left out, which we write in A-labels, and so are URLs, of which we take the host.
    """
    bare = text.strip()
    return (
        bare.isascii()
        and bare.isprintable()
        and not set(" /\\,") & set(bare)
        and bool(set(".:") & set(bare.strip(".")))
    )


def by_cryptography(der: bytes) -> frozenset[str] | None:
    """pyca/cryptography, which is strict; what it reads of one extension counts although it refuses another."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            certificate = x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion):
            return None
        names: set[str] = set()
        try:
            common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            names.update(attribute.value for attribute in common if isinstance(attribute.value, str))
        except (ValueError, TypeError):
            pass
        try:
            general = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (
            ValueError,
            x509.ExtensionNotFound,
            x509.DuplicateExtension,
            x509.UnsupportedGeneralNameType,
            TypeError,
        ):
            return frozenset(names)
        names.update(general.get_values_for_type(x509.DNSName))
        names.update(str(address) for address in general.get_values_for_type(x509.IPAddress))
        return frozenset(names)


def by_asn1crypto(der: bytes) -> frozenset[str] | None:
    """asn1crypto, which reads leniently and lazily."""
    from asn1crypto.x509 import Certificate  # noqa: PLC0415 - an extra

    names: set[str] = set()
    try:
        contents = Certificate.load(der)["tbs_certificate"]
        extensions = contents["extensions"]
        for extension in extensions if extensions.native is not None else ():
            if extension["extn_id"].dotted == "2.5.29.17":
                _add_general(names, extension["extn_value"].parsed)
    except (ValueError, TypeError, KeyError, AttributeError):
        if not names:
            return None
    try:
        for relative in contents["subject"].chosen:
            names.update(pair["value"].native for pair in relative if pair["type"].dotted == "2.5.4.3")
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return frozenset(name for name in names if isinstance(name, str))


def _add_general(names: set[str], general: Any) -> None:
    for name in general:
        if name.name == "dns_name":
            names.add(name.chosen.contents.decode("latin-1"))
        elif name.name == "ip_address" and len(name.chosen.contents) in {4, 16}:
            names.add(str(ipaddress.ip_address(name.chosen.contents)))


def by_openssl(der: bytes) -> frozenset[str] | None:
    """`openssl x509 -text`, whose text is taken apart: a name with a comma or a line feed in it comes in pieces."""
    command = ("openssl", "x509", "-inform", "DER", "-noout", "-text", "-nameopt", "multiline,utf8,-esc_msb")
    done = subprocess.run(command, input=der, capture_output=True, timeout=_OPENSSL_SECONDS, check=False)
    if done.returncode:
        return None
    text = done.stdout.decode("utf-8", "replace")
    alternative = "\n".join(re.findall(r"X509v3 Subject Alternative Name:[^\n]*\n([^\n]*)", text))
    subject = text.partition("\n        Subject:")[2].partition("\n        Subject Public Key Info:")[0]
    names = {*_DNS.findall(alternative), *_COMMON_NAME.findall(subject)}
    for address in _ADDRESS.findall(alternative):
        try:
            names.add(str(ipaddress.ip_address(address.strip())))
        except ValueError:
            continue
    return frozenset(names)
