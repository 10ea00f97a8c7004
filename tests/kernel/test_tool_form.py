"""`%llmspell tools`, `%llmspell tool NAME` and its form, and Python's side of tools."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

from llmspell_kernel.errors import ConfigError
from llmspell_kernel.kernel.form_fields import arguments_of, fields_of, problems_by_field
from llmspell_kernel.kernel.tool_commands import tool, tools
from llmspell_kernel.kernel.tool_form import ToolForm
from llmspell_kernel.session import Session

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "where"},
        "days": {"type": "integer", "default": 2},
        "unit": {"enum": ["C", "F", 3], "default": "F"},
        "wind": {"type": "boolean", "default": True},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["city"],
}


def test_there_is_a_field_for_each_property_by_its_type_and_the_required_ones_come_first_and_are_marked() -> None:
    fields = fields_of(SCHEMA)
    assert [(field.label, field.kind, field.initial) for field in fields] == [
        ("city *", "text", ""),
        ("days", "json", "2"),
        ("tags", "json", ""),
        ("unit", "choice", 1),
        ("wind", "yes_no", True),
    ]
    assert fields[0].hint == "string where"


def test_what_is_written_becomes_arguments_and_what_is_empty_is_left_out() -> None:
    fields = fields_of(SCHEMA)
    given = {"city": "Nice", "days": "3", "tags": '["a"]', "unit": 2, "wind": False}
    assert arguments_of(fields, given) == {"city": "Nice", "days": 3, "tags": ["a"], "unit": 3, "wind": False}
    assert arguments_of(fields, {"city": "", "days": "", "tags": " ", "unit": None, "wind": True}) == {"wind": True}
    with pytest.raises(ValueError, match="days: this is no JSON"):
        arguments_of(fields, {**given, "days": "three"})


def test_what_does_not_fit_is_told_at_its_field() -> None:
    errors = [
        {"path": "$", "message": "'city' is a required property"},
        {"path": "$.days", "message": "wrong"},
        {"path": "$.tags[0]", "message": "deep"},
        {"path": "$", "message": "all of it"},
    ]
    told = problems_by_field(fields_of(SCHEMA), errors)
    assert told == {"city": ["'city' is a required property"], "days": ["wrong"], "tags": ["$.tags[0]: deep"], "": ["all of it"]}


def weather(city: str, days: int = 2) -> dict[str, str]:
    """The weather."""
    if city == "nowhere":
        raise ValueError("no such place")
    return {"text": f"<b>{city}</b> {days}"}


def test_the_form_checks_calls_and_shows_the_answer_as_text(tmp_path: Path) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path) as session:
            session.tool(weather)
            about: Any = await session.call_bridge("tools", "describe", "weather")
            form = ToolForm(about, session)
            await form.call()
            assert form.errors["city"].value == "'city' is a required property" and form.answer.outputs == ()
            form.inputs["city"].value = "Nice"
            form.inputs["days"].value = '"x"'
            await form.call()
            assert form.errors["city"].value == "" and "is not of type 'integer'" in form.errors["days"].value
            told = {name for name, line in form.errors.items() if line.layout.display != "none"}
            assert told == {"days"}, "a line without words takes no room"
            form.inputs["days"].value = "3"
            await form.call()
            (output,) = form.answer.outputs
            assert "<b>Nice</b> 3" in output["data"]["text/plain"]
            assert "<b>" not in output["data"].get("text/html", "")
            form.inputs["city"].value = "nowhere"
            await form.call()
            assert "no such place" in form.errors[""].value and form.answer.outputs == ()

    asyncio.run(play())


class Book:
    def __init__(self, session: Session, display: str = "static") -> None:
        self.session = session
        self.settings = session.settings._replace(display=display)
        self.shell = SimpleNamespace(display_pub=CapturingDisplayPublisher())


def test_the_commands_list_tools_and_describe_one_where_nothing_can_be_clicked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path) as session:
            session.tool(weather)
            shown: list[Any] = []
            await tools(["weath"], book := Book(session), shown.append)
            await tool(["weather"], Book(session), shown.append)
            await tools(["nothing like it"], Book(session), shown.append)
            (page,) = shown
            (listed,) = book.shell.display_pub.outputs
            assert "<td" in listed["data"]["text/html"] and ">weather</td>" in listed["data"]["text/html"]
            assert listed["data"]["text/plain"].startswith("weather")
            assert page.text.startswith("## weather")
            with pytest.raises(ConfigError, match="needs the tool's name"):
                await tool([], Book(session), shown.append)

    asyncio.run(play())
    assert capsys.readouterr().out == "There is no such tool.\n"


def hostile_form(session: Session) -> ToolForm:
    mark = "$\\href{x}{y}$\x1b[2J\u202eevil"
    properties = {
        f"text{mark}": {"type": "string", "description": mark, "default": f"a{mark}"},
        "deep": {"type": "array", "default": [mark]},
        "pick": {"enum": [mark, "plain"], "default": mark, "description": mark},
    }
    return ToolForm({"name": "hostile", "description": mark, "parameters": {"type": "object", "properties": properties}}, session)


def test_no_word_of_a_tool_reaches_a_form_as_a_control_character_or_a_formula(tmp_path: Path) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path) as session:
            form = hostile_form(session)
            form._tell({"": ["$\\href{x}{y}$\u202e"]})
            for widget in _within(form.view):
                state = widget.get_state()
                shown = repr([state.get(key) for key in ("value", "description", "tooltip", "placeholder", "_options_labels")])
                assert "\\u202e" not in shown and "\\x1b" not in shown
                assert not state.get("description") or widget is form.button  # a description is typeset, whatever holds it
                if state["_model_name"] == "LabelModel":
                    assert "mathjax_ignore" in state["_dom_classes"]
            assert form.inputs["pick"].value == 0 and form.inputs["deep"].value == ""

    asyncio.run(play())


def _within(widget: Any) -> list[Any]:
    return [widget, *(inner for child in getattr(widget, "children", ()) for inner in _within(child))]


def test_a_schema_of_more_than_fifty_properties_has_one_field_for_all_of_them() -> None:
    def wide(count: int) -> dict[str, Any]:
        return {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(count)}}

    assert len(fields_of(wide(50))) == 50
    fields = fields_of(wide(51))
    assert [(field.name, field.kind, field.hint) for field in fields] == [("arguments", "all", "a JSON object; there are 51 properties")]
    assert arguments_of(fields, {"arguments": '{"p1": "a"}'}) == {"p1": "a"} and arguments_of(fields, {"arguments": ""}) == {}
    with pytest.raises(ValueError, match="arguments: write a JSON object"):
        arguments_of(fields, {"arguments": "[1]"})


@pytest.mark.parametrize(
    ("schema", "is_required", "kind"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}, False, "text"),
        ({"type": ["string", "null"]}, True, "json"),
        ({"type": ["string", "integer"]}, False, "json"),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": None}, False, "choice"),
        ({"anyOf": 3}, False, "json"),
        ({"anyOf": [{"type": ["string"]}, 7]}, False, "json"),
    ],
)
def test_null_beside_one_type_is_as_good_as_left_out(schema: dict[str, Any], is_required: bool, kind: str) -> None:
    (field,) = fields_of({"properties": {"wind": schema}, "required": ["wind"] if is_required else []})
    assert field.kind == kind


@pytest.mark.parametrize(
    ("schema", "is_required", "kind", "sent"),
    [
        ({}, False, "choice", [{}, {"wind": True}, {"wind": False}]),
        ({"type": ["boolean", "null"]}, False, "choice", [{}, {"wind": True}, {"wind": False}]),
        ({"default": True}, False, "yes_no", [{"wind": True}, {"wind": False}]),
        ({}, True, "yes_no", [{"wind": False}, {"wind": True}]),
    ],
)
def test_a_yes_or_no_that_may_be_left_out_can_be(schema: dict[str, Any], is_required: bool, kind: str, sent: list[dict[str, Any]]) -> None:
    (field,) = fields_of({"properties": {"wind": {"type": "boolean", **schema}}, "required": ["wind"] if is_required else []})
    states = [None, 0, 1] if kind == "choice" else [field.initial, not field.initial]
    assert field.kind == kind and field.initial == states[0]
    assert [arguments_of([field], {"wind": state}) for state in states] == sent


def test_a_long_list_of_choices_and_a_long_default_make_no_long_form() -> None:
    properties = {"pick": {"enum": [str(number) for number in range(201)]}, "text": {"type": "string", "default": "x" * 2_001}}
    assert [(field.kind, field.choices, field.initial) for field in fields_of({"properties": properties})] == [
        ("json", (), ""),
        ("text", (), ""),
    ]


def test_each_value_of_a_choice_can_be_sent_and_read_and_none_is_sent_unless_it_is_chosen() -> None:
    values = ["a", "", "b", "1", 1, True, None, "null", 1.5]
    (field,) = fields_of({"properties": {"pick": {"enum": values}}})
    assert field.initial is None and arguments_of([field], {"pick": None}) == {}
    sent = [arguments_of([field], {"pick": place})["pick"] for place in range(len(values))]
    assert [(type(value), value) for value in sent] == [(type(value), value) for value in values]
    assert field.choices == ("a", '""', "b", '"1"', "1", "true", "null", '"null"', "1.5")


@pytest.mark.parametrize(("default", "place"), [({"default": True}, 1), ({"default": None}, 2), ({"default": "x"}, None), ({}, None)])
def test_a_choice_begins_with_its_default_of_the_same_type(default: dict[str, Any], place: int | None) -> None:
    (field,) = fields_of({"properties": {"pick": {"enum": [1, True, None], **default}}})
    assert field.initial == place


def test_the_form_sends_the_choice_that_is_made_in_its_widget(tmp_path: Path) -> None:
    async def play() -> None:
        async with Session(folder=tmp_path) as session:
            about = {"name": "pick", "description": "", "parameters": {"properties": {"pick": {"enum": ["1", 1, ""]}}}}
            form = ToolForm(about, session)
            widget = form.inputs["pick"]
            assert widget.value is None and [label for label, _ in widget.options] == ["", '"1"', "1", '""']
            widget.index = 2
            assert arguments_of(fields_of(about["parameters"]), {"pick": widget.value}) == {"pick": 1}  # type: ignore[arg-type]

    asyncio.run(play())
