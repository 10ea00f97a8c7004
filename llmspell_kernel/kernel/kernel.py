"""The thin kernel: IPython's, with a default language, and answers about script code from the engine and the catalogue."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from zmq.constants import SocketOption

from .. import __version__
from ..engines._declaration import EngineDeclaration
from ..engines._registry import EngineRegistry, discover
from ..errors import NOT_BEGUN, SpellError
from ..settings import PYTHON
from ..workers.spawn import WorkerProcess
from .cells import ScriptCell, script_cell, state_of
from .extension import install, plain_engine

QUESTIONS = frozenset(
    {"complete_request", "inspect_request", "is_complete_request", "history_request", "kernel_info_request", "comm_info_request"}
)
"""Requests that run no code."""
PREPARE_AFTER_S = 0.5
PLAIN_SPEC = "llmspell"


class LLMSpellKernel(IPythonKernel):  # type: ignore[misc]
    """`default_engine` is set by the class that `for_spec` makes, before the kernel starts."""

    implementation = "llmspell"
    implementation_version = __version__
    default_engine = PYTHON
    engines: EngineRegistry | None = None
    spare: WorkerProcess | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        engines = self.engines or discover()
        default = self.default_engine if self.default_engine != PYTHON else plain_engine(engines)
        self.notebook = install(self.shell, default=default, engines=engines, spare=self.spare)

    @property
    def language_info(self) -> dict[str, Any]:
        """Of plain cells, as they are now: a front end that asks again is told of `%llmspell engine`."""
        default = self.notebook.default
        return language_info(self.notebook.engines.get(default)) if default != PYTHON else IPythonKernel.language_info

    @property
    def banner(self) -> str:
        magics = ", ".join(f"%%{min(engine.names, key=len)}" for engine in self.notebook.engines)
        return f"LLMSpell {__version__}: {magics} cells run in sandboxed states; plain cells are {self.notebook.default_title}.\n"

    def start(self) -> None:
        """No high-water marks: with them, thousands of unpaced requests block the shell thread and the main thread against each other."""
        self.shell_stream.socket.set(SocketOption.SNDHWM, 0)
        if hasattr(self.iopub_socket, "io_thread"):
            self.iopub_socket.io_thread.socket.set(SocketOption.SNDHWM, 0)
        super().start()
        # a person's first script cell then need not wait for the session's imports
        self.io_loop.call_later(PREPARE_AFTER_S, self.notebook.prepare)
        manager = self.shell_channel_thread.manager
        for pair in (manager._shell_channel_to_main, manager._main_to_shell_channel):
            for socket in (pair.from_socket, pair.to_socket):
                socket.set(SocketOption.SNDHWM, 0)
                socket.set(SocketOption.RCVHWM, 0)

    async def shell_main(self, subshell_id: str | None, msg: Any) -> None:
        """Questions are answered while a cell waits for its script: ipykernel would keep them until the cell has ended.

        Done as ipykernel itself does it for comm messages, and with the statuses that a front end waits for.
        """
        if subshell_id is None and self._main_asyncio_lock.locked():
            header = self._header(msg)
            if header.get("msg_type") in QUESTIONS:
                return await self._answer_beside(msg, {"header": header})
        await super().shell_main(subshell_id, msg)

    async def _answer_beside(self, msg: Any, parent: dict[str, Any]) -> None:
        running, ident = self.get_parent("shell"), self._get_shell_context_var(self._shell_parent_ident)
        self._publish_status("busy", "shell", parent)
        try:
            await asyncio.create_task(self.dispatch_shell(msg, concurrent=True), context=copy_context())
        finally:
            self.set_parent(ident, running, channel="shell")
            self._publish_status("idle", "shell", parent)
            if self._main_asyncio_lock.locked():  # a page shows the last status, and the cell still runs
                self._publish_status("busy", "shell", running)

    def _header(self, msg: Any) -> dict[str, Any]:
        try:
            _, frames = self.session.feed_identities(msg, copy=False)
            return dict(self.session.deserialize(frames, content=False, copy=False)["header"])
        except Exception:  # what is no message is told of where it is dispatched
            return {}

    async def execute_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Notes an interrupt that comes before a script cell has begun: ipykernel would end the request without a reply.

        One that comes too late for its cell is forgotten, as the next cell has not been stopped by anybody.
        """
        cell = script_cell(str(parent.get("content", {}).get("code", "")), self.notebook.magics, self.notebook.default)
        if cell is None:  # Python's cells keep Python's interrupt
            await super().execute_request(stream, ident, parent)
            return
        with self.notebook.early_stop.noted():
            await super().execute_request(stream, ident, parent)

    async def do_execute(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """An interrupt that comes before the cell's first step cancels its task, and ipykernel would then send no reply at all."""
        try:
            return await super().do_execute(*args, **kwargs)  # type: ignore[no-any-return]
        except asyncio.CancelledError:
            error = {"ename": "KeyboardInterrupt", "evalue": NOT_BEGUN, "traceback": [f"KeyboardInterrupt: {NOT_BEGUN}"]}
            self.send_response(self.iopub_socket, "error", error)
            return {"status": "error", **error, "execution_count": self.shell.execution_count, "user_expressions": {}, "payload": []}

    async def do_complete(self, code: str, cursor_pos: int | None) -> dict[str, Any]:
        cursor = len(code) if cursor_pos is None else cursor_pos
        cell = self._script(code, cursor)
        if cell is None:
            return super().do_complete(code, cursor_pos)  # type: ignore[no-any-return]
        from .language import complete, token_before

        engine = self._engine(cell)
        token = token_before(code, cursor)
        matches = complete(token, await self._members(cell, token.path), self.notebook.session.declarations, engine)
        return {"status": "ok", "matches": matches, "cursor_start": token.start, "cursor_end": cursor, "metadata": {}}

    async def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()) -> dict[str, Any]:
        cell = self._script(code, cursor_pos)
        if cell is None:
            return super().do_inspect(code, cursor_pos, detail_level, omit_sections)  # type: ignore[no-any-return]
        from .language import describe, name_at

        engine = self._engine(cell)
        name = name_at(code, cursor_pos)
        members = await self._members(cell, name.rpartition(".")[0])
        text = describe(name, members, self.notebook.session.declarations, engine) if name else None
        return {"status": "ok", "found": text is not None, "data": {"text/plain": text} if text else {}, "metadata": {}}

    async def do_is_complete(self, code: str) -> dict[str, Any]:
        cell = script_cell(code, self.notebook.magics, self.notebook.default)
        if cell is None or code.lstrip().startswith("%%"):
            return super().do_is_complete(code)  # type: ignore[no-any-return]
        try:
            answer = await self.notebook.session.ask("is_complete", cell.code, engine=cell.engine, open_state=True)
        except SpellError:
            return {"status": "unknown"}
        if not isinstance(answer, dict):
            return {"status": "unknown"}
        return {"status": answer["status"], **({"indent": answer["indent"]} if answer["status"] == "incomplete" else {})}

    def do_history(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """IPython calls the current session 0 in the lines of a range, also where it was asked for by its number: give the number."""
        reply: dict[str, Any] = super().do_history(*args, **kwargs)
        current = self.shell.history_manager.session_number
        reply["history"] = [(session or current, *rest) for session, *rest in reply["history"]]
        return reply

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Comes on the thread of the control channel, while the shell's may be busy."""
        await self.notebook.shut_down()
        return super().do_shutdown(restart)  # type: ignore[no-any-return]

    def _script(self, code: str, cursor: int) -> ScriptCell | None:
        """The script cell that the cursor is in, None in Python code and in the lines of magics."""
        cell = script_cell(code, self.notebook.magics, self.notebook.default)
        if cell is None or code[:cursor].count("\n") < cell.offset:
            return None
        return cell

    def _engine(self, cell: ScriptCell) -> EngineDeclaration:
        return self.notebook.engines.get(cell.engine)

    async def _members(self, cell: ScriptCell, path: str) -> list[list[str]]:
        try:
            return await self.notebook.session.ask("members", path, engine=cell.engine, state=state_of(cell)) or []
        except SpellError:
            return []


def language_info(engine: EngineDeclaration) -> dict[str, Any]:
    """What the kernel's info reply says of an engine's language."""
    return {
        "name": engine.name,
        "version": engine.language_version,
        "mimetype": next(iter(engine.mime_types), "text/plain"),
        "file_extension": next(iter(engine.file_endings), ".txt"),
        "pygments_lexer": engine.pygments_lexer,
        "codemirror_mode": engine.codemirror_mode or engine.name,
    }


def specs(engines: EngineRegistry) -> dict[str, str]:
    """The kernels there are, each with the language of its plain cells."""
    return {PLAIN_SPEC: PYTHON, **{engine.kernelspec: engine.name for engine in engines if engine.kernelspec}}


def for_spec(name: str, engines: EngineRegistry, spare: WorkerProcess | None) -> type[LLMSpellKernel]:
    """The kernel class of a kernelspec, with what was begun before ipykernel was imported."""
    return type("LLMSpellKernel", (LLMSpellKernel,), {"default_engine": specs(engines)[name], "engines": engines, "spare": spare})
