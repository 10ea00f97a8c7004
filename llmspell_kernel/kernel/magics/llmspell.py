"""`%llmspell`: the languages, the language of plain cells, what states there are, what happened, and going back to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any

from ...errors import ConfigError, Interrupted, SpellError
from ..commands import Command, help_text
from ..frameless import stopped_task, without_frames
from ..help_commands import known


def register(shell: Any, notebook: Any) -> None:
    def llmspell(line: str) -> Awaitable[None] | None:
        def show(shown: Any) -> None:
            from ...render.shown import shown_bundle

            shell.display_pub.publish(shown_bundle(shown, "None"))

        try:
            name, after = (*(line.split(maxsplit=1) or ["help"]), "")[:2]
            command = known(name)
            words = _words(command, after, line)
            if len(words) > command.most_words:
                written = ", or ".join(f"%llmspell {usage}" for usage, _ in command.usages)
                raise ConfigError(f"'%llmspell {line}' has too many words; write: {written}")
            answer = command.function()(words, notebook, show)
            return _begun(answer, notebook) if command.is_awaited else None
        except SpellError as error:
            raise without_frames(error) from None

    llmspell.__doc__ = help_text()
    shell.register_magic_function(llmspell, magic_kind="line", magic_name="llmspell")


def _words(command: Command, after: str, line: str) -> list[str]:
    try:
        return command.split(after)
    except ValueError:
        raise ConfigError(f"'%llmspell {line}' has a quotation mark without its other one, or ends in a backslash") from None


def _begun(command: Coroutine[Any, Any, None], notebook: Any) -> Awaitable[None]:
    """Runs also where nobody waits for it."""

    async def shown() -> None:
        try:
            with notebook.stop_signal.taken():
                await command
        except Interrupted as error:
            raise stopped_task(error) from None
        except SpellError as error:
            raise without_frames(error) from None

    try:
        return asyncio.get_running_loop().create_task(shown())
    except RuntimeError:  # IPython in a terminal, where the transformed line awaits it
        return shown()
