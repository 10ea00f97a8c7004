"""The bridge `prompt`: prompts with places to fill."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from llmspell_kernel import Bridge, Context, Resource, method

if TYPE_CHECKING:
    from llmspell_kernel.services.prompts.library import Library
    from llmspell_kernel.services.prompts.template import Template

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Version = Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | int
Prompt = str | list[dict[str, Any]]


class TemplateOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes with a template.

    - defaults: values of places that `render` is given none for
    - examples: what is shown before the last message, as {user, assistant}; `user` is a text, or values that are filled in like the template
    - name: keeps the template for every cell, state and language of the session
    - version: of that name, such as 2 or "2.1"; the same again takes its place
    """

    defaults: dict[str, Any] = {}
    examples: list[dict[str, Any]] = []
    name: Name | None = None
    version: Version = "1"


class PromptTemplate(Resource):
    """A text or messages with places to fill."""

    type = "prompt.template"

    def __init__(self, template: Template) -> None:
        self.template = template

    @method(replay="call")
    async def render(self, ctx: Context, values: dict[str, Any] | None = None) -> Prompt:
        """The prompt with values in its places: a text, or messages where it is made of messages or has examples.

        - values: by name; texts as they are, numbers as they are written, tables as JSON.  What looks like a place in a value stays text.
          Names that the template does not have are left out.

        Raises ScriptError with the code missing_variables, naming every place without a value and the nearest name that was given, and
        LimitError for more than 4,000,000 characters.
        """
        return self.template.render(values or {})

    @method(replay="again")
    async def partial(self, ctx: Context, values: dict[str, Any]) -> PromptTemplate:
        """A template of its own with some values given, which `render` may still be given others for.

        - values: by name, as for `render`
        """
        return PromptTemplate(self.template.partial(values))

    @method(replay="call")
    async def variables(self, ctx: Context) -> list[str]:
        """The names of its places, in the order in which they stand, those with defaults too."""
        return self.template.variables()

    @method(replay="call")
    async def close(self, ctx: Context) -> None:
        """Lets it go; what was kept by a name stays."""


class PromptBridge(Bridge):
    """Prompts with places to fill: `{{name}}`, or `{{name|what stands there without a value}}`."""

    name = "prompt"
    resources = (PromptTemplate,)

    @cached_property
    def _library(self) -> Library:
        # not at the top, nor when a session begins: few fill templates in their first second
        from llmspell_kernel.services.prompts.library import Library

        return Library()

    @method(replay="again")
    async def template(self, ctx: Context, source: Prompt, options: TemplateOptions | None = None) -> PromptTemplate:
        """A template, made of a text or of messages; fill it with `render`.

        - source: `{{name}}` and `{{name|default}}` are places; everything else is text

        Raises ArgumentError for what is no template, and LimitError for one of more than 1,000,000 characters.
        """
        from llmspell_kernel.services.prompts.template import template_of

        options = options or TemplateOptions()
        template = template_of(source, options.defaults, options.examples, options.name or "", str(options.version))
        # of a state that is restored, the names may belong to another one's newer templates meanwhile
        if template.name and not (ctx.restoring and self._library.has(template.name, template.version)):
            self._library.keep(template)
        return PromptTemplate(template)

    @method(replay="again")
    async def get(self, ctx: Context, name: Name, version: Version | None = None) -> PromptTemplate:
        """The template that was kept by a name, in any cell, state or language.

        - version: the newest where none is named

        Raises ScriptError with the code unknown_prompt, naming the nearest.
        """
        return PromptTemplate(self._library.get(name, None if version is None else str(version)))

    @method(replay="call")
    async def list(self, ctx: Context) -> list[dict[str, Any]]:
        """The templates that are kept by a name: `{name, version, variables}`, by name, the newest version last."""
        return self._library.list()

    @method(inner=True, replay="call")
    async def rendered(self, ctx: Context, name: Name, version: Version | None, values: dict[str, Any]) -> Prompt:
        """For other bridges: the prompt of a template that was kept by a name."""
        return self._library.get(name, None if version is None else str(version)).render(values)
