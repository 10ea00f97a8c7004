"""Which layers of the operating system hold a worker, by preset, and whether a session may go on where one is missing.

The names are those of workers.confinement, where each is a module; the language's own limits hold in every preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..errors import ConfigError, nearest

MODES = ("auto", "off")
"""Of the setting `confinement`: what the preset asks for, or nothing.  `off` is for machines where a layer breaks what it should not."""


class Confinement(NamedTuple):
    layers: tuple[str, ...] = ()
    required: bool = False
    """A session does not run where a layer is missing."""
    shields_host: bool = False
    """The host's own memory and environment are closed to other processes of its user, debuggers among them."""


PRESET_LAYERS: Mapping[str, Confinement] = {
    "minimal": Confinement(),
    "standard": Confinement(("privileges", "landlock", "seccomp")),
    "strict": Confinement(("privileges", "landlock", "seccomp_strict"), required=True, shields_host=True),
}


def confinement_of(preset: str, mode: str = "auto") -> Confinement:
    """Raises ConfigError for a preset there is not, and where the mode contradicts it."""
    if preset not in PRESET_LAYERS:
        raise ConfigError(f"there is no preset '{preset}'{nearest(preset, list(PRESET_LAYERS))}", key="preset")
    if mode not in MODES:
        raise ConfigError(f"is '{mode}', which is none of {', '.join(MODES)}", key="confinement")
    if refused := contradiction(preset, mode):
        raise ConfigError(refused, key="confinement")
    return PRESET_LAYERS[preset] if mode == "auto" else Confinement()


def contradiction(preset: str, mode: str) -> str:
    """Why the two cannot stand together, "" where they can."""
    if mode == "off" and PRESET_LAYERS[preset].required:
        return f"cannot be 'off' with the preset {preset}, which runs no script unconfined; set it to 'auto', or choose the preset standard"
    return ""
