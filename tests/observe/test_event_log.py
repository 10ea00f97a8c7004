"""Events as lines of JSON on Python's own logging."""

from __future__ import annotations

import json
import logging

import msgspec
import pytest

from llmspell_kernel.journal import events
from llmspell_kernel.observe.content import fact_line
from llmspell_kernel.observe.event_log import EventLog
from llmspell_kernel.policy.observe import ObservePolicy

from .runs import observed

LOGS = ObservePolicy(logs=True)
CODE = {
    "lua": "log.info('for the log', {a = 1}) pcall(hash.md5, 1, 2, 3) return llm.chat('SECRET')",
    "javascript": "await log.info('for the log', {a: 1}); try { await hash.md5(1, 2, 3) } catch (e) {} await llm.chat('SECRET')",
}


@pytest.mark.parametrize("engine", CODE)
def test_an_event_is_one_line_of_json_without_prompts_and_answers(engine: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="llmspell.events"):
        observed(LOGS, CODE[engine], engine=engine)
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "llmspell.events"]
    kinds = [line["event"] for line in lines]
    assert kinds[0] == "CellStarted" and kinds[-1] == "CellFinished"
    assert {"CallStarted", "CallUsage", "CallDenied", "Logged"} <= set(kinds)
    assert "SECRET" not in caplog.text and "return" not in caplog.text
    (logged,) = [line for line in lines if line["event"] == "Logged"]
    assert logged["message"] == "for the log"
    (denied,) = [line for line in lines if line["event"] == "CallDenied"]
    assert denied["code"] and "message" not in denied


def test_content_is_in_the_lines_where_it_is_asked_for(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "EVENT_ONLY")
    with caplog.at_level(logging.DEBUG, logger="llmspell.events"):
        observed(LOGS, CODE["lua"])
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "llmspell.events"]
    (asked,) = [line for line in lines if line["event"] == "CallStarted" and line["method"] == "chat"]
    assert asked["arguments"] == ["SECRET"]
    assert "".join(line["text"] for line in lines if line["event"] == "CallChunk") == "echo: SECRET"


def test_levels_tell_what_needs_a_look(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="llmspell.events"):
        observed(LOGS, "log.error('bad') log.debug('fine') pcall(hash.md5) llm.chat('x')")
    levels = {}
    for record in caplog.records:
        line = json.loads(record.getMessage())
        levels[line.get("message") or line["event"]] = record.levelname
    assert levels["bad"] == "ERROR" and levels["fine"] == "DEBUG"
    assert (levels["CallDenied"], levels["CallChunk"], levels["CallStarted"]) == ("WARNING", "DEBUG", "INFO")


def test_retries_and_budgets_need_a_look_and_are_told_in_numbers(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(capture=False)
    with caplog.at_level(logging.INFO, logger="llmspell.events"):
        log(events.Retried(1, 1.0, 2, 2, 3, 0.5, "rate_limit", "SECRET"))
        log(events.BudgetWarned(1, 1.0, "budgets.cell_requests", 4.0, 5.0))
        log(events.BudgetRefused(1, 1.0, 2, "budgets.cell_requests", 5.0, 5.0))
    budget = {"cell": 1, "time": 1.0, "budget": "budgets.cell_requests", "limit": 5.0}
    assert [json.loads(record.getMessage()) for record in caplog.records] == [
        {"event": "Retried", "cell": 1, "time": 1.0, "call": 2, "attempt": 2, "attempts": 3, "wait_s": 0.5, "code": "rate_limit"},
        {"event": "BudgetWarned", **budget, "used": 4.0},
        {"event": "BudgetRefused", **budget, "call": 2, "used": 5.0},
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_where_nobody_keeps_a_log_the_lines_go_to_stderr_and_the_logger_is_left_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    logger, root = logging.getLogger("llmspell.events"), logging.getLogger()
    kept, root.handlers = root.handlers, []
    try:
        observed(LOGS, "return 1")
    finally:
        root.handlers = kept
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["CellStarted", "StateOpened", "CellFinished"]
    assert (logger.level, logger.handlers) == (logging.NOTSET, [])


@pytest.mark.parametrize("kind", [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)])
def test_no_text_that_may_be_content_is_in_the_line_of_any_event(kind: type[events.Event]) -> None:
    if kind is events.Event:
        return
    facts = {
        "cell": 1,
        "time": 1.0,
        "call": 1,
        "duration_s": 1.0,
        "status": "ok",
        "cells": 1,
        "resource": 1,
        "seed": 1,
        "why": "closed",
        "allowed": True,
        "waited_s": 1.0,
        **{"attempt": 2, "attempts": 3, "wait_s": 1.0, "used": 4.0, "limit": 5.0},
    }
    names = {
        "engine",
        "state",
        "chunk",
        "function",
        "bridge",
        "method",
        "model",
        "finish_reason",
        "level",
        "type",
        "reason",
        "entropy",
        "capability",
        "budget",
    }
    values = {}
    for field in msgspec.structs.fields(kind):
        if field.name in facts:
            values[field.name] = facts[field.name]
        elif field.name in names:
            values[field.name] = "name"
        elif field.required or field.name in ("error", "left_out"):
            values[field.name] = {"fields": {"a": "SECRET"}, "left_out": [["a", "SECRET"]]}.get(field.name, "SECRET")
    line = fact_line(kind(**values))
    if kind is events.Logged:
        line = line.replace('"message":"SECRET"', "")
    elif kind in (events.CallFailed, events.CallDenied, events.Retried):
        line = line.replace('"code":"SECRET"', "")
    assert "SECRET" not in line and "\n" not in line and json.loads(fact_line(kind(**values)))["event"] == kind.__name__
