"""What a refusal tells its reader to write: followed to the letter, it allows what was refused and changes nothing else."""

from __future__ import annotations

import re
import tomllib

import pytest

from llmspell_kernel.configuration.rules import Entry, apply, entry_of, grants_of
from llmspell_kernel.errors import DeniedError
from llmspell_kernel.kernel.written_pairs import pairs
from llmspell_kernel.policy.budgets import Budgets, check_model
from llmspell_kernel.policy.decide import Allow, Deny, EffectFacts, decide
from llmspell_kernel.policy.tables import table_of
from llmspell_kernel.settings import Origin, Settings

FILE, NOTEBOOK, SHELL = Origin("llmspell.toml", 2), Origin("%llmspell config"), Origin("--set")
USER = Origin("~/.config/llmspell/config.toml", 9)


def settings(origin: Origin, **lists: list[str]) -> Settings:
    return apply(Settings(), [Entry(key.replace("__", "."), value, origin) for key, value in lists.items()], engines=["lua"])


def refusal(held: Settings, capability: str) -> str:
    verdict = decide(EffectFacts(capability), [grants_of(held)])
    assert isinstance(verdict, Deny), capability
    return verdict.reason


def may(held: Settings, capability: str) -> bool:
    return decide(EffectFacts(capability), [grants_of(held)]) == Allow()


def followed(held: Settings, advice: str) -> Settings:
    """As its reader would: the line goes into the file, or is typed."""
    if typed := re.search(r'(%llmspell config|--set) (".*")', advice):
        return apply(held, [entry_of(pair, Origin(typed[1])) for pair in pairs(typed[2])], engines=["lua"])
    line = re.search(r"\[(\w+)\] (\w+ = \[.*?\])", advice)
    assert line is not None, advice
    layer = [Entry(f"{line[1]}.{key}", value, FILE) for key, value in tomllib.loads(line[2]).items()]
    return apply(held, layer, engines=["lua"])


@pytest.mark.parametrize("origin", [FILE, NOTEBOOK, SHELL])
def test_the_advice_of_a_deny_takes_that_deny_away_and_leaves_all_else(origin: Origin) -> None:
    held = settings(origin, grants__deny=["hash.md5", "http.*"])
    mended = followed(held, refusal(held, "hash.md5"))
    assert may(mended, "hash.md5") and may(mended, "llm.chat")
    assert not may(mended, "http.get")


def test_a_call_that_two_rules_deny_is_allowed_only_without_both_and_both_are_named() -> None:
    held = settings(FILE, grants__deny=["hash.md5", "hash.*", "http.*"])
    text = refusal(held, "hash.md5")
    assert "'deny = hash.md5' of llmspell.toml, line 2 and 'deny = hash.*' of llmspell.toml, line 2" in text
    assert may(followed(held, text), "hash.md5")


@pytest.mark.parametrize("origin", [FILE, NOTEBOOK, SHELL])
def test_the_advice_of_a_missing_allow_keeps_what_was_allowed(origin: Origin) -> None:
    held = settings(origin, grants__allow=["llm.*", "log.info"])
    mended = followed(held, refusal(held, "hash.md5"))
    assert may(mended, "hash.md5") and may(mended, "llm.chat") and may(mended, "log.info")
    assert not may(mended, "http.get")


def test_each_rule_of_a_project_and_of_its_user_is_named_with_its_own_file() -> None:
    own = settings(USER, grants__deny=["hash.md5"])
    both = apply(own, [Entry("grants.deny", ["http.*"], FILE)], engines=["lua"], guest=True)
    assert refusal(both, "hash.md5").endswith(f"(rule 'deny = hash.md5' of {USER}); take that rule away")
    assert refusal(both, "http.get").endswith(f"(rule 'deny = http.*' of {FILE}); take that rule away")
    typed = apply(both, [Entry("grants.deny", ["hash.md5", "http.*"], NOTEBOOK)], engines=["lua"])
    assert str(USER) not in refusal(typed, "hash.md5"), "the list was replaced, and its places with it"


@pytest.mark.parametrize("origin", [FILE, NOTEBOOK, SHELL])
def test_the_advice_of_a_model_that_may_not_be_asked_keeps_those_that_may(origin: Origin) -> None:
    held = settings(origin, budgets__models=["spell/local"])
    with pytest.raises(DeniedError) as refused:
        check_model(table_of(held, Budgets), "spell/echo", held.place("budgets.models"))
    mended = table_of(followed(held, refused.value.message), Budgets)
    check_model(mended, "spell/echo")
    check_model(mended, "spell/local")
