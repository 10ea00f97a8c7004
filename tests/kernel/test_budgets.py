"""Budgets in a notebook: told in the cell, shown by `%llmspell budget`, kept over a restart of the kernel."""

from __future__ import annotations

import pytest

from .conftest import Client


@pytest.fixture
def counting(environment, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    client = Client("llmspell")
    yield client
    client.close()


def lines_of(client: Client) -> dict[str, list[str]]:
    table = client.run("%llmspell budget").stream("stdout")
    return {line.split()[0]: line.split()[1:] for line in table.splitlines() if line}


CHATS = {"lua": "for i = 1, {n} do llm.chat('a b') end", "js": "for (let i = 0; i < {n}; i++) await llm.chat('a b')"}


@pytest.mark.parametrize("engine", sorted(CHATS))
def test_a_budget_is_told_when_it_is_near_refuses_when_it_is_used_up_and_can_be_raised(counting, engine):
    client = counting
    assert client.run("%llmspell config budgets.cell_requests=5").status == "ok"
    chats = f"%%{engine}\n{CHATS[engine]}"
    near = client.run(chats.replace("{n}", "4"))
    assert near.status == "ok"
    assert near.stream("stderr").count("[80 % of the budget budgets.cell_requests is used: 4 of 5]") == 1
    over = client.run(chats.replace("{n}", "6"))
    assert over.reply["ename"] == "LimitError"
    assert "[budgets] cell_requests = 10" in "".join(over.reply["traceback"])
    assert lines_of(client)["budgets.cell_requests"] == ["5", "5", "100", "%"]
    client.run("%llmspell config budgets.cell_requests=10")
    assert client.run(chats.replace("{n}", "6")).status == "ok"
    assert lines_of(client)["budgets.session_requests"] == ["15", "no", "limit"]


def test_the_day_s_use_is_kept_over_a_restart_of_the_kernel(counting):
    client = counting
    client.run("%%lua\nllm.chat('a b')")
    client.manager.restart_kernel(now=True)
    client.channels.wait_for_ready(timeout=60)
    client.run("%%lua\nllm.chat('a b')")
    shown = lines_of(client)
    assert shown["budgets.day_requests"] == ["2", "no", "limit"]
    assert shown["budgets.session_requests"] == ["1", "no", "limit"]
