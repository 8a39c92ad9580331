"""Reading a command line as getopt_long does: abbreviations, attached values, bundled flags."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from ..exits import MEANINGS, UsageError
from .settings import Settings
from .table import BY_SPELLING, GROUPS, OFFICIAL_LONG, Option

#: Fields of options that end the program at once.
HELP, VERSION = "help", "version"


def parse(arguments: Sequence[str]) -> Settings | str:
    """The settings that a command line makes, unchecked; or `HELP` or `VERSION`.

    Raises:
        UsageError: an option is unknown, ambiguous, or its value is not what it should be.
    """
    found: dict[str, Any] = {}
    for option, spelling, value in _pairs(list(arguments)):
        if option.field in (HELP, VERSION):
            return option.field
        if option.read is None:
            if option.field == "verbose":
                found["verbose"] = found.get("verbose", 0) + 1
            else:
                found[option.field] = option.implies
        elif option.field == "compare":
            found["compare"] = (*found.get("compare", ()), option.read(spelling, value))
        elif option.repeat:
            found.setdefault(option.field, []).append(option.read(spelling, value))
        else:
            found[option.field] = option.read(spelling, value)
    return Settings(arguments=tuple(arguments), given=frozenset(found), **found)


def _pairs(left: list[str]) -> Iterator[tuple[Option, str, str]]:
    """Options with their spelling and value, as they stand."""
    while left:
        argument = left.pop(0)
        if argument == "--" or not argument.startswith("-") or argument == "-":
            stray = left[0] if argument == "--" and left else argument
            if argument == "--" and not left:
                return
            raise UsageError(
                f"argument {stray!r} is not an option, expected options that begin with - or --"
                f"; if it belongs to one, write it as --option={stray}"
            )
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            option, spelling = _long(name)
            if option.read is None:
                if equals:
                    raise UsageError(f"{spelling} is a flag, but was given the value {value!r}")
                yield option, spelling, ""
                continue
            if not equals:
                value = _next(spelling, option, left)
            yield option, spelling, value
            if option.field == "compare":
                yield option, spelling, _next(spelling, option, left)
            continue
        yield from _short(argument, left)


def _short(argument: str, left: list[str]) -> Iterator[tuple[Option, str, str]]:
    letters = argument[1:]
    while letters:
        spelling = f"-{letters[0]}"
        option = BY_SPELLING.get(spelling)
        if option is None:
            raise UsageError(f"{spelling} (in {argument!r}) is not an option; see --help")
        letters = letters[1:]
        if option.read is None:
            yield option, spelling, ""
        else:
            yield option, spelling, letters or _next(spelling, option, left)
            return


def _next(spelling: str, option: Option, left: list[str]) -> str:
    if not left:
        raise UsageError(f"{spelling} needs a value, {option.value}; nothing follows it")
    return left.pop(0)


#: Options of common habit, and what they are here.
_HABITS = {
    "--header": "-H",
    "--headers": "-H",
    "--model": "-m",
    "--url": "-u",
    "--protocol": "-i",
    "--batch-size": "-b",
    "--model-version": "-x",
    "--threads": "--concurrency-range",
    "--output": "-f",
}


def _long(name: str) -> tuple[Option, str]:
    """The option of a long name or of an abbreviation that is not ambiguous."""
    if name in BY_SPELLING:
        return BY_SPELLING[name], name
    longs = [spelling for spelling in BY_SPELLING if spelling.startswith("--")]
    for known in ([each for each in longs if each in OFFICIAL_LONG], longs):
        matches = [spelling for spelling in known if spelling.startswith(name)]
        if len({BY_SPELLING[match].field for match in matches}) == 1:
            return BY_SPELLING[matches[0]], matches[0]
        if matches:
            raise UsageError(f"{name} is ambiguous: it may mean {', '.join(sorted(matches))}")
    # Without the dashes, which all have.
    close = get_close_matches(name[2:], [each[2:] for each in longs], 1)
    hint = f"; did you mean --{close[0]}?" if close else "; see --help"
    if name in _HABITS:
        hint = f"; here it is {_HABITS[name]}"
    raise UsageError(f"{name} is not an option{hint}")


def help_text(program: str = "perf_analyzer") -> str:
    """What `--help` prints."""
    lines = [
        f"Usage: {program} -m MODEL [options]",
        "",
        "Measure an inference server's latency and throughput under load.",
        "",
        f"  {program} -m simple                              one request at a time, HTTP",
        f"  {program} -m simple -i grpc --concurrency-range 1:8",
        f"  {program} -m simple --request-rate-range 500 -a  500 requests a second",
    ]
    for group, options in GROUPS.items():
        lines += ["", f"{group}:"]
        for option in options:
            names = ", ".join(sorted(option.spellings, key=len))
            head = f"  {names} {option.value}".rstrip()
            body = textwrap.wrap(option.help, 66)
            if len(head) < 26:
                lines.append(f"{head:<28}{body[0]}")
                body = body[1:]
            else:
                lines.append(head)
            lines += [" " * 28 + line for line in body]
    lines += ["", "Exit codes:"]
    lines += [f"  {code:<4}{meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(lines) + "\n"
