"""What may be set, and by whom: layers, types, and a project's file that may not loosen."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.configuration.rules import CHECKS, OPEN_TABLES, Entry, amount, apply, entry_of, rows, written
from llmspell_kernel.errors import ConfigError
from llmspell_kernel.policy.budgets import NO_LIMIT, Budgets
from llmspell_kernel.policy.limits import PRESETS, Limits, limits_of
from llmspell_kernel.policy.network import NetworkPolicy
from llmspell_kernel.policy.tables import TABLES, table_of
from llmspell_kernel.settings import DEFAULT, Origin, Settings

ENGINES = ["lua", "javascript", "js"]
USER, PROJECT, VARIABLE = Origin("~/.config/llmspell/config.toml", 3), Origin("llmspell.toml", 2), Origin("LLMSPELL_PRESET")


def layer(origin: Origin, **values: Any) -> list[Entry]:
    return [Entry(key.replace("__", "."), value, origin) for key, value in values.items()]


def user(**values: Any) -> Settings:
    return apply(Settings(), layer(USER, **values), engines=ENGINES)


def project(settings: Settings, **values: Any) -> Settings:
    return apply(settings, layer(PROJECT, **values), engines=ENGINES, guest=True)


def limits(settings: Settings) -> Limits:
    return limits_of(settings.preset, settings.limits)


@pytest.mark.parametrize("value", [64 * 2**20, "64MiB", "64 MiB", "0.0625 GiB"])
def test_a_setting_in_bytes_may_be_written_with_its_unit(value: Any) -> None:
    assert limits(user(limits__memory_bytes=value)).memory_bytes == 64 * 2**20
    assert table_of(user(network__response_bytes=value), NetworkPolicy).response_bytes == 64 * 2**20
    assert apply(Settings(), [entry_of(f"limits.memory_bytes={value}", USER)], engines=[]).limits == {"memory_bytes": 64 * 2**20}


@pytest.mark.parametrize(
    ("value", "said"), [("64MB", "the unit 'MB', which is none of B, KiB, MiB, GiB"), ("0 MiB", "must be more than 0")]
)
def test_a_size_that_cannot_be_is_refused_with_the_place(value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"config.toml, line 3, key 'limits.memory_bytes': .*{said}"):
        user(limits__memory_bytes=value)


def test_a_size_with_a_unit_is_no_way_around_what_a_project_may_loosen() -> None:
    with pytest.raises(ConfigError, match="1 GiB is looser than your own 128 MiB"):
        project(Settings(), limits__memory_bytes="1 GiB")


def test_every_value_that_is_shown_can_be_written_so_again() -> None:
    for row in rows(Settings()):
        entry = entry_of(f"{row.key}={amount(row.key, row.value)}", USER)
        if amount(row.key, row.value) != "-":
            assert {held.key: held.value for held in rows(apply(Settings(), [entry], engines=ENGINES))}[row.key] == row.value


def test_no_limit_is_one_word_for_each_budget_and_no_words_of_any_other_setting() -> None:
    unlimited = [row.key for row in rows(Settings()) if amount(row.key, row.value) == "no limit"]
    assert "budgets.day_tokens" in unlimited and all(key.startswith("budgets.") for key in unlimited)
    assert table_of(user(budgets__day_cost_usd="no limit"), Budgets).day_cost_usd == NO_LIMIT
    for key in ("limits__effects", "budgets__models", "network__redirects"):
        with pytest.raises(ConfigError):
            user(**{key: "no limit"})
    with pytest.raises(ConfigError, match="no limit is looser than your own 50"):
        project(Settings(), budgets__day_cost_usd="no limit")


def test_nothing_set_is_the_default_everywhere() -> None:
    assert {row.origin for row in rows(Settings())} == {DEFAULT}
    assert [row.key for row in rows(Settings())] == list(CHECKS)
    assert limits(Settings()) == PRESETS["standard"]


def test_a_later_layer_wins_and_its_origin_is_kept() -> None:
    settings = project(user(display="live", seed=1), display="static")
    assert (settings.display, settings.seed) == ("static", 1)
    assert (settings.origin("display"), settings.origin("seed")) == (PROJECT, USER)


def test_settings_cannot_be_changed_in_place() -> None:
    settings = user(limits__effects=5)
    with pytest.raises(AttributeError):
        settings.seed = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.limits["effects"] = 9  # type: ignore[index]


def test_limits_come_after_the_preset_of_their_own_layer_whatever_the_order() -> None:
    settings = apply(Settings(), layer(USER, limits__effects=7, preset="strict"), engines=ENGINES)
    assert limits(settings) == PRESETS["strict"]._replace(effects=7)


def test_a_later_preset_replaces_the_limits_before_it() -> None:
    settings = apply(user(limits__effects=7), layer(VARIABLE, preset="strict"), engines=ENGINES)
    assert limits(settings) == PRESETS["strict"]
    assert settings.origin("limits.effects") == VARIABLE


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("preset", "strickt", "is 'strickt', which is none of minimal, standard, strict; did you mean 'strict'?"),
        ("preset", 1, "must be one of minimal, standard, strict, not the number 1"),
        ("display", "lively", "which is none of auto, live, static; did you mean 'live'?"),
        ("engine", "luau", "must be one of lua, javascript, js, python, not 'luau'; did you mean 'lua'?"),
        ("engine", [], "not a list"),
        ("model", 5, "must be a text, not the number 5"),
        ("seed", "x", "must be a whole number, not the text 'x'"),
        ("seed", True, "must be a whole number, not the truth value true"),
        ("seed", 2**63, "must fit in 64 bits"),
        ("limits.effects", 1.5, "must be a whole number, not the number 1.5"),
        ("limits.effects", 0, "must be more than 0 and finite, not 0"),
        ("workers.max", 0, "must be more than 0 and finite, not 0"),
        ("workers.spares", -1, "must be at least 0 and finite, not -1"),
        ("workers.min", 1.5, "must be a whole number"),
        ("limits.script_time_s", float("inf"), "must be more than 0 and finite"),
        ("limits.script_time_s", float("nan"), "must be more than 0 and finite"),
        ("limits.script_time_s", "1", "must be a number, not the text '1'"),
        ("grants.allow", "llm.*", 'must be a list of texts such as ["llm.*"], not the text'),
        ("grants.deny", [1], "must be a list of texts"),
        ("dipslay", "live", "there is no such setting; did you mean 'display'?"),
        ("limits.memory", 1, "there is no such setting in [limits]; did you mean 'memory_bytes'?"),
        ("trust", ["~/x"], "only the user's own file says whom it trusts"),
    ],
)
def test_what_is_wrong_names_file_line_key_and_the_nearest(key: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        apply(Settings(), [Entry(key, value, PROJECT)], engines=ENGINES)
    error = caught.value
    assert (error.file, error.line, error.key) == ("llmspell.toml", 2, key)
    assert error.message.startswith(f"llmspell.toml, line 2, key '{key}': ") and said in error.message


def test_what_has_no_lines_is_named_behind_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        apply(Settings(), [Entry("seed", "x", Origin("LLMSPELL_SEED"))], engines=ENGINES)
    assert caught.value.message == "key 'seed': must be a whole number, not the text 'x' (set by LLMSPELL_SEED)"


def test_a_value_that_steers_a_terminal_is_shown_escaped() -> None:
    with pytest.raises(ConfigError) as caught:
        apply(Settings(), [Entry("display", "\x1b]0;mine\x07", PROJECT)], engines=ENGINES)
    assert "\x1b" not in caught.value.message and "\\x1b" in caught.value.message
    assert written("a\x9bb") == "'a\\x9bb'"


@pytest.mark.parametrize("name", Limits._fields)
def test_a_project_may_tighten_each_limit_and_loosen_none(name: str) -> None:
    own = getattr(PRESETS["standard"], name)
    lower = own / 2 if isinstance(own, float) else own // 2
    assert getattr(limits(project(Settings(), **{f"limits__{name}": lower})), name) == lower
    assert limits(project(Settings(), **{f"limits__{name}": own})) == PRESETS["standard"]
    with pytest.raises(ConfigError, match=f"llmspell.toml, line 2, key 'limits.{name}': .* is looser than your own"):
        project(Settings(), **{f"limits__{name}": own * 2})


def test_a_limit_is_measured_by_the_users_own_not_by_the_projects_preset() -> None:
    settings = project(user(limits__effects=500), preset="strict", limits__effects=400)
    assert limits(settings).effects == 400
    with pytest.raises(ConfigError, match=r"600 is looser than your own 500 \(~/.config/llmspell/config.toml, line 3\)"):
        project(user(limits__effects=500), preset="strict", limits__effects=600)


def test_a_project_may_choose_a_stricter_preset_and_keeps_what_is_stricter_still() -> None:
    settings = project(user(limits__memory_bytes=1000, limits__effects=50_000), preset="strict")
    assert limits(settings) == PRESETS["strict"]._replace(memory_bytes=1000)
    assert (settings.origin("limits.memory_bytes"), settings.origin("limits.effects")) == (USER, PROJECT)


@pytest.mark.parametrize(("own", "theirs"), [("standard", "minimal"), ("strict", "standard"), ("strict", "minimal")])
def test_a_looser_preset_of_a_project_is_refused_naming_both_origins(own: str, theirs: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project(user(preset=own), preset=theirs)
    assert caught.value.message.startswith(f"llmspell.toml, line 2, key 'preset': {theirs} is looser than your own {own} (~/.config/")
    assert "'trust'" in caught.value.message


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (["*"], ["llm.*"]),
        (["llm.*"], ["llm.chat"]),
        (["llm.*"], ["llm.c*"]),
        (["llm.*", "ui.*"], ["ui.write"]),
        (["llm.c?at"], ["llm.c?at"]),
        (["llm.*"], []),
    ],
)
def test_a_project_may_narrow_the_grants(own: list[str], theirs: list[str]) -> None:
    assert project(user(grants__allow=own), grants__allow=theirs).allow == tuple(theirs)


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (["llm.*"], ["*"]),
        (["llm.*"], ["llm.chat", "timer.sleep"]),
        (["llm.chat"], ["llm.*"]),
        (["llm.c?at"], ["llm.c*at"]),
        (["llm.[a-c]hat"], ["llm.[a-z]hat"]),
        (["[*]"], ["*"]),
        (["*]"], ["[ab]"]),
        (["*chat*"], ["[chat]*"]),
        (["*.*"], ["[.]*"]),
        ([], ["llm.chat"]),
    ],
)
def test_a_wider_grant_of_a_project_is_refused(own: list[str], theirs: list[str]) -> None:
    with pytest.raises(ConfigError, match="key 'grants.allow': .* is looser than your own"):
        project(user(grants__allow=own), grants__allow=theirs)


def test_a_project_adds_to_what_the_user_denies_and_takes_nothing_away() -> None:
    assert project(user(grants__deny=["llm.set_model"]), grants__deny=["ui.*"]).deny == ("llm.set_model", "ui.*")
    assert project(user(grants__deny=["llm.set_model"]), grants__deny=[]).deny == ("llm.set_model",)


def test_the_user_may_loosen_after_the_project() -> None:
    settings = apply(project(Settings(), preset="strict"), layer(VARIABLE, preset="minimal"), engines=ENGINES)
    assert limits(settings) == PRESETS["minimal"]


@pytest.mark.parametrize(
    ("pair", "key", "value"),
    [
        ("display=live", "display", "live"),
        (" display = live ", "display", "live"),
        ('display="live"', "display", "live"),
        ("seed=7", "seed", 7),
        ("seed=seven", "seed", "seven"),
        ("limits.memory_bytes=1_000", "limits.memory_bytes", 1000),
        ('grants.deny=["llm.*"]', "grants.deny", ["llm.*"]),
        ("model=123", "model", "123"),
        ("model=a=b", "model", "a=b"),
        ("seed=1\npreset = 'minimal'", "seed", "1\npreset = 'minimal'"),
        ("seed=" + "[" * 100_000, "seed", "[" * 100_000),
    ],
)
def test_a_typed_pair_is_one_value_of_its_keys_type(pair: str, key: str, value: Any) -> None:
    assert entry_of(pair, Origin("--set")) == (key, value, Origin("--set"))


@pytest.mark.parametrize("pair", ["display", "=live", ""])
def test_a_malformed_pair_is_one_error_with_an_example(pair: str) -> None:
    with pytest.raises(ConfigError, match="--set needs KEY=VALUE.*for example: --set display=static"):
        entry_of(pair, Origin("--set"))


def test_every_field_of_the_settings_can_be_set() -> None:
    tables = {"allow", "deny", "ask", "origins", *TABLES, *OPEN_TABLES}
    assert set(Settings._fields) - tables == {key for key in CHECKS if "." not in key}
    assert {key.partition(".")[0] for key in CHECKS if "." in key} == {"grants", *TABLES}


@pytest.mark.parametrize(
    ("key", "value", "held"),
    [
        ("network.deny", ["x.example"], ("x.example",)),
        ("files.read_only", True, True),
        ("secrets.token", {"env": "TOKEN"}, {"env": "TOKEN"}),
        ("init.lua", "begin.lua", "begin.lua"),
        ("mcp.shop", {"command": ["shop"]}, {"command": ["shop"]}),
        ("workers.spares", 0, 0),
        ("workers.idle_s", 5, 5.0),
        ("grants.ask", ["llm.*"], ["llm.*"]),
    ],
)
def test_what_is_set_in_a_table_holds(key: str, value: Any, held: Any) -> None:
    settings = apply(Settings(), [Entry(key, value, USER)], engines=ENGINES)
    found = {row.key: row for row in rows(settings)}[key]
    assert (list(found.value) if isinstance(held, list) else found.value) == held
    assert found.origin == USER


def test_a_project_adds_to_what_is_forbidden_and_asked_and_widens_no_host() -> None:
    own = apply(
        Settings(), layer(USER, network__allow=["*.example.com"], network__deny=["a.example.com"], grants__ask=["log.*"]), engines=ENGINES
    )
    both = project(own, network__deny=["b.example.com"], network__allow=["c.example.com"], grants__ask=["llm.*"])
    policy = table_of(both, NetworkPolicy)
    assert (policy.deny, policy.allow, both.ask) == (("a.example.com", "b.example.com"), ("c.example.com",), ("log.*", "llm.*"))
    with pytest.raises(ConfigError, match="other.com is looser than your own"):
        project(own, network__allow=["other.com"])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network.allow_private", ["127.0.0.1:1"]),
        ("files.root", "/"),
        ("secrets.token", {"env": "X"}),
        ("init.lua", "x.lua"),
        ("mcp.x", {"command": ["x"]}),
    ],
)
def test_a_project_may_not_set_what_is_the_users_alone(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match="a project's file may not set this"):
        apply(Settings(), [Entry(key, value, PROJECT)], engines=ENGINES, guest=True)


@pytest.mark.parametrize(("key", "value"), [("journal", "record"), ("journal", "replay"), ("journal", "auto"), ("keep_journal", True)])
@pytest.mark.parametrize("own", ["the default", "the user's"])
def test_a_project_has_no_call_recorded_or_answered_by_its_own_cassette(key: str, value: Any, own: str) -> None:
    with pytest.raises(ConfigError, match="llmspell.toml, line 2, key '.*': a project's file may not have .*add its folder to 'trust'"):
        project(Settings() if own == "the default" else user(**{key: value}), **{key: value})


def test_a_project_may_switch_journals_off() -> None:
    settings = project(user(journal="auto", keep_journal=True), journal="off", keep_journal=False)
    assert (settings.journal, settings.keep_journal) == ("off", False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network.allow", ["example.com:22"]),  # "*" is every name at the usual ports
        ("network.allow", ["8.8.8.8"]),
        ("network.ports", [80, 8080]),
        ("network.timeout_s", 31.0),
        ("network.response_bytes", 2**30),
        ("network.concurrent", 9),
    ],
)
def test_a_project_widens_nothing_of_the_network(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match="is looser than your own"):
        apply(Settings(), [Entry(key, value, PROJECT)], engines=ENGINES, guest=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("network.ports", [443]), ("network.methods", ["GET"]), ("network.allow", ["*.example.com"]), ("network.timeout_s", 1.0)],
)
def test_a_project_may_narrow_the_network(key: str, value: Any) -> None:
    settings = apply(Settings(), [Entry(key, value, PROJECT)], engines=ENGINES, guest=True)
    held = getattr(table_of(settings, NetworkPolicy), key.partition(".")[2])
    assert held == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize("value", ["80", ["80"], [80.5], [True], 80])
def test_ports_are_whole_numbers(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be a list of whole numbers such as \[80, 443\]"):
        apply(Settings(), [Entry("network.ports", value, USER)], engines=ENGINES)


def test_a_table_says_at_its_place_what_is_wrong_with_a_value_of_the_right_type() -> None:
    with pytest.raises(ConfigError, match="config.toml, line 3, key 'network.allow': 'http://example.com' is no host"):
        user(network__allow=["http://example.com"])


@pytest.mark.parametrize("key", ["preset", "display", "model", "engine"])
def test_a_text_needs_no_quotes_where_a_person_types_it(key: str) -> None:
    assert [entry_of(f"{key}={text}", USER).value for text in ("standard", "'standard'", "3")] == ["standard", "standard", "3"]


@pytest.mark.parametrize(
    "key, value, told",
    [
        ("secrets.github", "ghp_pasted_here", "must be a table"),
        ("secrets.github", {"value": "ghp_pasted_here"}, "a value itself never stands in a settings file"),
        ("secrets.github", {"env": "ghp pasted here"}, "and not hold the value"),
        ("secrets.github", {"file": "ghp_pasted_here"}, "and not hold the value"),
        ("secrets.github", {"env": "TOKEN", "hosts": ["https://api.github.com/v3"]}, "without https:// and path"),
        ('secrets."a b"', {"env": "TOKEN"}, "a secret's name is a letter"),
        ("mcp.shop", {"comand": ["x"]}, "did you mean 'command'"),
        ("mcp.a_b", {"command": ["x"]}, "a server's name is a small letter"),
    ],
)
def test_a_wrong_secret_is_told_with_its_place_and_without_its_value(key: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        apply(Settings(), [Entry(key, value, USER)], engines=ENGINES)
    assert "line 3" in str(caught.value) and "ghp" not in str(caught.value)
