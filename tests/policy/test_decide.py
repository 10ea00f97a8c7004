"""May this effect happen: the whole table of answers, from the arguments alone."""

from __future__ import annotations

import pytest

from llmspell_kernel.policy.decide import Allow, Deny, Exceeded, Grants, decide
from llmspell_kernel.policy.limits import PRESETS, Limits

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
    verdict = decide(capability, grants, 0, 1)
    assert isinstance(verdict, Allow if allowed else Deny)
    if isinstance(verdict, Deny):
        assert verdict.capability == capability
        assert capability in verdict.reason


def test_a_denial_says_which_rule_and_a_missing_grant_which_line_would_give_it() -> None:
    denied = decide("llm.chat", Grants(deny=("log.*", "llm.*")), 0, 1)
    missing = decide("llm.chat", Grants(allow=("log.*",)), 0, 1)
    assert isinstance(denied, Deny)
    assert isinstance(missing, Deny)
    assert "rule 'deny = llm.*'" in denied.reason
    assert "[grants] allow = ['llm.chat']" in missing.reason


@pytest.mark.parametrize(("so_far", "allowed"), [(0, True), (2, True), (3, False), (4, False)])
def test_the_effect_over_the_limit_is_refused_and_the_one_before_is_not(so_far: int, allowed: bool) -> None:
    assert decide("llm.chat", Grants(), so_far, 3) == (Allow() if allowed else Exceeded("effects", 3))


def test_a_rule_is_named_before_a_used_up_limit() -> None:
    verdict = decide("llm.chat", Grants(deny=("llm.*",)), 9, 3)
    assert isinstance(verdict, Deny)
    assert "rule" in verdict.reason


def test_every_preset_is_tighter_than_the_one_before() -> None:
    minimal, standard, strict = (PRESETS[name] for name in ("minimal", "standard", "strict"))
    for field in ("script_time_s", "total_time_s", "memory_bytes", "output_bytes", "effects", "value_bytes"):
        assert getattr(minimal, field) > getattr(standard, field) > getattr(strict, field) > 0


def test_a_preset_keeps_a_script_shorter_than_its_cell() -> None:
    assert all(isinstance(limits, Limits) and limits.script_time_s < limits.total_time_s for limits in PRESETS.values())
