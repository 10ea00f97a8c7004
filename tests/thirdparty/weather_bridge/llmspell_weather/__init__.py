"""The bridge `weather`: what a package of its own can add to scripts, written with public names only."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from llmspell_kernel import Bridge, BridgeSession, Context, Resource, method
from llmspell_kernel.errors import BridgeError
from llmspell_kernel.values import Callback, Value

# long-term means of the month's first and last day, in degrees Celsius
_JULY = {"oslo": (16.4, 18.2), "lisbon": (22.1, 23.9), "quito": (14.0, 14.6)}
_DAYS = 31


class Options(msgspec.Struct, frozen=True):
    """How to tell the weather.

    - unit: the scale of temperatures
    - days: how many days of July
    """

    unit: Literal["celsius", "fahrenheit"] = "celsius"
    days: int = 3


_DEFAULTS = Options()


class Forecast(Resource):
    """Days of July, one after the other."""

    type = "weather.forecast"
    iterate = "next"

    def __init__(self, city: str, options: Options) -> None:
        self._city = city
        self._options = options
        self._day = 0

    @method
    async def next(self, ctx: Context) -> dict[str, Any] | None:
        """The next day, or nothing after the last."""
        if self._day >= self._options.days:
            return None
        self._day += 1
        return {"day": self._day, "degrees": _degrees(self._city, self._day, self._options.unit)}


class Weather(Bridge):
    """The usual weather of a few cities in July."""

    name = "weather"
    version = "2"
    resources = (Forecast,)

    async def open(self, session: BridgeSession) -> None:
        if not _JULY:
            raise BridgeError("the table of cities is empty")

    @method
    async def today(self, ctx: Context, city: str, options: Options = _DEFAULTS) -> dict[str, Any]:
        """The weather on the first of July.

        - city: Oslo, Lisbon or Quito
        """
        ctx.chunk(f"looking up {city}\n")
        return {"city": city, "degrees": _degrees(city, 1, options.unit)}

    @method(deprecated="use weather.today")
    async def now(self, ctx: Context, city: str) -> float:
        """The degrees on the first of July."""
        return _degrees(city, 1, "celsius")

    @method(since="2")
    async def forecast(self, ctx: Context, city: str, options: Options = _DEFAULTS) -> Forecast:
        """Days to loop over."""
        return Forecast(city, options)

    @method
    async def each_day(self, ctx: Context, city: str, work: Callback, options: Options = _DEFAULTS) -> list[Value]:
        """What the script's function makes of each day's degrees."""
        days = range(1, options.days + 1)
        return [await ctx.invoke(work, _degrees(city, day, options.unit)) for day in days]


def _degrees(city: str, day: int, unit: str) -> float:
    if city.lower() not in _JULY:
        raise BridgeError(f"no weather is known for {city}; known: {', '.join(sorted(_JULY))}")
    first, last = _JULY[city.lower()]
    celsius = first + (last - first) * (day - 1) / (_DAYS - 1)
    return round(celsius * 9 / 5 + 32 if unit == "fahrenheit" else celsius, 2)
