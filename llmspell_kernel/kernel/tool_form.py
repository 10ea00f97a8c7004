"""`%llmspell tool NAME`: a form with a field for each of a tool's arguments, which calls it and shows the answer.

A widget shows text alone, and the answer goes through rendering as a cell's result does: no word of a tool becomes markup.  The page would
typeset formulas in a widget's text, and in its description always; so words of a tool stand in labels of their own, which say that they are none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..errors import SpellError
from ..render.text import clean_clipped, clean_line
from ..render.values import bundle
from .form_fields import Field, arguments_of, fields_of, problems_by_field

DESCRIPTION_CHARS = 2_000
ERROR_CHARS = 4_000
LABEL_CHARS = 80
HINT_CHARS = 300
NOT_THERE = "none"
"""How a line without words is displayed: it would still be as high as one with some."""


class ToolForm:
    """`view` is the widget.  `session` is the notebook's, which the form calls the tool in, as Python does."""

    def __init__(self, about: Mapping[str, Any], session: Any) -> None:
        import ipywidgets  # 0.1 s, which only who opens a form pays

        self._name, self._session = about["name"], session
        self.fields = fields_of(about["parameters"])
        self.inputs = {field.name: _input(ipywidgets, field) for field in self.fields}
        self.errors = {name: _error_line(ipywidgets) for name in ("", *self.inputs)}
        self.button = ipywidgets.Button(description="Call", button_style="primary")
        self.button.on_click(self._clicked)
        self.answer = ipywidgets.Output()
        said = _label(ipywidgets, clean_clipped(f"{about['name']}: {about['description']}", DESCRIPTION_CHARS))
        rows = [ipywidgets.VBox(_row(ipywidgets, field, self.inputs[field.name], self.errors[field.name])) for field in self.fields]
        self.view = ipywidgets.VBox([said, *rows, self.errors[""], self.button, self.answer])
        self._task: asyncio.Task[None] | None = None

    async def call(self) -> None:
        """As the button does: checks what was written, calls the tool where it fits, and shows what comes of it."""
        self._tell({})
        self.answer.outputs = ()
        try:
            arguments = arguments_of(self.fields, {name: widget.value for name, widget in self.inputs.items()})
            checked = await self._session.call_bridge("tools", "validate", self._name, arguments)
            if not checked["valid"]:
                return self._tell(problems_by_field(self.fields, checked["errors"]))
            value = await self._session.call_bridge("tools", "call", self._name, arguments)
        except (SpellError, ValueError) as error:
            return self._tell({"": [str(error)]})
        shown = bundle([value], null="None") or {"text/plain": "None"}
        self.answer.outputs = ({"output_type": "display_data", "data": shown, "metadata": {}},)

    def _clicked(self, _: Any) -> None:
        if self._task is None or self._task.done():
            self.button.disabled = True
            self._task = asyncio.get_running_loop().create_task(self.call())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.button.disabled = False
        if not task.cancelled() and (error := task.exception()) is not None:
            self._tell({"": [f"{type(error).__name__}: {error}"]})

    def _tell(self, problems: Mapping[str, list[str]]) -> None:
        for name, line in self.errors.items():
            line.value = clean_clipped("; ".join(problems.get(name, ())), ERROR_CHARS)
            line.layout.display = None if line.value else NOT_THERE


def _row(ipywidgets: Any, field: Field, entered: Any, error: Any) -> list[Any]:
    return [_label(ipywidgets, clean_line(field.label, LABEL_CHARS)), entered, error]


def _input(ipywidgets: Any, field: Field) -> Any:
    tooltip = clean_line(f"{field.label}: {field.hint}" if field.hint else field.label, HINT_CHARS)
    match field.kind:
        case "choice":
            options = [("", None), *((clean_line(choice, LABEL_CHARS), place) for place, choice in enumerate(field.choices))]
            return ipywidgets.Dropdown(options=options, value=field.initial, tooltip=tooltip)
        case "yes_no":
            return ipywidgets.Checkbox(value=field.initial, indent=False, tooltip=tooltip)
    return ipywidgets.Text(value=field.initial, placeholder=clean_line(field.hint, LABEL_CHARS), tooltip=tooltip)


def _error_line(ipywidgets: Any) -> Any:
    return _label(ipywidgets, "", style={"text_color": "firebrick"}, layout={"display": NOT_THERE})


def _label(ipywidgets: Any, text: str, **how: Any) -> Any:
    label = ipywidgets.Label(text, **how)
    label.add_class("mathjax_ignore")
    return label
