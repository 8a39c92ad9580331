"""What the values of options may be: each function reads a text or raises `UsageError`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from ..exits import UsageError

#: The largest number that an option takes; more is surely a slip.
_LARGEST = 2**63 - 1


class Range(NamedTuple):
    """A range of loads; without an end it is a single point.

    Attributes:
        end: None for a single point; 0 for no end but the latency limit.
    """

    start: float
    end: float | None = None
    step: float = 1

    @property
    def single(self) -> bool:
        """True if there is one point only."""
        return self.end is None or (self.end != 0 and self.end <= self.start)


class RequestParameter(NamedTuple):
    """A parameter that every request carries."""

    name: str
    value: bool | int | str


def refuse(option: str, given: str, expected: str, hint: str = "") -> UsageError:
    """The error that an option's value raises."""
    return UsageError(f"{option} is {given!r}, expected {expected}{'; ' + hint if hint else ''}")


def text(option: str, given: str) -> str:
    """Any text."""
    return given


def _integer(option: str, given: str, low: int, high: int | None, expected: str) -> int:
    digits = given.strip()
    try:
        if "_" in digits:
            raise ValueError
        number = int(digits)
    except ValueError:
        raise refuse(option, given, expected) from None
    if number < low or (high is not None and number > high):
        raise refuse(option, given, expected)
    if number > _LARGEST and high is None:
        raise refuse(option, given, expected, f"the largest is {_LARGEST}")
    return number


def whole(low: int, high: int | None = None) -> Callable[[str, str], int]:
    """A whole number from `low` to `high`."""
    expected = f"a whole number from {low}" + ("" if high is None else f" to {high}")

    def read(option: str, given: str) -> int:
        return _integer(option, given, low, high, expected)

    return read


def number(
    low: float, high: float = math.inf, *, above: bool = False
) -> Callable[[str, str], float]:
    """A number from `low` to `high`; with `above`, more than `low`."""
    expected = f"a number {'above' if above else 'from'} {low:g}"
    if high != math.inf:
        expected += f" to {high:g}"

    def read(option: str, given: str) -> float:
        value = _float(option, given, expected)
        if value < low or value > high or (above and value == low):
            raise refuse(option, given, expected)
        return value

    return read


def _float(option: str, given: str, expected: str) -> float:
    try:
        if "_" in given:
            raise ValueError
        value = float(given)
    except ValueError:
        raise refuse(option, given, expected) from None
    if not math.isfinite(value):
        raise refuse(option, given, expected)
    return value


def choice(*names: str, any_case: bool = False) -> Callable[[str, str], str]:
    """One of these words."""

    def read(option: str, given: str) -> str:
        word = given.lower() if any_case else given
        if word not in names:
            raise refuse(option, given, f"one of {', '.join(names)}")
        return word

    return read


def percentile(option: str, given: str) -> float:
    """A percentile: more than 0 and less than 100; 99.9 is one."""
    expected = "a number above 0 and below 100, such as 95 or 99.9"
    value = _float(option, given, expected)
    if value == -1:
        return -1.0
    if not 0 < value < 100:
        raise refuse(option, given, expected)
    return value


def _range(option: str, given: str, read: Callable[[str], float], kind: str) -> Range:
    expected = f"{kind} as START, START:END or START:END:STEP"
    parts = given.split(":")
    if len(parts) > 3:
        raise refuse(option, given, expected, f"it has {len(parts)} parts")
    values = []
    for part in parts:
        try:
            values.append(read(part))
        except UsageError:
            raise refuse(option, given, expected) from None
    if values[0] <= 0:
        raise refuse(option, given, expected, "the start must be above 0")
    if len(values) > 1 and values[1] < 0:
        raise refuse(option, given, expected, "the end can't be below 0")
    if len(values) > 2 and values[2] <= 0:
        raise refuse(option, given, expected, "the step must be above 0")
    return Range(*values)


def concurrency_range(option: str, given: str) -> Range:
    """Numbers of requests at a time."""
    return _range(
        option,
        given,
        lambda part: _integer(option, part, 0, 1_000_000, ""),
        "whole numbers of requests at a time, up to 1000000,",
    )


def rate_range(option: str, given: str) -> Range:
    """Requests per second."""
    return _range(option, given, lambda part: _float(option, part, ""), "requests per second")


def periodic_range(option: str, given: str) -> Range:
    """START:END[:STEP] of periodic concurrency."""
    value = concurrency_range(option, given)
    if value.end is None:
        raise refuse(option, given, "both a start and an end, as START:END[:STEP]")
    if value.start > value.end:
        raise refuse(option, given, "a start that is not above the end")
    if (value.end - value.start) % value.step:
        raise refuse(option, given, "a step that divides the end minus the start")
    return value


def sequence_ids(option: str, given: str) -> tuple[int, int | None]:
    """START[:END], the end excluded."""
    expected = "START[:END] with whole numbers from 0, START not above END"
    parts = given.split(":")
    if len(parts) > 2:
        raise refuse(option, given, expected, f"it has {len(parts)} parts")
    numbers = [_integer(option, part, 0, 2**64 - 1, expected) for part in parts]
    if len(numbers) == 1:
        return numbers[0], None
    if numbers[0] > numbers[1]:
        raise refuse(option, given, expected)
    return numbers[0], numbers[1]


def shape(option: str, given: str) -> tuple[str, tuple[int, ...]]:
    """NAME:D1,D2,...; the colon is looked for from the right, as names may hold colons."""
    expected = "NAME:D1,D2,... with dimensions above 0, such as INPUT0:3,224,224"
    name, colon, dimensions = given.rpartition(":")
    if not colon or not name:
        raise refuse(option, given, expected)
    try:
        return name, tuple(
            [_integer(option, part, 1, None, expected) for part in dimensions.split(",")]
        )
    except UsageError:
        raise refuse(option, given, expected) from None


def header(option: str, given: str) -> tuple[str, str]:
    """NAME:VALUE; a blank behind the colon is no part of the value."""
    name, colon, value = given.partition(":")
    if not colon or not name.strip():
        raise refuse(option, given, "NAME:VALUE, such as authorization:token")
    return name.strip(), value.strip()


def request_parameter(option: str, given: str) -> RequestParameter:
    """NAME:VALUE:TYPE."""
    expected = "NAME:VALUE:TYPE with the type bool, int or string, such as limit:10:int"
    name, _, rest = given.partition(":")
    value, colon, kind = rest.rpartition(":")
    if not name or not colon:
        raise refuse(option, given, expected)
    kind = kind.lower()
    if kind == "bool":
        if value.lower() not in ("true", "false", "0", "1"):
            raise refuse(option, given, expected, f"{value!r} is not a bool (true or false)")
        return RequestParameter(name, value.lower() in ("true", "1"))
    if kind == "int":
        try:
            return RequestParameter(name, int(value))
        except ValueError:
            raise refuse(option, given, expected, f"{value!r} is not an int") from None
    if kind == "string":
        return RequestParameter(name, value)
    raise refuse(option, given, expected, f"{kind!r} is not a type")


def existing_file(option: str, given: str) -> str:
    """The path of a file."""
    if not os.path.isfile(given):
        raise refuse(option, given, "a file that exists")
    return given


def new_file(option: str, given: str) -> str:
    """The path of a file that does not exist yet."""
    if os.path.isdir(given):
        raise refuse(option, given, "a file name, not a folder")
    if os.path.exists(given):
        raise refuse(option, given, "a file that does not exist yet")
    return output_file(option, given)


def output_file(option: str, given: str) -> str:
    """The path of a file to write."""
    folder = os.path.dirname(given) or "."
    if not given or os.path.isdir(given):
        raise refuse(option, given, "a file name, not a folder")
    if not os.path.isdir(folder):
        raise refuse(option, given, "a file in a folder that exists")
    return given


def composing_models(option: str, given: str) -> tuple[tuple[str, str], ...]:
    """NAME[:VERSION],...; blanks are removed."""
    models = []
    for part in given.replace(" ", "").split(","):
        name, _, version = part.partition(":")
        if not name:
            raise refuse(option, given, "names of models as NAME[:VERSION],...")
        models.append((name, version))
    return tuple(models)


_OPERATORS = ("<=", ">=", "<", ">")


class Assertion(NamedTuple):
    """A condition on a figure of the report, such as p99 < 20 ms."""

    text: str
    figure: str
    operator: str
    limit: float
    unit: str


#: By how much a number with this unit is multiplied to be in microseconds.
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "": 1.0, "%": 1.0}
_FIGURES = ("avg", "throughput", "errors", "lag", "ttft", "itl", "goodput", "output_tokens")


def assertion(option: str, given: str) -> Assertion:
    """FIGURE OPERATOR VALUE[UNIT], such as p99<20ms, throughput>=1000 or errors<1%."""
    expected = (
        "FIGURE<VALUE, such as 'p99<20ms', 'avg<5ms', 'throughput>=1000', 'errors<=1%' or 'lag<1ms'"
    )
    compact = given.replace(" ", "")
    for operator in _OPERATORS:
        figure, found, rest = compact.partition(operator)
        if not found:
            continue
        value = rest.rstrip("usm%")
        unit = rest[len(value) :]
        if not _is_figure(figure) or unit not in _UNITS:
            break
        limit = _float(option, value, expected) if value else math.nan
        if math.isnan(limit):
            break
        latency = figure not in ("throughput", "errors", "goodput", "output_tokens")
        if latency and unit in ("", "%"):
            raise refuse(option, given, expected, "a latency needs its unit: us, ms or s")
        if not latency and unit not in ("", "%"):
            break
        return Assertion(given, figure, operator, limit * _UNITS[unit], unit)
    raise refuse(option, given, expected)


def _is_figure(figure: str) -> bool:
    base = figure.removeprefix("scheduled_")
    if base in _FIGURES:
        return base == figure or base == "avg"
    for prefix in ("p", "lag_p", "ttft_p", "itl_p"):
        if base.startswith(prefix):
            try:
                return 0 < float(base[len(prefix) :]) < 100
            except ValueError:
                continue
    return False


def goal(option: str, given: str) -> tuple[str, float]:
    """METRIC:MILLISECONDS, a service level that a good request keeps."""
    name, colon, value = given.partition(":")
    names = ("time_to_first_token", "inter_token_latency", "request_latency")
    if not colon or name not in names:
        raise refuse(option, given, f"METRIC:MILLISECONDS with one of {', '.join(names)}")
    return name, number(0, above=True)(option, value)


def any_value(option: str, given: str) -> Any:
    """Nothing: the option can't be used."""
    raise refuse(option, given, "nothing")
