"""What is read from a bridge class, what is checked in a call, and what is made from the declaration."""

import json
import typing
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell_kernel import Bridge, Context, Resource, method
from llmspell_kernel.bridges._catalogue import (
    completions,
    help_text,
    reference_markdown,
    signature,
    worker_catalogue,
)
from llmspell_kernel.bridges._declaration import camel, declare
from llmspell_kernel.bridges._needs import unmet
from llmspell_kernel.bridges._registry import built_in
from llmspell_kernel.bridges._spellings import SPELLINGS
from llmspell_kernel.errors import ArgumentError, InternalError
from llmspell_kernel.values import EMPTY_TABLE, INT_MAX, INT_MIN, Callback, EmptyTable, Opaque, ResourceRef, Value


class Retry(msgspec.Struct):
    """How to try again.

    - times: how often
    """

    times: Annotated[int, msgspec.Meta(ge=0, le=5)]
    codes: list[int] = []


class ChatOptions(msgspec.Struct):
    """How to answer."""

    temperature: float = 0.7
    model: Annotated[str | None, msgspec.Meta(description="which model")] = None
    stop: list[str] = []
    effort: Literal["low", "high"] = "low"
    retry: Retry | None = None
    on_chunk: Callback | None = None
    extra: dict[str, Any] = {}


class Window(msgspec.Struct):
    """A span of time."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError("last comes before first")


class Stream(Resource):
    """Chunks of an answer."""

    type = "llm.stream"
    iterate = "next"

    @method
    async def next(self, ctx: Context) -> str | None:
        """The next chunk."""
        return None

    @method
    async def read_all(self, ctx: Context, limit: int = 10) -> str:
        """All that is left."""
        return ""


class Llm(Bridge):
    """Talks to models."""

    name = "llm"
    resources = (Stream,)

    @method
    async def chat(self, ctx: Context, prompt: str | list[dict[str, Any]], options: ChatOptions | None = None) -> str:
        """Asks a model.

        - prompt: what to say
        """
        return ""

    @method
    async def stream(self, ctx: Context, prompt: str) -> Stream:
        """Asks a model and gives chunks."""
        return Stream()

    @method
    async def set_model(self, ctx: Context, name: str, max_tokens: int = 100) -> None:
        """Chooses a model."""

    @method
    async def sum(self, ctx: Context, numbers: list[float], weights: dict[str, int] | None = None) -> float:
        """Adds."""
        return 0.0

    @method
    async def put(self, ctx: Context, data: bytes, anything: Value = None) -> None:
        """Stores."""

    @method
    async def each(self, ctx: Context, work: Callback, source: ResourceRef | None = None) -> None:
        """Calls back."""

    @method
    async def pick(self, ctx: Context, mode: Literal["a", "b", 3], flag: bool = False) -> None:
        """Picks."""

    @method
    async def slice(self, ctx: Context, window: Window, tag: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] = "x") -> None:
        """Cuts."""

    @method
    async def count(self, ctx: Context, words: dict[Annotated[str, msgspec.Meta(pattern="^[a-z]+$")], int | list[int]]) -> None:
        """Counts."""

    @method
    async def clear(self, ctx: Context) -> None:
        """Forgets."""

    async def not_for_scripts(self) -> None:
        pass


LLM = declare(Llm)


def bind(name: str, *args: Value) -> list[Any]:
    return LLM.methods[name].bind(args)


def error(name: str, *args: Value) -> str:
    with pytest.raises(ArgumentError) as caught:
        bind(name, *args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


MISFITS = [
    (("chat", 5), "llm.chat: argument 1 (prompt) must be a string or a list of objects, not a number"),
    (("chat",), "llm.chat: argument 1 (prompt) is missing; it must be a string or a list of objects"),
    (("chat", None), "llm.chat: argument 1 (prompt) must be a string or a list of objects, not nothing"),
    (("chat", "x", {}, 3), "llm.chat takes at most 2 arguments (prompt, options), but got 3"),
    (("clear", 1), "llm.clear takes no arguments, but got 1"),
    (("stream", "x", 1), "llm.stream takes 1 argument (prompt), but got 2"),
    (("chat", "x", {"temprature": 1}), "llm.chat: options has no key 'temprature'; did you mean 'temperature'?"),
    (("chat", "x", {"onChunk": 1}), "llm.chat: options.on_chunk must be a function, not a number"),
    (
        ("chat", "x", {"zzz": 1}),
        "llm.chat: options has no key 'zzz'; known: temperature, model, stop, effort, retry, on_chunk, extra",
    ),
    (("chat", "x", "y"), "llm.chat: argument 2 (options) must be an object, not a string"),
    (("chat", "x", {"temperature": "hot"}), "llm.chat: options.temperature must be a number, not a string"),
    (("chat", "x", {"temperature": True}), "llm.chat: options.temperature must be a number, not a boolean"),
    (("chat", "x", {"temperature": float("nan")}), "llm.chat: options.temperature must be a number, not nan"),
    (("chat", "x", {"stop": ["a", 2]}), "llm.chat: options.stop[item 2] must be a string, not a number"),
    (("chat", "x", {"effort": "lo"}), "llm.chat: options.effort must be 'high' or 'low', not 'lo'"),
    (("chat", "x", {"retry": {}}), "llm.chat: options.retry needs the key 'times': an integer from 0 to 5"),
    (("chat", "x", {"retry": {"times": 9}}), "llm.chat: options.retry.times must be an integer from 0 to 5, not 9"),
    (("chat", "x", {"on_chunk": [1]}), "llm.chat: options.on_chunk must be a function, not a list"),
    (("chat", ["x"]), "llm.chat: prompt[item 1] must be an object, not a string"),
    (("chat", Callback(1)), "llm.chat: argument 1 (prompt) must be a string or a list of objects, not a function"),
    (("chat", b"\xff"), "llm.chat: argument 1 (prompt) must be a string or a list of objects, not bytes"),
    (("set_model", "m", 1.5), "llm.set_model: argument 2 (max_tokens) must be an integer, not 1.5"),
    (("set_model", "m", 1e300), "llm.set_model: argument 2 (max_tokens) must be an integer, not 1e+300"),
    (("set_model", EMPTY_TABLE), "llm.set_model: argument 1 (name) must be a string, not an empty table"),
    (("set_model", Opaque("coroutine")), "llm.set_model: argument 1 (name) must be a string, not a value that cannot be an argument"),
    (("sum", {"a": 1}), "llm.sum: argument 1 (numbers) must be a list of numbers, not an object"),
    (("sum", [], {"a": 0.5}), "llm.sum: weights.a must be an integer, not 0.5"),
    (("each", [1]), "llm.each: argument 1 (work) must be a function, not a list"),
    (("each", ResourceRef(1, "llm.stream")), "llm.each: argument 1 (work) must be a function, not a resource (llm.stream)"),
    (("each", Callback(1), [1, "llm.stream"]), "llm.each: argument 2 (source) must be a resource, not a list"),
    (("pick", "c"), "llm.pick: argument 1 (mode) must be 'a', 'b' or 3, not 'c'"),
    (("pick", "a", 1), "llm.pick: argument 2 (flag) must be a boolean, not a number"),
    (("slice", {"first": 1, "last": 2}, "A"), "llm.slice: argument 2 (tag) must be a string matching ^[a-z]+$, not 'A'"),
    (("slice", {"first": 2, "last": 1}), "llm.slice: argument 1 (window): last comes before first"),
    (("count", {"A": 1}), "llm.count: words has the key 'A', but keys must be a string matching ^[a-z]+$, not 'A'"),
    (("count", {"a": [1, "b"]}), "llm.count: words.a[item 2] must be an integer, not a string"),
    (("slice", {"first": 2}), "llm.slice: window needs the key 'last': an integer"),
]


@pytest.mark.parametrize(("call", "message"), MISFITS, ids=lambda part: part if isinstance(part, str) else "")
def test_each_misfit_is_one_clear_error_in_the_words_of_scripts(call: tuple[Any, ...], message: str) -> None:
    assert error(*call) == message


def test_an_integer_is_accepted_for_a_number_and_an_integral_number_for_an_integer() -> None:
    (numbers, weights) = bind("sum", [1, 2.5], {"a": 3.0})
    assert numbers == [1.0, 2.5] and [type(number) for number in numbers] == [float, float]
    assert weights == {"a": 3} and type(weights["a"]) is int
    assert bind("pick", 3.0)[0] == 3


def test_nothing_given_for_an_optional_parameter_or_key_means_its_default() -> None:
    assert bind("set_model", "m") == bind("set_model", "m", None) == ["m", 100]
    assert bind("chat", "x", {"temperature": None})[1] == ChatOptions()
    assert bind("clear", None, None) == []


def test_an_empty_lua_table_is_a_list_where_a_list_is_wanted_and_else_an_object() -> None:
    assert bind("chat", EMPTY_TABLE, EMPTY_TABLE) == [[], ChatOptions()]
    assert bind("chat", "x", {"stop": EMPTY_TABLE, "extra": EMPTY_TABLE})[1] == ChatOptions(stop=[], extra={})
    assert bind("chat", "x", {"extra": {"deep": [EMPTY_TABLE]}})[1].extra == {"deep": [{}]}
    assert bind("put", b"", {"a": EMPTY_TABLE}) == [b"", {"a": {}}]


def test_bytes_take_bytes_and_text_as_it_is_never_as_base64() -> None:
    assert bind("put", b"\xff\x00") == [b"\xff\x00", None]
    assert bind("put", "abcd") == [b"abcd", None]


def test_functions_and_resources_pass_through_also_inside_other_values() -> None:
    assert bind("each", Callback(7), ResourceRef(3, "llm.stream")) == [Callback(7), ResourceRef(3, "llm.stream")]
    assert bind("chat", "x", {"on_chunk": Callback(2)})[1].on_chunk == Callback(2)
    assert bind("put", b"", [Callback(1), {"r": ResourceRef(1, "a.b")}])[1] == [Callback(1), {"r": ResourceRef(1, "a.b")}]


def test_a_key_of_megabytes_gives_a_short_error() -> None:
    assert len(error("chat", "x", {"temperatur" * 100_000: 1})) < 300
    assert len(error("sum", [], {"k" * 1_000_000: "x"})) < 300


def test_options_become_their_struct() -> None:
    (_, options) = bind("chat", "x", {"model": "m", "retry": {"times": 2, "codes": [500.0]}, "effort": "high"})
    assert options == ChatOptions(model="m", retry=Retry(times=2, codes=[500]), effort="high")


scalars = (
    st.none()
    | st.booleans()
    | st.integers(INT_MIN, INT_MAX)
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(Callback, st.integers())
    | st.builds(ResourceRef, st.integers(), st.sampled_from(["llm.stream", ""]))
    | st.just(EMPTY_TABLE)
    | st.builds(Opaque, st.text())
)
keys = st.sampled_from(["temperature", "stop", "retry", "times", "codes", "on_chunk", "extra", "first", "last"]) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=10)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.sampled_from(sorted(LLM.methods)), st.lists(values, max_size=4))
def test_whatever_values_come_bind_gives_one_value_a_parameter_or_an_argument_error(name: str, args: list[Value]) -> None:
    declared = LLM.methods[name]
    try:
        bound = declared.bind(args)
    except ArgumentError as misfit:
        assert str(misfit).startswith(f"llm.{name}")
    else:
        assert len(bound) == len(declared.parameters)
        assert not any(isinstance(value, EmptyTable) for value in bound)


def test_a_declaration_holds_what_signature_and_docstring_say() -> None:
    chat = LLM.methods["chat"]
    assert (chat.label, chat.name, chat.summary, chat.returns) == ("llm.chat", "chat", "Asks a model.", "string")
    prompt, options = chat.parameters
    assert (prompt.name, prompt.type_text, prompt.required, prompt.doc) == ("prompt", "string | list", True, "what to say")
    assert (options.name, options.type_text, options.required, options.default) == ("options", "ChatOptions", False, None)
    assert sorted(LLM.resources["llm.stream"].methods) == ["next", "read_all"]
    assert LLM.resources["llm.stream"].methods["read_all"].label == "llm.stream.read_all"
    assert "not_for_scripts" not in LLM.methods
    assert declare(Llm) is LLM


def test_the_schema_is_json_and_refuses_what_bind_refuses() -> None:
    schema = LLM.methods["chat"].schema
    json.dumps([declared.schema for declared in LLM.methods.values()])
    assert schema["required"] == ["prompt"] and schema["additionalProperties"] is False
    assert schema["properties"]["prompt"] == {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}],
        "description": "what to say",
    }
    assert schema["$defs"]["ChatOptions"]["additionalProperties"] is False
    assert schema["$defs"]["Callback"] == {"title": "Callback", "description": "a function of the script"}


def test_the_worker_catalogue_is_names_only() -> None:
    assert worker_catalogue([LLM]) == {
        "bridges": {"llm": ["chat", "clear", "count", "each", "pick", "put", "set_model", "slice", "stream", "sum"]},
        "aliases": {"llm": {"generate_text": "chat", "quick_prompt": "chat"}},
        "several": {},
        "loops": {"llm": ["stream"]},
        "resources": {"llm.stream": {"methods": ["next", "read_all"], "iterate": "next"}},
    }


def test_signatures_are_written_in_the_case_of_the_language() -> None:
    assert signature(LLM, "chat", "snake") == "llm.chat(prompt: string | list, options?: ChatOptions) -> string"
    assert signature(LLM, "set_model", "camel") == "llm.setModel(name: string, maxTokens?: integer) -> nothing"
    assert signature(LLM, "stream", "snake") == "llm.stream(prompt: string) -> llm.stream"
    assert signature(LLM, "sum", "snake") == "llm.sum(numbers: list[number], weights?: object) -> number"
    assert signature(LLM, "pick", "snake") == "llm.pick(mode: 'a' | 'b' | 3, flag?: boolean) -> nothing"
    assert signature(LLM, "each", "snake") == "llm.each(work: function, source?: resource) -> nothing"
    assert signature(LLM.resources["llm.stream"], "read_all", "camel") == "llm.stream.readAll(limit?: integer) -> string"
    assert signature(LLM.resources["llm.stream"], "next", "snake") == "llm.stream.next() -> string | nothing"


def test_help_shows_signature_docs_and_every_option_with_type_default_and_doc() -> None:
    lines = help_text(LLM, "chat", "snake").splitlines()
    assert lines[0] == signature(LLM, "chat", "snake")
    assert "Asks a model." in lines
    rows = {line.split()[0]: line.split() for line in lines if line.startswith("  ")}
    assert rows["temperature"] == ["temperature", "number", "0.7"]
    assert rows["model"] == ["model", "string", "which", "model"]
    assert rows["on_chunk"] == ["on_chunk", "function"]
    assert rows["times"] == ["times", "integer", "required", "how", "often"]
    assert rows["stop"] == ["stop", "list[string]", "[]"]
    assert "options.retry (Retry):" in lines


def test_completions_cover_bridges_and_resources() -> None:
    found = completions([LLM], "camel")
    assert [entry.name for entry in found["llm.stream"]] == ["next", "readAll"]
    assert found["llm"][6] == ("setModel", signature(LLM, "set_model", "camel"), "Chooses a model.")


def test_the_reference_names_every_method_and_option() -> None:
    page = reference_markdown([LLM])
    for name in LLM.methods:
        assert f"### llm.{name}\n" in page
    for heading in ("## llm\n", "### llm.stream\n", "#### llm.stream.read_all\n"):
        assert heading in page
    for option in ChatOptions.__struct_fields__ + Retry.__struct_fields__:
        assert f"| {option} |" in page
    assert "'low' \\| 'high'" in page


def test_camel_turns_snake_case_words() -> None:
    assert [camel(name) for name in ("chat", "set_model", "a_b_c", "to_utf8")] == ["chat", "setModel", "aBC", "toUtf8"]


def bridge_with(function: Any, **attributes: Any) -> type[Bridge]:
    body = {"__doc__": "A bridge.", "name": "broken", "__module__": __name__, "go": function, **attributes}
    return type("Broken", (Bridge,), body)


@method
async def documented(self: Any, ctx: Context, text: str) -> str:
    """Works."""
    return text


@method  # type: ignore[type-var]
def not_async(self: Any, ctx: Context) -> None:
    """Not async."""


@method
async def unannotated(self: Any, ctx: Context, text) -> None:  # type: ignore[no-untyped-def]
    """No annotation."""


@method
async def variadic(self: Any, ctx: Context, *, texts: str) -> None:
    """Takes any number."""


@method
async def keyword_only(self: Any, ctx: Context, *, text: str) -> None:
    """Takes a keyword."""


@method
async def undocumented(self: Any, ctx: Context) -> None:
    pass


@method
async def without_context(self: Any, text: str) -> None:
    """Forgets the context."""


@method
async def takes_a_number_of_two_parts(self: Any, ctx: Context, names: dict[str, set[complex]]) -> None:
    """Takes what no script has."""


@method
async def takes_a_file(self: Any, ctx: Context, file: typing.IO[str]) -> None:
    """Takes what no script has."""


@method
async def unknown_name(self: Any, ctx: Context, text: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
    """Names a type that is not there."""


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (not_async, "async def"),
        (unannotated, "parameter 'text' has no annotation"),
        (variadic, r"parameter 'texts: str' is not positional"),
        (keyword_only, "parameter 'text: str' is not positional"),
        (undocumented, "no docstring"),
        (without_context, "must be 'ctx: Context'"),
        (takes_a_number_of_two_parts, "parameter 'names': complex is not a type that scripts can pass"),
        (takes_a_file, "parameter 'file': .*IO.* is not a type that scripts can pass"),
        (unknown_name, "'Missing' is not defined; import"),
    ],
)
def test_a_faulty_method_is_found_at_declaration_and_named(function: Any, reason: str) -> None:
    with pytest.raises(InternalError, match=rf"test_declaration\.Broken, method 'go': .*{reason}"):
        declare(bridge_with(function))


def resource_with(**attributes: Any) -> type[Resource]:
    return type("Thing", (Resource,), {"__doc__": "A thing.", "__module__": __name__, "next": documented, **attributes})


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"name": "notSnake"}, "Broken: its name 'notSnake' is not a snake_case identifier"),
        ({"name": ""}, "Broken: its name '' is not"),
        ({"Go": documented}, "Broken, method 'Go': its name is not a snake_case identifier"),
        ({"a_b": documented, "aB": documented}, "Broken, method 'aB'"),
        ({"a_1": documented, "a1": documented}, "Broken: two of its methods have the same name in JavaScript"),
        ({"__doc__": None}, "Broken: it has no docstring"),
        ({"resources": (resource_with(type="thing"),)}, "Thing: its type 'thing' must be 'broken.' and a snake_case name"),
        ({"resources": (resource_with(type="llm.stream"),)}, "Thing: its type 'llm.stream' must be 'broken.'"),
        ({"resources": (resource_with(type="broken.thing", iterate="each"),)}, "Thing: iterate names 'each'"),
        ({"resources": (resource_with(type="broken.thing", __doc__=None),)}, "Thing: it has no docstring"),
        ({"resources": (resource_with(type="broken.a"), resource_with(type="broken.a"))}, "two of its resources have the same type"),
        ({"resources": (resource_with(type="broken.a", next=not_async),)}, "Thing, method 'next': it must be an 'async def'"),
        ({"configure": documented}, "Broken, method 'configure': its name is one that the session itself uses"),
        ({"resources": (resource_with(type="broken.a", release=documented),)}, "Thing, method 'release': its name is one"),
    ],
)
def test_a_faulty_class_is_found_at_declaration_and_named(attributes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InternalError, match=reason):
        declare(bridge_with(documented, **attributes))


def test_an_option_may_be_spelled_in_camel_case_but_not_twice():
    from llmspell_kernel.bridges.llm import Llm

    chat = declare(Llm).methods["chat"]
    assert chat.bind(["hi", {"maxTokens": 3}])[1].max_tokens == 3
    with pytest.raises(ArgumentError, match="'max_tokens' twice"):
        chat.bind(["hi", {"maxTokens": 3, "max_tokens": 4}])


class Words(Bridge):
    """Puts words together."""

    name = "words"
    version = "3"

    @method
    async def join(self, ctx: Context, separator: str, *values: str) -> str:
        """Joins them.

        - values: what to join
        """
        return separator.join(values)

    @method
    async def count(self, ctx: Context, *values: int | None) -> int:
        """Counts them."""
        return len(values)

    @method(since="2")
    async def split(
        self, ctx: Context, text: str
    ) -> tuple[Annotated[str, msgspec.Meta(title="head")], Annotated[list[str], msgspec.Meta(title="tail")], int]:
        """The first word, the others, and how many."""
        head, *tail = text.split()
        return head, tail, len(tail) + 1

    @method
    async def all(self, ctx: Context) -> tuple[str, ...]:
        """A list like any other."""
        return ()

    @method(deprecated="use words.join", since="1")
    async def concat(self, ctx: Context, a: str, b: str) -> str:
        """Puts two together."""
        return a + b


WORDS = declare(Words)


def test_the_arguments_of_a_variadic_parameter_are_bound_one_by_one() -> None:
    assert WORDS.methods["join"].bind(["-", "a", "b"]) == ["-", "a", "b"]
    assert WORDS.methods["join"].bind(["-"]) == ["-"]
    assert WORDS.methods["join"].bind(["-", "a", None, None]) == ["-", "a"]
    assert WORDS.methods["count"].bind([1.0, None]) == [1, None]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["-", "a", 2], "words.join: argument 3 (values) must be a string, not a number"),
        (["-", None, "b"], "words.join: argument 2 (values) must be a string, not nothing"),
        ([], "words.join: argument 1 (separator) is missing; it must be a string"),
    ],
)
def test_a_misfit_among_the_arguments_of_a_variadic_parameter_is_named_by_its_place(args: list[Value], text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        WORDS.methods["join"].bind(args)
    assert caught.value.message == text


def test_a_variadic_parameter_is_an_array_in_the_schema() -> None:
    schema = WORDS.methods["join"].schema
    assert schema["properties"]["values"] == {"type": "array", "items": {"type": "string"}, "description": "what to join"}
    assert schema["required"] == ["separator"]


def test_signatures_show_variadic_parameters_and_several_results() -> None:
    assert signature(WORDS, "join", "snake") == "words.join(separator: string, ...values: string) -> string"
    assert signature(WORDS, "split", "snake") == "words.split(text: string) -> (head: string, tail: list[string], integer)"
    assert signature(WORDS, "all", "snake") == "words.all() -> list[string]"


def test_the_catalogue_tells_which_methods_give_several_results() -> None:
    assert worker_catalogue([WORDS])["several"] == {"words": ["split"]}


def test_help_completions_and_reference_tell_what_is_deprecated_and_since_when() -> None:
    assert help_text(WORDS, "concat", "snake").splitlines()[2:6] == ["Deprecated: use words.join", "", "since version 1", ""]
    assert "since version 2" in help_text(WORDS, "split", "snake")
    summaries = {entry.name: entry.summary for entry in completions([WORDS], "snake")["words"]}
    assert summaries["concat"] == "(deprecated: use words.join) Puts two together."
    assert "Deprecated: use words.join" in reference_markdown([WORDS])


def test_help_names_the_other_spellings_of_a_method_in_the_case_of_the_language() -> None:
    assert "also: llm.generate_text, llm.quick_prompt" in help_text(LLM, "chat", "snake")
    assert "also: llm.generateText, llm.quickPrompt" in help_text(LLM, "chat", "camel")


def test_every_spelling_is_that_of_a_method_there_is() -> None:
    for bridge, spellings in SPELLINGS.items():
        declared = declare(built_in()[bridge.partition(".")[0]])
        methods = declared.resources[bridge].methods if "." in bridge else declared.methods
        assert set(spellings.values()) <= set(methods)
        assert not set(spellings) & set(methods)


@pytest.mark.parametrize(
    ("needs", "reason"),
    [(("b",), "it needs the bridge 'b', which is not there"), (("words", "wordz"), "did you mean 'words'?"), (("sad",), "cannot be used")],
)
def test_a_need_that_nothing_meets_is_named(needs: tuple[str, ...], reason: str) -> None:
    known = {"words": (), "a": needs, "sad": ("nobody",)}
    assert reason in unmet(known)["a"]
    assert "words" not in unmet(known)


def test_needs_that_go_in_a_circle_are_shown_as_one() -> None:
    known = {"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",)}
    faults = unmet(known)
    assert faults["b"] == "the needs of bridges go in a circle: b -> c -> a -> b"
    assert set(faults) == {"a", "b", "c", "d"} and "cannot be used" in faults["d"]


def test_a_bridge_that_needs_itself_is_a_fault_of_its_class() -> None:
    class Selfish(Bridge):
        """Needs itself."""

        name = "selfish"
        needs = ("selfish",)

    with pytest.raises(InternalError, match="needs must list names of other bridges"):
        declare(Selfish)


class Told(Bridge):
    """Says what its options are."""

    name = "told"

    @method
    async def ask(self, ctx: Context, mode: str = "", size: int = 0, last: str = "") -> None:
        """Asks.

        - mode: the first line; and
          what follows on the next,
          and the one after
        - size: a number
          - small: no part of it
        - last: at the end

        This is no part of it.
        """


def test_what_is_said_of_a_parameter_goes_on_in_indented_lines() -> None:
    docs = {parameter.name: parameter.doc for parameter in declare(Told).methods["ask"].parameters}
    assert docs == {"mode": "the first line; and what follows on the next, and the one after", "size": "a number", "last": "at the end"}
