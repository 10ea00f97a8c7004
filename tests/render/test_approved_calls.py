"""The trace says of which calls the user was asked."""

from __future__ import annotations

import pytest

from llmspell_kernel.journal.events import AnyEvent, CallAsked, CallDenied, CallFinished, CallStarted, CallUsage, CellStarted
from llmspell_kernel.render.trace import final_bundle

START = CellStarted(1, 0.0, "lua", "main", "cell[1]", "code")
ANSWER = [CallStarted(1, 1.0, 9, "llm", "chat", ["hi"]), CallUsage(1, 1.0, 9, "m", 1, 1), CallFinished(1, 1.0, 9, "ho", 0.1)]


def html(*events: AnyEvent) -> str:
    bundle = final_bundle([START, *events, *ANSWER])
    assert bundle is not None
    return str(bundle.data["text/html"])


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_call_that_was_allowed_is_listed_with_its_arguments_and_the_consent(when: str) -> None:
    asked = CallAsked(1, 1.0, 3, "mail.send", True, 2.0)
    started = CallStarted(1, 1.0, 3, "mail", "send", ["me@example.com"])
    events = [asked, started] if when == "before" else [started, asked]
    shown = html(*events, CallFinished(1, 1.0, 3, None, 0.1))
    assert "<b>mail.send</b> done" in shown and "allowed by you" in shown and "me@example.com" in shown


def test_a_call_that_was_not_allowed_is_denied_and_never_called_allowed() -> None:
    shown = html(CallAsked(1, 1.0, 3, "mail.send", False, 2.0), CallDenied(1, 1.0, 3, "mail", "send", ["x"], "denied", "the user said no"))
    assert "denied" in shown and "allowed by you" not in shown


def test_the_consent_to_one_call_is_not_shown_with_another() -> None:
    started = CallStarted(1, 1.0, 4, "mail", "send", ["x"])
    assert "allowed by you" not in html(CallAsked(1, 1.0, 3, "mail.send", True, 2.0), started, CallFinished(1, 1.0, 4, None, 0.1))
