"""Pure parts of signing in: which page may follow, which password will do, what counts as one network."""

import pytest

from services.admin.attempts import _network
from services.admin.pages.next_page import local_page
from services.admin.passwords import generated_password, weakness


@pytest.mark.parametrize(
    "address", ["/", "/offers", "/offers?q=a&status=draft", "/access/people/new", "/a:b@c", "/%09/x"]
)
def test_a_page_of_ours_follows_the_login(address: str) -> None:
    assert local_page(address) == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "offers",
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/offers\\..\\evil",
        "/\t/evil.example",
        "/\n/evil.example",
        "\n//evil.example",
        " //evil.example",
        "/ /evil.example",
        "/\r\nSet-Cookie: a=b",
        "/offers\n",
        "javascript:alert(1)",
        "/login?next=/login",
        "/logout",
        "/api/offers",
        "/" + "a" * 2_000,
    ],
)
def test_anything_else_becomes_the_first_page(address: str | None) -> None:
    assert local_page(address) == "/"


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("correct horse", None),
        ("korrekt-häst", None),
        ("elevenchars", "at least 12 characters are needed"),
        ("a" * 201, "at most 200 characters are possible"),
        ("abababababab", "at least 5 different characters are needed"),
        ("I am MARIA, I am", "the name must not be part of it"),
    ],
)
def test_a_password_is_long_and_has_nothing_of_the_name(password: str, why: str | None) -> None:
    assert weakness("maria", password) == why


def test_a_password_that_is_made_up_will_do_and_is_never_the_same() -> None:
    made_up = {generated_password() for _ in range(100)}
    assert len(made_up) == 100
    assert all(weakness("maria", password) is None for password in made_up)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_ipv6_customer_s_addresses_count_as_one(address: str | None, network: str) -> None:
    assert _network(address) == network
