"""Whether a log's chain is its certificate's: an entry and the chain that the log gave in, a contradiction out.

The tree covers an entry's leaf and not its chain (RFC 6962 3.4): the chain is the log's word. A chain that contradicts
the leaf says nothing against the leaf, and something about the log.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from intel.ct import EntryType, LoggedEntry, TimestampedEntry, read_extra_data
from intel.errors import ReadError
from intel.x509 import read_certificate

_LINKS: Final = 10  # certificates of a chain that are looked at; real ones have fewer
# 1.3.6.1.4.1.11129.2.4.4, the extended key usage of a precertificate signing certificate (RFC 6962 3.1).
_PRECERTIFICATE_SIGNING: Final = bytes.fromhex("060a2b06010401d679020404")


def chain_fault(logged: LoggedEntry, at_hand: Mapping[bytes, bytes]) -> str:
    """What contradicts the leaf in its chain; empty where nothing does, and where nothing can be compared.

    A precertificate's leaf names its issuer's key, a certificate is signed by the first of its chain. `at_hand` has
    certificates (DER) by their SHA-256, for a tiled log's entries, which name their chain by fingerprints.
    """
    if logged.entry is None:
        return ""
    chain = _chain(logged, at_hand)
    if not chain:
        return ""
    if logged.entry.entry_type is EntryType.PRECERT:
        fault = _key_fault(logged.entry, chain)
    else:
        signed = _signed_by(logged.entry.signed, chain[0])
        fault = "the chain's first certificate didn't sign it" if signed is False else ""
    return fault or _broken_link(chain[:_LINKS])


def _chain(logged: LoggedEntry, at_hand: Mapping[bytes, bytes]) -> Sequence[bytes]:
    """The chain as far as it is at hand without a gap."""
    if logged.extra_data:
        try:
            return read_extra_data(logged)[1]
        except ReadError:
            return ()
    chain: list[bytes] = []
    for fingerprint in logged.issuers:
        if fingerprint not in at_hand:
            break
        chain.append(at_hand[fingerprint])
    return chain


def _broken_link(chain: Sequence[bytes]) -> str:
    """Whether each certificate of the chain was signed by the next."""
    if any(_signed_by(certificate, issuer) is False for certificate, issuer in itertools.pairwise(chain)):
        return "a certificate of the chain wasn't signed by the next"
    return ""


def _key_fault(entry: TimestampedEntry, chain: Sequence[bytes]) -> str:
    # A precertificate signing certificate is not the issuer: who issued that one is.
    issuers = chain[1:2] if _PRECERTIFICATE_SIGNING in chain[0] else chain[:1]
    if not issuers:
        return ""
    try:
        key = read_certificate(issuers[0]).spki_sha256
    except ReadError:
        return ""
    if key is None or key == entry.issuer_key_hash:
        return ""
    return "the leaf names another issuer's key than the chain's first certificate has"


def _signed_by(certificate_der: bytes, issuer_der: bytes) -> bool | None:
    """Whether the issuer's key signed the certificate; None where that cannot be told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of what may become an error
            certificate = x509.load_der_x509_certificate(certificate_der)
            issuer = x509.load_der_x509_certificate(issuer_der)
            return _verify(certificate, issuer.public_key())
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):  # the last is none of the others
        return None


def _verify(certificate: x509.Certificate, key: CertificatePublicKeyTypes) -> bool | None:
    scheme, hashed = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    if isinstance(key, rsa.RSAPublicKey):
        if not isinstance(scheme, padding.PKCS1v15 | padding.PSS) or hashed is None:
            return False
        key.verify(signature, signed, scheme, hashed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(scheme, ec.ECDSA):
            return False
        key.verify(signature, signed, scheme)
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        if scheme is not None:
            return False
        key.verify(signature, signed)
    else:
        return None
    return True
