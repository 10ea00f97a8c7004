"""The network policy as a table of decisions.  The URLs that attackers write stand in tests/hostile/urls.toml."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from llmspell_kernel.errors import ConfigError, DeniedError, ScriptError
from llmspell_kernel.policy.addresses import address_of, is_local, is_public
from llmspell_kernel.policy.hosts import covers, host_of, pattern_of
from llmspell_kernel.policy.network import TIGHTER, NetworkPolicy
from llmspell_kernel.policy.urls import LONGEST_URL, url_of

POLICY = NetworkPolicy()


@pytest.mark.parametrize(
    ("text", "public", "local"),
    [
        ("8.8.8.8", True, False),
        ("93.184.215.14", True, False),
        ("2606:4700:4700::1111", True, False),
        ("2a00:1450:4001:80b::200e", True, False),
        ("::ffff:8.8.8.8", True, False),
        ("127.0.0.1", False, True),
        ("10.255.255.255", False, True),
        ("172.15.255.255", True, False),
        ("172.16.0.0", False, True),
        ("172.32.0.0", True, False),
        ("192.168.0.1", False, True),
        ("100.63.255.255", True, False),
        ("100.64.0.0", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("192.0.0.9", False, False),
        ("192.0.0.170", False, False),
        ("192.88.99.1", False, False),
        ("255.255.255.255", False, False),
        ("64:ff9b::8.8.8.8", False, False),
        ("64:ff9b:1::1", False, False),
        ("2002:808:808::1", False, False),
        ("2001::1", False, False),
        ("2001:20::1", False, False),
        ("2001:db8::1", False, False),
        ("fec0::1", False, False),
        ("::8.8.8.8", False, False),
        ("4000::1", False, False),
    ],
)
def test_an_address_is_public_local_or_neither(text: str, public: bool, local: bool) -> None:
    address = address_of(text)
    assert address is not None
    assert (is_public(address), is_local(address)) == (public, local)


def test_no_address_is_public_that_python_calls_private_and_none_is_both_public_and_local() -> None:
    choose = random.Random(1)
    for _ in range(20_000):
        address = IPv4Address(choose.getrandbits(32)) if choose.random() < 0.5 else IPv6Address(choose.getrandbits(128))
        assert not (is_public(address) and (not address.is_global or address.is_multicast or address.is_reserved))
        assert not (is_public(address) and is_local(address))


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "fe80::1%eth0", "1.2.3.4/8", " 1.2.3.4", "0x7f.0.0.1", "::1]", "01.2.3.4"])
def test_any_other_text_is_no_address(text: str) -> None:
    assert address_of(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("a_b.example", "a_b.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[2001:DB8:0:0::1]", "2001:db8::1"),
        ("[::FFFF:1.2.3.4]", "1.2.3.4"),
        ("4chan.example", "4chan.example"),
        ("1.2.3.example", "1.2.3.example"),
    ],
)
def test_a_host_has_one_form_and_that_form_is_itself(text: str, name: str) -> None:
    host = host_of(text)
    assert host.name == name and host_of(host.written) == host


@pytest.mark.parametrize(
    ("pattern", "host", "port", "covered"),
    [
        ("*", "example.com", 80, True),
        ("*", "1.2.3.4", 80, False),
        ("*:8443", "example.com", 8443, True),
        ("*:8443", "example.com", 443, False),
        ("example.com", "example.com", 1, True),
        ("EXAMPLE.com.", "example.com", 1, True),
        ("example.com", "a.example.com", 1, False),
        ("*.example.com", "a.example.com", 1, True),
        ("*.example.com", "a.b.example.com", 1, True),
        ("*.example.com", "example.com", 1, False),
        ("*.example.com", "evilexample.com", 1, False),
        ("*.bücher.example", "a.xn--bcher-kva.example", 1, True),
        ("1.2.3.4", "1.2.3.4", 1, True),
        ("1.2.3.4:80", "1.2.3.4", 81, False),
        ("[::1]:80", "[::1]", 80, True),
        ("[::1]", "[::1]", 5, True),
    ],
)
def test_a_pattern_covers_whole_labels_and_its_port(pattern: str, host: str, port: int, covered: bool) -> None:
    assert pattern_of(pattern).covers(host_of(host), port) is covered


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://example.com",
        "example.com/path",
        "ex*mple.com",
        "*.*.com",
        "**",
        "*.",
        "*example.com",
        "a b",
        "*.127.0.0.1",
        "a:x",
        "127.1",
        "::1",
    ],
)
def test_a_pattern_that_is_none_says_what_one_may_be(text: str) -> None:
    with pytest.raises(ValueError, match="is no host: .*; write a name"):
        pattern_of(text)


@pytest.mark.parametrize(
    ("ours", "theirs", "covered"),
    [
        ("*", "example.com", True),
        ("*", "*.example.com", True),
        ("*", "*", True),
        ("*", "1.2.3.4", False),
        ("*", "example.com:22", False),
        ("*:22", "example.com:22", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "*.a.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "*", False),
        ("*.example.com", "*.evilexample.com", False),
        ("example.com", "EXAMPLE.com.", True),
        ("example.com", "a.example.com", False),
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("*", "not a host", False),
    ],
)
def test_a_project_may_list_what_the_user_s_patterns_cover(ours: str, theirs: str, covered: bool) -> None:
    assert covers(ours, theirs) is covered


@pytest.mark.parametrize(
    ("changes", "key", "told"),
    [
        ({"allow": ("http://x.example",)}, "allow", "is no host"),
        ({"deny": ("a b",)}, "deny", "is no host"),
        ({"allow_private": ("127.0.0.1",)}, "allow_private", "one host with its port"),
        ({"allow_private": ("*.local:80",)}, "allow_private", "one host with its port"),
        ({"allow_private": ("*:80",)}, "allow_private", "one host with its port"),
        ({"ports": (80, 0)}, "ports", "0 is not a port"),
        ({"ports": (70_000,)}, "ports", "70000 is not a port"),
        ({"methods": ("GETT",)}, "methods", "did you mean 'GET'"),
        ({"methods": ("CONNECT",)}, "methods", "there is no method 'CONNECT'"),
    ],
)
def test_a_setting_that_cannot_be_is_named(changes: dict[str, Any], key: str, told: str) -> None:
    faults = NetworkPolicy(**changes).faults()
    assert list(faults) == [key] and told in faults[key]
    assert NetworkPolicy().faults() == {}


def test_a_policy_with_a_wrong_pattern_lets_nothing_through() -> None:
    for field in ("allow", "deny", "allow_private"):
        with pytest.raises(ConfigError) as caught:
            NetworkPolicy(**{field: ("a b",)}).url("https://public.example/")
        assert caught.value.key == f"network.{field}"


def test_a_project_may_tighten_everything_but_what_opens_this_machine() -> None:
    assert set(NetworkPolicy._fields) - set(TIGHTER) == {"allow_private", "ca_file"}


@pytest.mark.parametrize(
    ("policy", "url"),
    [
        (POLICY, "https://public.example/"),
        (POLICY, "http://a.b.public.example:80/x"),
        (NetworkPolicy(allow=("8.8.8.8",)), "http://8.8.8.8/"),
        (NetworkPolicy(allow=("[2606:4700:4700::1111]:8443",)), "https://[2606:4700:4700::1111]:8443/"),
        (NetworkPolicy(allow=("public.example:8443",)), "https://public.example:8443/"),
        (NetworkPolicy(ports=(8080,)), "http://public.example:8080/"),
        (NetworkPolicy(allow=(), allow_private=("localhost:8888",)), "http://localhost:8888/"),
        (NetworkPolicy(allow=(), allow_private=("[::1]:8888",)), "http://[::1]:8888/"),
        (NetworkPolicy(allow=(), allow_private=("10.0.0.5:443",)), "https://10.0.0.5/"),
    ],
)
def test_what_is_granted_may_be_called(policy: NetworkPolicy, url: str) -> None:
    assert policy.faults() == {}
    policy.url(url)


@pytest.mark.parametrize(
    ("policy", "url", "told", "capability"),
    [
        (
            NetworkPolicy(allow=()),
            "https://a.example/",
            'grant it in your settings: [network] allow = [..., "a.example"]',
            "network:a.example:443",
        ),
        (
            POLICY,
            "https://a.example:8443/",
            'grant it in your settings: [network] allow = [..., "a.example:8443"]',
            "network:a.example:8443",
        ),
        (
            POLICY,
            "http://8.8.8.8/",
            'the address 8.8.8.8; grant it in your settings: [network] allow = [..., "8.8.8.8"]',
            "network:8.8.8.8:80",
        ),
        (POLICY, "http://[::1]:8888/", '[network] allow_private = ["[::1]:8888"]', "network:[::1]:8888"),
        (POLICY, "http://jupyter:8888/", '[network] allow_private = ["jupyter:8888"]', "network:jupyter:8888"),
        (
            NetworkPolicy(deny=("*.example",)),
            "https://a.example/",
            "the policy denies the host a.example (setting [network] deny)",
            "network:a.example:443",
        ),
    ],
)
def test_a_denial_names_the_host_and_the_setting(policy: NetworkPolicy, url: str, told: str, capability: str) -> None:
    with pytest.raises(DeniedError) as caught:
        policy.url(url)
    assert told in caught.value.message
    assert caught.value.capability == capability


def test_the_setting_that_a_denial_names_grants_what_was_denied() -> None:
    for url, changes in (
        ("https://a.example:8443/", {"allow": ("*", "a.example:8443")}),
        ("http://8.8.8.8/", {"allow": ("*", "8.8.8.8")}),
        ("http://[::1]:8888/", {"allow_private": ("[::1]:8888",)}),
        ("http://jupyter:8888/", {"allow_private": ("jupyter:8888",)}),
    ):
        NetworkPolicy(**changes).url(url)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "port", "found", "allowed"),
    [
        ("public.example", 80, ["8.8.8.8", "8.8.8.8", "::ffff:8.8.4.4"], ["8.8.8.8", "8.8.4.4"]),
        ("build.internal", 80, ["10.0.0.5"], ["10.0.0.5"]),
        ("build.internal", 80, ["8.8.8.8", "10.0.0.5"], ["8.8.8.8", "10.0.0.5"]),
        ("build.internal", 81, ["10.0.0.5"], None),
        ("build.internal", 80, ["169.254.169.254"], None),
        ("build.internal", 80, ["10.0.0.5", "0.0.0.0"], None),
        ("169.254.169.254", 80, ["169.254.169.254"], ["169.254.169.254"]),
        ("169.254.169.254", 81, ["169.254.169.254"], None),
    ],
)
def test_every_address_is_judged_before_one_is_dialled(host: str, port: int, found: list[str], allowed: list[str] | None) -> None:
    policy = NetworkPolicy(allow_private=("build.internal:80", "169.254.169.254:80"))
    if allowed is not None:
        assert policy.addresses(host, port, found) == allowed
        return
    with pytest.raises(DeniedError) as caught:
        policy.addresses(host, port, found)
    assert all(
        text not in caught.value.message.replace(host, "") for text in found
    )  # which machines there are is not the script's business


def test_a_redirect_leads_neither_from_https_to_http_nor_from_the_public_to_the_private() -> None:
    policy = NetworkPolicy(allow_private=("127.0.0.1:8888", "site.test:443"))
    for start, location in (
        ("https://public.example/", "http://public.example/"),
        ("https://public.example/", "http://other.example/"),
        ("http://public.example/", "http://127.0.0.1:8888/"),
        ("https://public.example/", "https://site.test/"),
    ):
        with pytest.raises(DeniedError):
            policy.redirected(policy.url(start), location)
    assert policy.redirected(policy.url("http://public.example/a"), "https://other.example/b?c#d").text == "https://other.example/b?c"
    assert policy.redirected(policy.url("https://site.test/"), "https://public.example/").text == "https://public.example/"


def test_the_parts_of_a_url_are_what_is_sent() -> None:
    url = url_of("HTTPS://Bücher.example.:443/ä b"[:-2] + "?q=ü&x=[1]#frag")
    assert url.text == "https://xn--bcher-kva.example/%C3%A4?q=%C3%BC&x=[1]"
    assert (url.authority, url.origin, url.shown) == (
        "xn--bcher-kva.example",
        ("https", "xn--bcher-kva.example", 443),
        "https://xn--bcher-kva.example/%C3%A4",
    )
    assert url_of(url.text) == url
    assert POLICY.url("http://public.example", "a=1").path == "/?a=1"
    assert POLICY.url("http://public.example/?a=1", "b=2").path == "/?a=1&b=2"


def test_a_url_has_a_largest_length() -> None:
    start = "http://public.example/"
    url_of(start + "x" * (LONGEST_URL - len(start)))
    with pytest.raises(ScriptError, match="send much data as the body"):
        url_of(start + "x" * LONGEST_URL)


def test_methods_are_those_of_the_policy() -> None:
    assert POLICY.method("get") == "GET"
    with pytest.raises(ScriptError, match="did you mean 'PATCH'"):
        POLICY.method("PATC")
    with pytest.raises(DeniedError, match=r"\[network\] methods = \[..., \"DELETE\"\]"):
        NetworkPolicy(methods=("GET",)).method("delete")
