"""Which hosts may be asked for documents: none that is not listed.

An entry of the list is a host name or address ("wiki.example.org", "[2001:db8::1]"), with the ports
80 and 443, or with one port of its own ("wiki.example.org:8080"), or a network ("10.0.0.0/8").
A private, loopback or otherwise special address is refused whatever name leads to it, unless it is
listed itself or lies in a listed network: so no name and no redirect reaches what is inside
(server-side request forgery).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import urlsplit

from rag.errors import AddressRefused, BadInput, BadSettings

Address = IPv4Address | IPv6Address

PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NAT64 = IPv6Network("64:ff9b::/96")


class AllowedHosts:
    """Raises BadSettings for an entry that is neither."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._hosts: dict[str, set[int]] = {}
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            if "/" in entry:
                self._networks.append(_network(entry))
            else:
                host, port = _host_and_port(entry)
                self._hosts.setdefault(host, set()).update([port] if port else PORTS.values())

    def check(self, url: str) -> tuple[str, int]:
        """The host and port of an http address. Raises BadInput when it is none, AddressRefused
        when its host is not listed."""
        host, port = host_of(url)
        literal = _literal(host)
        ports = self._hosts.get(host, set())
        if literal is not None and self._in_networks(literal):
            ports = ports | set(PORTS.values())
        if port not in ports:
            raise AddressRefused(
                f"{host}:{port} is not among the hosts that documents may be brought from; an "
                "operator lists those in source_hosts"
            )
        return host, port

    def check_address(self, host: str, address: Address) -> None:
        """Raises AddressRefused for an address to which `host` must not lead."""
        inner = _inner(address)
        listed = str(address) in self._hosts or str(inner) in self._hosts
        if listed or self._in_networks(address) or self._in_networks(inner):
            return
        for each in (address, inner):
            if not each.is_global or each.is_multicast:
                raise AddressRefused(
                    f"{host} leads to {address}, which is not a public address; if that is meant, "
                    "an operator lists the address or its network in source_hosts"
                )

    def _in_networks(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def host_of(url: str) -> tuple[str, int]:
    """Raises BadInput for what is not an http or https address."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as exc:
        raise BadInput(f"{url!r:.200} is not an address: {exc}") from exc
    if parts.scheme not in PORTS or not parts.hostname:
        raise BadInput(f"{url!r:.200} is not an address that begins with http:// or https://")
    if parts.username is not None or parts.password is not None:
        raise BadInput("an address must not hold a name and a password")
    return _spelt(parts.hostname), port


def _spelt(host: str) -> str:
    """One spelling for each host."""
    literal = _literal(host)
    if literal is not None:
        return str(literal)
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise BadInput(f"{host!r:.200} cannot be the name of a host") from exc
    return plain.lower().rstrip(".")


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address carries, else itself."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _host_and_port(entry: str) -> tuple[str, int]:
    host, port = entry.strip(), ""
    if _literal(host) is None:  # "::1" holds colons of its own
        match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(?::(\d{1,5}))?", host)
        host, port = (match[1].strip("[]"), match[2] or "") if match else ("", "")
    try:
        spelt = _spelt(host)
    except BadInput:
        spelt = ""
    known = _literal(spelt) is not None or _NAME.fullmatch(spelt)
    if not known or int(port or 1) not in range(1, 65536):
        raise BadSettings(
            f"{entry!r} in source_hosts is neither a host such as wiki.example.org or "
            "wiki.example.org:8080 nor a network such as 10.0.0.0/8"
        )
    return spelt, int(port or 0)


def _network(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry.strip())
    except ValueError as exc:
        raise BadSettings(f"{entry!r} in source_hosts is not a network: {exc}") from exc
