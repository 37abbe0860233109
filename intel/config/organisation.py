"""Who we are: configs/organisation.yaml. What makes a threat targeted is that it touches these."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

from intel.config.read import Strict, check, read_yaml
from intel.errors import ReadError
from intel.names import canonical_name


class Organisation(Strict):
    """Ourselves."""

    name: str = ""
    sector: str = ""
    contact: str = ""
    """An e-mail address or https URL, sent in User-Agent to those who ask for one (CT logs)."""
    domains: tuple[str, ...] = ()
    """Ours: certificates for names that look like them are reported."""
    brands: tuple[str, ...] = ()
    """Words that stand for us in names of others."""
    networks: tuple[str, ...] = ()
    expected_certificates: tuple[str, ...] = ()
    """SHA-256 of certificates, of their TBS or of public keys that we know to be ours. Where any are given, other
    certificates for our domains are reported."""

    def domain_of(self, name: str) -> str:
        """Our domain that a canonical name is or stands below; empty where there is none."""
        for own in self.domains:
            try:
                domain = canonical_name(own)
            except ReadError:
                continue
            if name == domain or name.endswith(f".{domain}"):
                return domain
        return ""

    def network_of(self, address: str) -> str:
        """Our network that an address is in; empty where there is none."""
        try:
            ip = ip_address(address)
        except ValueError:
            return ""
        for own in self.networks:
            try:
                network = ip_network(own, strict=False)
            except ValueError:
                continue
            if ip in network:
                return str(network)
        return ""


def read_organisation(configs: Path) -> Organisation:
    """configs/organisation.yaml. Raises ConfigError where it is wrong."""
    path = configs / "organisation.yaml"
    return check(path, Organisation, read_yaml(path) or {})
