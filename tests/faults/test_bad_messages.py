"""Bytes that are no Jupyter message are dropped: the kernel answers the next right one, and does nothing of the wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmspell_kernel.testing.front_end import FrontEnd


def execute(**content: Any) -> dict[str, Any]:
    return {"code": "ran = True", "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, **content}


def parts(front_end: FrontEnd, content: bytes, kind: str = "execute_request") -> list[bytes]:
    header = {**front_end._wire.msg_header(kind), "date": "2026-01-01T00:00:00Z"}
    return [json.dumps(header).encode(), b"{}", b"{}", content]


def bad(front_end: FrontEnd) -> dict[str, list[bytes]]:
    fine = json.dumps(execute()).encode()
    good = front_end.signed(parts(front_end, fine))
    return {
        "no signature": [b"<IDS|MSG>", b"", *parts(front_end, fine)],
        "a wrong signature": [b"<IDS|MSG>", b"0" * 64, *parts(front_end, fine)],
        "the signature of another message": [*good[:2], *parts(front_end, json.dumps(execute(code="ran = 2")).encode())],
        "no delimiter": [b"hello"],
        "nothing": [b""],
        "too few parts": good[:4],
        "content that is no JSON": front_end.signed(parts(front_end, b"{" * 1000)),
        "content that is no object": front_end.signed(parts(front_end, b"7")),
        "content without code": front_end.signed(parts(front_end, b"{}")),
        "content that is deep": front_end.signed(parts(front_end, b"[" * 100_000 + b"]" * 100_000)),
        "bytes that are no UTF-8": front_end.signed(parts(front_end, b'{"code": "\xff"}')),
        "an unknown request": front_end.signed(parts(front_end, fine, "explode_request")),
        "a header that is no object": front_end.signed([b"[]", b"{}", b"{}", fine]),
        "a hundred megabytes of nothing": [b"<IDS|MSG>", b"0" * 64, b"{}", b"{}", b"{}", bytes(100_000_000)],
    }


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_each_is_dropped_and_the_next_is_answered(kernel, channel):
    kernel.run("ran = False")
    with FrontEnd(kernel.manager.connection_file) as front_end:
        socket = getattr(front_end, channel)
        for what, message in bad(front_end).items():
            front_end.send_raw(message, on=socket)
            request = front_end.send("kernel_info_request", {}, on=socket)
            assert front_end.reply_to(request, timeout_s=30, on=socket)["content"]["status"] == "ok", what
    assert kernel.run("ran").result == "False"
    kernel.extra()
    kernel.survived()


def test_a_cell_of_ten_megabytes_has_its_reply(kernel, engine):
    code = {"lua": "return #[[" + "x" * 10_000_000 + "]]", "js": "`" + "x" * 10_000_000 + "`.length"}[engine]
    ran = kernel.cell(engine, code, 60)
    assert ran.status in ("ok", "error")
    kernel.survived(ran)
