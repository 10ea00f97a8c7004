"""A project's file that is not trusted: whatever patterns it lists, scripts get nothing by them that the user's own patterns do not allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from llmspell_kernel.configuration.rules import Entry, apply
from llmspell_kernel.errors import ConfigError, SpellError
from llmspell_kernel.policy.budgets import Budgets, check_model
from llmspell_kernel.policy.decide import Allow, EffectFacts, Grants, decide
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.policy.network import NetworkPolicy
from llmspell_kernel.policy.tables import TABLES, table_of
from llmspell_kernel.settings import Origin, Settings

USER, PROJECT = Origin("~/.config/llmspell/config.toml", 3), Origin("llmspell.toml", 2)


def refuses(call: Callable[[], Any]) -> bool:
    try:
        call()
    except SpellError:
        return True
    return False


def may_call(held: Settings, name: str) -> bool:
    return decide(EffectFacts(name), [Grants(allow=held.allow)]) == Allow()


def may_use_file(held: Settings, path: str) -> bool:
    return not refuses(lambda: table_of(held, FilePolicy).file(path))


def may_ask_model(held: Settings, model: str) -> bool:
    return not refuses(lambda: check_model(table_of(held, Budgets), model))


def may_fetch(held: Settings, host: str) -> bool:
    return not refuses(lambda: table_of(held, NetworkPolicy).url(f"http://{host}/"))


def may_use_port(held: Settings, port: int) -> bool:
    return not refuses(lambda: table_of(held, NetworkPolicy).url(f"http://a.com:{port}/"))


def may_use_method(held: Settings, method: str) -> bool:
    return not refuses(lambda: table_of(held, NetworkPolicy).method(method))


def texts(*letters: str) -> some.SearchStrategy[str]:
    """Short texts of few letters, so that patterns meet names often."""
    return some.lists(some.sampled_from(letters), min_size=1, max_size=5).map("".join)


PATTERNS = texts("a", "b", ".", "*", "?", "/", "[ab]", "[!a]", "a*", "*/", "]")
NAMES = texts("a", "b", "a.b", "/", ".", "[")
HOSTS = some.sampled_from(["a.com", "b.a.com", "c.b.a.com", "ba.com", "8.8.8.8", "b.com", "com.a", "[2606:4700::1111]"])
PORTS = some.sampled_from(["", ":80", ":443", ":8443"])
HOST_PATTERNS = some.builds("{}{}{}".format, some.sampled_from(["", "*."]), HOSTS, PORTS) | some.builds("*{}".format, PORTS)
KINDS: dict[str, tuple[Callable[[Settings, Any], bool], some.SearchStrategy[Any], some.SearchStrategy[Any]]] = {
    "grants.allow": (may_call, PATTERNS, NAMES),
    "files.allow": (may_use_file, PATTERNS, NAMES),
    "budgets.models": (may_ask_model, PATTERNS, NAMES),
    "network.allow": (may_fetch, HOST_PATTERNS, some.builds("{}{}".format, HOSTS, PORTS)),
    "network.ports": (may_use_port, some.sampled_from([80, 443, 8080]), some.sampled_from([80, 443, 8080])),
    "network.methods": (may_use_method, some.sampled_from(["*", "GET", "POST"]), some.sampled_from(["GET", "POST"])),
}
"""By key: what holds in the end, patterns, and what they are patterns of."""


def user_has(key: str, ours: Sequence[Any]) -> Settings:
    return apply(Settings(), [Entry(key, list(ours), USER)], engines=["lua"])


def project_adds(own: Settings, key: str, theirs: Sequence[Any]) -> Settings:
    return apply(own, [Entry(key, list(theirs), PROJECT)], engines=["lua"], guest=True)


def test_every_list_that_a_project_may_narrow_is_tried_here() -> None:
    lists = {
        f"{name}.{field}" for name, table in TABLES.items() for field, way in table.tighter.items() if way in ("covered", "hosts", "paths")
    }
    assert set(KINDS) == {"grants.allow", *lists}


@pytest.mark.parametrize("key", KINDS)
def test_what_a_projects_file_allows_is_allowed_by_the_users_alone(key: str) -> None:
    allowed, patterns, names = KINDS[key]
    lists = some.lists(patterns, max_size=2)

    @settings(max_examples=400)
    @given(lists, lists, some.lists(names, max_size=20))
    def holds(ours: list[Any], theirs: list[Any], tried: list[Any]) -> None:
        try:
            own = user_has(key, ours)
            both = project_adds(own, key, theirs)
        except ConfigError:
            return
        assert [name for name in tried if allowed(both, name) and not allowed(own, name)] == []

    holds()


@given(PATTERNS, PATTERNS, some.lists(NAMES, max_size=30))
@example("notes*", "notes/*", ["notes/secret.key", "notes/a/b.pem"])
@example("a*", "notes/a*", ["notes/a/secret.key"])
@example("*.txt", "a?b.txt", ["a/b.txt"])
@example("a?b", "x/a?b", ["x/a/b"])
@example("?", "a/?", ["a/b/c"])
@example("b*", "a[a/b]b", ["aab", "a/b"])
def test_a_projects_patterns_of_files_widen_nothing(ours: str, theirs: str, paths: list[str]) -> None:
    own = user_has("files.allow", [ours])
    try:
        both = project_adds(own, "files.allow", [theirs])
    except ConfigError:
        return
    assert [path for path in paths if may_use_file(both, path) and not may_use_file(own, path)] == []


@pytest.mark.parametrize(
    ("ours", "theirs"), [("notes*", "notes/*"), ("a*", "x/a*"), ("a*b", "x/a*b"), ("notes/*", "*.txt"), ("a?", "x/a?")]
)
def test_a_path_is_no_name_of_the_users_pattern(ours: str, theirs: str) -> None:
    with pytest.raises(ConfigError, match="key 'files.allow': .* is looser than your own"):
        project_adds(user_has("files.allow", [ours]), "files.allow", [theirs])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("*", "notes/*"), ("*.txt", "notes/*.txt"), ("*.txt", "a.txt"), ("*.txt", "x/?.txt"), ("notes/*", "notes/2026/*"), ("a*", "x/ab.md")],
)
def test_a_project_may_narrow_the_files(ours: str, theirs: str) -> None:
    held = project_adds(user_has("files.allow", [ours]), "files.allow", [theirs])
    assert table_of(held, FilePolicy).allow == (theirs,)
