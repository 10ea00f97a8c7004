"""Bridge `secrets`: which secrets there are; a script never sees a value."""

from __future__ import annotations

from llmspell_kernel import Bridge, BridgeSession, Context, method


class Secrets(Bridge):
    """The names of the secrets that calls of other bridges may use, such as `http` with `auth = "github"`.  Scripts get no value."""

    name = "secrets"

    async def open(self, session: BridgeSession) -> None:
        self._secrets = session.secrets

    @method
    async def names(self, ctx: Context) -> list[str]:
        """The names of all secrets that are declared."""
        return self._secrets.names()

    @method
    async def has(self, ctx: Context, name: str) -> bool:
        """Is there a secret of that name, with a value?

        - name: as in the settings, `[secrets.NAME]`
        """
        return self._secrets.has(name)
