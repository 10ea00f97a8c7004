"""The bridge `modules`: the sources behind `require`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmspell_kernel import Bridge, BridgeSession, Context, method
from llmspell_kernel.errors import ScriptError

if TYPE_CHECKING:
    from llmspell_kernel.services.modules import ModuleLibrary


class Modules(Bridge):
    """The modules registered with the session.  Scripts load them with `require("NAME")`."""

    name = "modules"

    def __init__(self) -> None:
        self._library: ModuleLibrary | None = None

    async def open(self, session: BridgeSession) -> None:
        self._library = session.modules

    @method(replay="call")
    async def source(self, ctx: Context, name: str, language: str) -> str:
        """The text of a module.

        - name: as in `require("NAME")`
        - language: the language that it must be written in

        Raises ScriptError with the code unknown_module, naming the nearest names, or module_language where it is written in another one.
        """
        return self._opened().source(name, language)

    @method(replay="call")
    async def list(self, ctx: Context) -> Sequence[dict[str, str]]:
        """The modules that can be loaded, as `{name, language}`."""
        return [{"name": name, "language": language} for name, language in self._opened()]

    def _opened(self) -> ModuleLibrary:
        if self._library is None:
            raise ScriptError("no modules are registered here", code="unknown_module")
        return self._library
