"""Addresses and names: spellings, canonical forms, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from schemas.v1.addresses import (
    BINDING,
    HOST_NAME,
    IP_RANGE,
    SMTP_ADDRESS,
    WILDCARD_NAME,
    Binding,
    ConnectionSetting,
    IpRange,
    parse_binding,
    parse_connection_setting,
    parse_host_name,
    parse_ip_range,
    parse_smtp_address,
    parse_wildcard_name,
)


@pytest.mark.parametrize(
    ("text", "binding"),
    [
        ("127.0.0.1:143", Binding("127.0.0.1", 143)),
        ("[::1]:993", Binding("::1", 993)),
        ("[0:0::1]:993", Binding("::1", 993)),
        ("[::]:25", Binding("::", 25)),
    ],
)
def test_a_binding_is_an_address_and_a_port(text: str, binding: Binding) -> None:
    assert parse_binding(text) == binding


@pytest.mark.parametrize(
    "value", ["::1:143", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "localhost:143", "1.2.3:4", 143, None]
)
def test_what_is_not_a_binding(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected an address and a port"):
        BINDING.validate(value)


addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(addresses, st.integers(min_value=1, max_value=65535))
def test_a_binding_survives_its_canonical_form(address: object, port: int) -> None:
    binding = Binding(str(address), port)
    assert parse_binding(str(binding)) == binding


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("192.0.2.0 - 192.0.2.255", "192.0.2.0/24"),
        ("192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9"),
        ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
        ("2001:DB8::1", "2001:db8::1"),
    ],
)
def test_a_range_has_one_canonical_form(text: str, canonical: str) -> None:
    assert str(parse_ip_range(text)) == canonical


@pytest.mark.parametrize(
    "value", ["192.0.2.9-192.0.2.1", "192.0.2.1-::1", "192.0.2.0/33", "everybody", "", None, 7]
)
def test_what_is_not_a_range(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected an address, a network or a range"):
        IP_RANGE.validate(value)


@given(st.data(), st.sampled_from([4, 6]))
def test_a_range_survives_its_canonical_form(data: st.DataObject, version: int) -> None:
    family = st.ip_addresses(v=version)  # type: ignore[arg-type]
    first, last = sorted([data.draw(family), data.draw(family)], key=int)
    found = IpRange(first, last)
    assert parse_ip_range(str(found)) == found


def test_a_range_contains_its_ends() -> None:
    found = parse_ip_range("192.0.2.1-192.0.2.9")
    assert [found.contains(f"192.0.2.{last}") for last in (0, 1, 9, 10)] == [False, True, True, False]


def test_a_mapped_address_counts_as_ipv4() -> None:
    assert parse_ip_range("192.0.2.0/24").contains("::ffff:192.0.2.7")


def test_families_do_not_mix() -> None:
    assert not parse_ip_range("0.0.0.0/0").contains("::1")


def test_the_smaller_range_is_the_more_specific() -> None:
    assert parse_ip_range("192.0.2.0/24").size < parse_ip_range("0.0.0.0/0").size


def test_a_host_name_is_kept_in_lower_case() -> None:
    assert parse_host_name("EX01.Contoso.Example") == "ex01.contoso.example"


@pytest.mark.parametrize(
    "value", ["", ".", "a..b", "-a.b", "a b", "a\n", "ex_01", "naïve.example", "*.b", "a" * 64, None]
)
def test_what_is_not_a_host_name(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected a host name"):
        HOST_NAME.validate(value)


def test_an_asterisk_stands_for_the_first_label_only() -> None:
    assert parse_wildcard_name("*.Contoso.example") == "*.contoso.example"
    with pytest.raises(PydanticCustomError, match="expected a domain"):
        WILDCARD_NAME.validate("mail.*.example")


def test_an_address_keeps_its_local_part_and_lowers_its_domain() -> None:
    assert parse_smtp_address("Alice.B+x@CONTOSO.example") == "Alice.B+x@contoso.example"


@pytest.mark.parametrize(
    "value",
    ["alice", "@b.example", "a@", "a b@c.example", "a@b@c.example", ".a@c.example", "a@c.example\n", 5],
)
def test_what_is_not_an_address(value: object) -> None:
    with pytest.raises(PydanticCustomError, match="expected an SMTP address"):
        SMTP_ADDRESS.validate(value)


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("mail.contoso.example:993:SSL", ConnectionSetting("mail.contoso.example", 993, "SSL")),
        ("MAIL.contoso.example:143:tls", ConnectionSetting("mail.contoso.example", 143, "TLS")),
        ("mail.contoso.example:143", ConnectionSetting("mail.contoso.example", 143, None)),
        ("mail.contoso.example:143:", ConnectionSetting("mail.contoso.example", 143, None)),
    ],
)
def test_a_connection_setting_names_host_port_and_encryption(text: str, setting: ConnectionSetting) -> None:
    assert parse_connection_setting(text) == setting
    assert parse_connection_setting(str(setting)) == setting
