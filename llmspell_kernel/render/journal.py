"""Journals as text for a terminal: the calls of each cell as a tree, and two runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..journal.difference import Difference, Pair, RunCall, Sums, words
from ..journal.events import AnyEvent, BudgetWarned, CallFinished, CellFinished, CellStarted, StateRestored, WorkerWasLost
from ..values import Value
from .calls import ICONS, Call, gather
from .pretty import inline
from .text import clean, clean_line, clip, escape, plural
from .trace import call_title, final_bundle, money, usage_text

ARGUMENT_CHARS = 200
ANSWER_CHARS = 300
MESSAGE_CHARS = 500
NAME_CHARS = 200
Paint = Callable[[str, str], str]
"""`paint(colour, text)`; the colours are `bold`, `dim`, `red`, `green`, `yellow`."""
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


def painted(colour: str, text: str) -> str:
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if text else ""


def plain(colour: str, text: str) -> str:
    return text


def trace_text(events: Iterable[AnyEvent], paint: Paint = plain) -> str:
    """Every cell with its calls: arguments, answer, tokens, cost, time, attempts, and what was refused."""
    by_cell: dict[int, list[AnyEvent]] = {}
    for event in events:
        by_cell.setdefault(event.cell, []).append(event)
    return "\n\n".join("\n".join(_cell(found, paint)) for found in by_cell.values())


def trace_page(events: Iterable[AnyEvent], title: str) -> str:
    """The same as a page of its own: nothing in it is loaded from elsewhere or run."""
    by_cell: dict[int, list[AnyEvent]] = {}
    for event in events:
        by_cell.setdefault(event.cell, []).append(event)
    parts = []
    for found in by_cell.values():
        heading = next(_cell(found, plain))
        box = final_bundle(found, always=True)
        parts.append(f"<h3>{escape(heading)}</h3>{box.data['text/html'] if box is not None else ''}")
    return (
        '<!DOCTYPE html>\n<html><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<title>{escape(title)}</title></head><body style="font-family:sans-serif;max-width:60em;margin:2em auto">'
        f"<h2>{escape(title)}</h2>{''.join(parts)}</body></html>\n"
    )


def _cell(events: Sequence[AnyEvent], paint: Paint) -> Iterator[str]:
    started = next((event for event in events if isinstance(event, CellStarted)), None)
    ended = next((event for event in reversed(events) if isinstance(event, CellFinished)), None)
    where = " ".join((_name(started.chunk), "", _name(started.engine), f"'{_name(started.state)}'")) if started else "outside any cell"
    facts = f"  {_name(ended.status)}  {ended.duration_s:.2f} s, script {ended.script_time_s:.2f} s" if ended else "  not ended"
    yield paint("bold", where) + paint("dim", facts)
    for event in events:
        if isinstance(event, StateRestored):
            yield paint("yellow", f"  {_state(event)}: state restored: {plural(event.cells, 'cell')} in {event.duration_s * 1000:.0f} ms")
        elif isinstance(event, WorkerWasLost):
            yield paint("red", f"  {_state(event)}: worker lost: {clip(clean(event.reason), MESSAGE_CHARS)}")
        elif isinstance(event, BudgetWarned):
            yield paint("yellow", f"  {_name(event.budget)}: {event.used:,.6g} of {event.limit:,.6g} used")
    gathered = gather(events)
    # no view keeps these: they are read here from the events themselves
    values = {event.call: event.value for event in events if isinstance(event, CallFinished)}
    yield from _tree(gathered.roots, "", values, paint)
    hidden = gathered.left_out + sum(gathered.counted.values())
    if hidden:
        yield paint("dim", f"  and {plural(hidden, 'more call')}")
    if ended and ended.error and all(call.message != ended.error for call in gathered.calls.values()):  # else its call has told it
        yield paint("red", f"  {clip(' '.join(clean(ended.error).split()), MESSAGE_CHARS)}")


def _tree(calls: Sequence[Call], indent: str, values: Mapping[int, Value], paint: Paint) -> Iterator[str]:
    shown = [call for call in calls if call.stream is None]  # methods of a stream are told with the stream
    for at, call in enumerate(shown):
        is_last = at == len(shown) - 1
        head, below = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        colour = "red" if call.has_problem else "green"
        facts = "  ".join(part for part in (_name(call.model), usage_text(call), _took(call), _attempts(call)) if part)
        yield f"{indent}{head}{paint(colour, ICONS[call.status])} {call_title(call)}  {paint('dim', facts)}".rstrip()
        for line in _details(call, values.get(call.call), paint):
            yield f"{indent}{below}{line}"
        yield from _tree(call.children, indent + below, values, paint)


def _state(event: StateRestored | WorkerWasLost) -> str:
    """A journal of an older version does not say the language."""
    return f"{_name(event.engine)} '{_name(event.state)}'".lstrip()


def _name(text: str) -> str:
    """A journal may come from anywhere, and what is a word in ours may be anything in it."""
    return clean_line(text, NAME_CHARS)


def _took(call: Call) -> str:
    told = "replayed" if call.replayed else ""
    return told if call.duration_s is None else f"{call.duration_s:.2f} s {told}".rstrip()


def _attempts(call: Call) -> str:
    most = max((usage.attempts for usage in call.usage), default=1)
    return plural(most, "attempt") if most > 1 else ""


def _details(call: Call, value: Value, paint: Paint) -> Iterator[str]:
    others = [argument for argument in call.arguments if not isinstance(argument, str) or argument != _title_argument(call)]
    if others:
        yield paint("dim", clip(", ".join(inline(argument, ARGUMENT_CHARS) for argument in others), ARGUMENT_CHARS))
    for note in call.notes:
        yield paint("yellow", clip(" ".join(clean(note).split()), MESSAGE_CHARS))
    if call.answer:
        yield f"→ {clip(' '.join(clean(call.answer[: ANSWER_CHARS * 4]).split()), ANSWER_CHARS)}"
    elif value is not None and not call.is_stream:
        yield f"→ {inline(value, ANSWER_CHARS)}"
    if call.has_problem and call.message:
        yield paint("red", f"{clean(call.code)}: {clip(' '.join(clean(call.message).split()), MESSAGE_CHARS)}")


def _title_argument(call: Call) -> str | None:
    return next((argument for argument in call.arguments if isinstance(argument, str)), None)


def difference_text(found: Difference, paint: Paint = plain) -> str:
    """What changed from one run to the other: calls, answers word by word, tokens, money, time."""
    changed = [pair for pair in found.pairs if pair.kind != "same"]
    lines = [line for pair in changed for line in _pair(pair, paint)]
    same = len(found.pairs) - len(changed)
    lines.append(
        paint("dim", f"{plural(same, 'call')} the same" if changed else f"No difference: {plural(same, 'call')} with the same answers.")
    )
    return "\n".join([*lines, *_sums(found.before, found.after)])


def _pair(pair: Pair, paint: Paint) -> Iterator[str]:
    match pair:
        case Pair(before=RunCall() as gone, after=None):
            yield paint("red", f"- {_call(gone)}")
        case Pair(before=None, after=RunCall() as new):
            yield paint("green", f"+ {_call(new)}")
        case Pair(before=RunCall() as before, after=RunCall() as after):
            yield paint("bold", "~ ") + _words(_call(before), _call(after), paint)
            yield f"    {_words(_answer(before), _answer(after), paint)}"


def _call(call: RunCall) -> str:
    return clip(f"{clean(call.call)} {', '.join(inline(argument, ARGUMENT_CHARS) for argument in call.arguments)}", ARGUMENT_CHARS)


def _answer(call: RunCall) -> str:
    if call.error:
        return f"error: {call.error}"
    return call.answer if isinstance(call.answer, str) else inline(call.answer, ANSWER_CHARS * 4)


def _words(before: str, after: str, paint: Paint) -> str:
    marks = {"same": ("", "", "dim"), "gone": ("[-", "-]", "red"), "new": ("{+", "+}", "green")}
    out = []
    for piece in words(before, after):
        opening, closing, colour = marks[piece.kind]
        text = " ".join(clean(piece.text).split("\n"))
        out.append(paint(colour, f"{opening}{clip(text, ANSWER_CHARS)}{closing}"))
    return "".join(out)


def _sums(before: Sums, after: Sums) -> Iterator[str]:
    def row(name: str, one: str, other: str) -> str:
        return f"{name:<10} {one:>14} -> {other}"

    yield row("calls", f"{before.calls:,}", f"{after.calls:,}")
    yield row("tokens", f"{before.input_tokens:,} + {before.output_tokens:,}", f"{after.input_tokens:,} + {after.output_tokens:,}")
    yield row("cost", _money(before.cost_usd), _money(after.cost_usd))
    yield row("time", f"{before.duration_s:.2f} s", f"{after.duration_s:.2f} s")


def _money(usd: float | None) -> str:
    return "not known" if usd is None else money(usd)
