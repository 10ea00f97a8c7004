"""May this effect happen: the whole table of answers, from the arguments alone."""

from __future__ import annotations

import pytest

from llmspell_kernel.policy.decide import Allow, Ask, Deny, EffectFacts, Grants, decide
from llmspell_kernel.policy.limits import PRESETS, Limits
from llmspell_kernel.policy.presets import PRESETS as WHOLE_PRESETS

PRESET_GRANTS = WHOLE_PRESETS["strict"].grants

TABLE: list[tuple[Grants, str, bool]] = [
    (Grants(), "llm.chat", True),
    (Grants(allow=()), "llm.chat", False),
    (Grants(allow=("llm.chat",)), "llm.chat", True),
    (Grants(allow=("llm.chat",)), "llm.chats", False),
    (Grants(allow=("llm.chat",)), "xllm.chat", False),
    (Grants(allow=("llm.*",)), "llm.stream", True),
    (Grants(allow=("llm.*",)), "llm.stream.next", True),
    (Grants(allow=("llm.*",)), "log.info", False),
    (Grants(allow=("LLM.*",)), "llm.chat", False),
    (Grants(allow=("log.*", "llm.chat")), "llm.chat", True),
    (Grants(deny=("llm.chat",)), "llm.chat", False),
    (Grants(deny=("llm.chat",)), "llm.stream", True),
    (Grants(allow=("llm.chat",), deny=("llm.chat",)), "llm.chat", False),
    (Grants(allow=("llm.chat",), deny=("llm.*",)), "llm.chat", False),
    (Grants(allow=("llm.chat",), deny=("*",)), "llm.chat", False),
    (Grants(allow=("*",), deny=("http.*",)), "llm.chat", True),
]


@pytest.mark.parametrize(("grants", "capability", "allowed"), TABLE)
def test_grants_allow_what_they_name_and_a_deny_wins(grants: Grants, capability: str, allowed: bool) -> None:
    verdict = decide(EffectFacts(capability), [grants])
    assert isinstance(verdict, Allow if allowed else Deny)
    if isinstance(verdict, Deny):
        assert verdict.capability == capability
        assert capability in verdict.reason


def test_a_denial_says_which_rule_and_a_missing_grant_which_line_would_give_it() -> None:
    denied = decide(EffectFacts("llm.chat"), [Grants(deny=("log.*", "llm.*"))])
    missing = decide(EffectFacts("llm.chat"), [Grants(allow=("log.*",))])
    assert isinstance(denied, Deny)
    assert isinstance(missing, Deny)
    assert "rule 'deny = llm.*'" in denied.reason
    assert "[grants] allow = ['log.*', 'llm.chat']" in missing.reason


ASKS = Grants(ask=("llm.*",))
WRITES = Grants(ask_levels=("write", "dangerous"))
SEVERAL: list[tuple[list[Grants], EffectFacts, type]] = [
    ([], EffectFacts("llm.chat"), Allow),
    ([ASKS], EffectFacts("llm.chat"), Ask),
    ([ASKS], EffectFacts("log.info"), Allow),
    ([ASKS, Grants()], EffectFacts("llm.chat"), Ask),
    ([Grants(), ASKS], EffectFacts("llm.chat"), Ask),
    ([ASKS, Grants(deny=("llm.chat",))], EffectFacts("llm.chat"), Deny),
    ([Grants(allow=("llm.chat",)), ASKS], EffectFacts("llm.chat"), Ask),
    ([Grants(), Grants(allow=("log.*",))], EffectFacts("llm.chat"), Deny),
    ([Grants(deny=("*",)), Grants()], EffectFacts("llm.chat"), Deny),
    ([Grants(ask=("llm.chat",), deny=("llm.chat",))], EffectFacts("llm.chat"), Deny),
    ([WRITES], EffectFacts("storage.get"), Allow),
    ([WRITES], EffectFacts("storage.set", "write"), Ask),
    ([WRITES], EffectFacts("tools.call", "dangerous"), Ask),
    ([WRITES], EffectFacts("http.get", "network"), Allow),
]


@pytest.mark.parametrize(("grants", "effect", "verdict"), SEVERAL)
def test_several_grants_must_agree_and_a_deny_wins_then_an_ask(grants: list[Grants], effect: EffectFacts, verdict: type) -> None:
    assert isinstance(decide(effect, grants), verdict)


def test_a_reason_names_whose_rule_it_is() -> None:
    asked = decide(EffectFacts("storage.set", "write"), [PRESET_GRANTS])
    denied = decide(EffectFacts("http.get", "network"), [PRESET_GRANTS])
    assert isinstance(asked, Ask) and asked.reason == "the preset strict: every effect of the level 'write'"
    assert isinstance(denied, Deny) and denied.reason == (
        "http.get is denied by the preset strict (rule 'deny = http.*'); choose the preset standard where scripts may have it"
    )


def test_every_preset_is_tighter_than_the_one_before() -> None:
    minimal, standard, strict = (PRESETS[name] for name in ("minimal", "standard", "strict"))
    for field in ("script_time_s", "total_time_s", "memory_bytes", "output_bytes", "effects", "value_bytes"):
        assert getattr(minimal, field) > getattr(standard, field) > getattr(strict, field) > 0


def test_a_preset_keeps_a_script_shorter_than_its_cell() -> None:
    assert all(isinstance(limits, Limits) and limits.script_time_s < limits.total_time_s for limits in PRESETS.values())
