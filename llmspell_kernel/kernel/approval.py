"""Asking the notebook's user through Jupyter's input request.

Rules
- Where the front end takes no input (`allow_stdin` of the very cell is false, as in nbconvert), the answer is no.
- ipykernel's own `input` blocks the process until it is answered.  Here the event loop goes on: other cells' scripts run, output is shown, and a
  stop is heard.
- An answer counts that comes after its question, from the client that was asked, and, where it says so, to this question: what was typed
  ahead, for an older question, or by another client of the kernel is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

from ..errors import DeniedError
from ..policy.approval import ApprovalRequest, is_yes
from ..session.approval import Approver

log = logging.getLogger(__name__)
POLL_S = 0.02
"""How often the answer is looked for; ipykernel looks every 0.01 s."""


def approver_for(shell: Any) -> Approver:
    """Through the front end in a kernel, on the terminal in plain IPython."""
    kernel = getattr(shell, "kernel", None)
    if kernel is not None:
        return KernelApprover(kernel)
    from ..spells.terminal_approver import TerminalApprover

    return TerminalApprover()


class KernelApprover:
    """The request goes to the client of the cell in whose context `ask` runs."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    async def ask(self, request: ApprovalRequest) -> bool:
        kernel, parent = self._kernel, self._kernel.get_parent("shell")
        if not parent.get("content", {}).get("allow_stdin", False):
            raise DeniedError(
                "this front end cannot be asked (it takes no input); run the cell in an open notebook, or change the rule that asks"
            )
        client = kernel._get_shell_context_var(kernel._shell_parent_ident)
        sys.stdout.flush()
        sys.stderr.flush()
        _forget_replies(kernel.stdin_socket)
        content = {"prompt": request.text, "password": False}
        question = kernel.session.send(kernel.stdin_socket, "input_request", content, parent, ident=client)
        while True:
            answer = self._answer(question, client)
            if answer is not None:
                return is_yes(answer)
            await asyncio.sleep(POLL_S)

    def _answer(self, question: dict[str, Any], client: Any) -> str | None:
        """None where there is none yet."""
        try:
            sender, reply = self._kernel.session.recv(self._kernel.stdin_socket)
        except Exception:  # a message without a valid signature, or none at all
            log.warning("an invalid message on the stdin channel was dropped", exc_info=True)
            return None
        if reply is None or reply["msg_type"] != "input_reply":
            return None
        answered = (reply.get("parent_header") or {}).get("msg_id", question["header"]["msg_id"])
        if list(sender) != _identities(client) or answered != question["header"]["msg_id"]:
            return None
        value = reply["content"].get("value")
        return value if isinstance(value, str) else ""


def _identities(client: Any) -> list[bytes]:
    return [client] if isinstance(client, bytes) else list(client)


def _forget_replies(socket: Any) -> None:
    """What was answered before anything was asked."""
    while socket.poll(0):
        socket.recv_multipart()
