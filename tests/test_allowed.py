"""The allow-list of hosts: exact names and ports, and no way inside but by name."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from rag.allowed import AllowedHosts
from rag.errors import AddressRefused, BadInput, BadSettings

HOSTS = AllowedHosts(
    [
        "wiki.example.org",
        "Docs.Example.org:8443",
        "192.168.7.7:9000",
        "10.1.0.0/16",
        "[2001:db8::1]",
    ]
)


@pytest.mark.parametrize(
    "url",
    [
        "http://wiki.example.org/a",
        "https://WIKI.example.org./a?b=c",
        "https://docs.example.org:8443/",
        "http://192.168.7.7:9000/",
        "http://10.1.2.3/",
        "https://[2001:db8::1]/",
        "https://[2001:db8:0:0::1]/",
    ],
)
def test_listed(url: str) -> None:
    HOSTS.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://wiki.example.org:8080/",
        "http://docs.example.org/",
        "http://example.org/",
        "http://a.wiki.example.org/",
        "http://wiki.example.org.evil.net/",
        "http://192.168.7.7/",
        "http://10.2.0.1/",
        "http://10.1.2.3:22/",
        "http://0x0a010203/",
        "http://167837955/",
    ],
)
def test_not_listed(url: str) -> None:
    with pytest.raises(AddressRefused, match="source_hosts"):
        HOSTS.check(url)


@pytest.mark.parametrize(
    "url", ["ftp://wiki.example.org/", "wiki.example.org", "http:///a", "http://h:99999/", "",
            "http://name:secret@wiki.example.org/", "http://wiki.example.org@evil.net/"]
)  # fmt: skip
def test_no_address(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        HOSTS.check(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "192.168.0.1", "169.254.169.254", "100.64.0.1", "224.0.1.1",
        "::1", "fe80::1", "fc00::1", "ff0e::1", "::ffff:127.0.0.1", "::ffff:10.9.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "::",
    ],
)  # fmt: skip
def test_addresses_inside(address: str) -> None:
    with pytest.raises(AddressRefused, match="not a public address"):
        HOSTS.check_address("wiki.example.org", ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["93.184.215.14", "2606:4700::1", "10.1.255.255", "::ffff:10.1.0.1", "192.168.7.7"],
)
def test_addresses_that_may_be_reached(address: str) -> None:
    HOSTS.check_address("wiki.example.org", ip_address(address))


@pytest.mark.parametrize(
    "entry",
    ["", "http://a.example", "a b", "a:0", "a:99999", "10.0.0.0/33", "10.0.0.1/8", "*", "-a"],
)
def test_entries_that_mean_nothing(entry: str) -> None:
    with pytest.raises(BadSettings, match="source_hosts"):
        AllowedHosts([entry])
