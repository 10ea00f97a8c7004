"""Files of tools: scripts in the folder `tools` beside the notebook, which register tools when they are loaded.

Rules
- The folder is held as scripts' own files are (`services.storage.jail`): no link leads out of it, and the user's denied names hold.
- Nothing is written there.  Whoever lets scripts keep files in it, lets them write tools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.errors import ScriptError

from .tool_names import check_name

if TYPE_CHECKING:
    from llmspell_kernel.policy.files import FilePolicy

FOLDER = "tools"


def module_of(name: str) -> str:
    """What `require` knows the file as."""
    return f"{FOLDER}/{name}"


def read_source(folder: Path, rules: Callable[[], FilePolicy], name: str, endings: Sequence[str]) -> str:
    """The file `NAME` with one of the endings.  Raises ScriptError (not_found among others), DeniedError, LimitError and BridgeError."""
    from llmspell_kernel.services.storage.jail import Jail

    check_name(name)
    allowed = tuple(f"*{ending}" for ending in endings)
    jail = Jail(folder, lambda: rules()._replace(root=FOLDER, read_only=True, allow=allowed))
    try:
        for ending in endings:
            if jail.exists(f"{name}{ending}"):
                return jail.read(f"{name}{ending}").decode()
    except UnicodeDecodeError as error:
        raise ScriptError(f"{FOLDER}/{name} is not valid UTF-8 (byte {error.start})", code="value") from None
    finally:
        jail.close()
    places = " or ".join(f"{FOLDER}/{name}{ending}" for ending in endings)
    raise ScriptError(f"there is no file {places} in the notebook's folder", code="not_found")
