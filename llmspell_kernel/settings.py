"""What a user can set, as one frozen object that kernel and cli make and pass in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .errors import ConfigError, nearest

DISPLAY_MODES = ("auto", "live", "static")


class Settings(NamedTuple):
    """`preset` names the limits (policy.limits.PRESETS); `seed` starts every state's random numbers."""

    preset: str = "standard"
    display: str = "auto"
    seed: int = 0


def from_environment(environ: Mapping[str, str]) -> Settings:
    """LLMSPELL_DISPLAY and LLMSPELL_SEED.  Raises ConfigError naming the variable."""
    display = environ.get("LLMSPELL_DISPLAY", "auto")
    if display not in DISPLAY_MODES:
        raise ConfigError(f"LLMSPELL_DISPLAY is '{display}'{nearest(display, DISPLAY_MODES)}")
    seed = environ.get("LLMSPELL_SEED", "0")
    try:
        return Settings(display=display, seed=int(seed))
    except ValueError:
        raise ConfigError(f"LLMSPELL_SEED is '{seed}', not a whole number") from None
