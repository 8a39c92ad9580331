"""`Request[T]`, the base class of operations; types and reserved names of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, make_dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda decorator: decorator


#: Types of request parameters; gRPC has no others.
Parameter: TypeAlias = "bool | int | float | str"
#: Parameters that have an argument of their own and so can't be given by name.
RESERVED_PARAMETERS = (
    "sequence_id",
    "sequence_start",
    "sequence_end",
    "priority",
    "timeout",
    "headers",
    "binary_data_output",
)
RESERVED_PREFIX = "triton_"
#: Typed as unchangeable; a MappingProxyType could not be pickled.
NO_PARAMETERS: Mapping[str, Parameter] = {}

T = TypeVar("T")
R = TypeVar("R", bound="Request[Any]")
N = TypeVar("N")


class Request(Generic[T]):
    """An operation of the server whose response is a T.

    The methods of all requests are here once. `dataclass` would compile them for each request,
    which takes a third of the time of importing this package.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    if not TYPE_CHECKING:  # a type checker derives each constructor from the fields

        def __init__(self, *values, **named):
            # Replaced by the constructor of a dataclass, which is compiled when first needed.
            kind = type(self)
            described = [
                (f.name, f.type, field(default=f.default, default_factory=f.default_factory))
                for f in fields(kind)
            ]
            made = make_dataclass(kind.__name__, described, frozen=True, eq=False, repr=False)
            kind.__init__ = made.__init__
            self.__init__(*values, **named)

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        values = zip(self.__match_args__, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in values)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._values()

    if not TYPE_CHECKING:  # a type checker knows that requests are frozen

        def __setattr__(self, name, value):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name):
            raise FrozenInstanceError(f"cannot delete field {name!r}")


def has_attributes(kind: type[N]) -> type[N]:
    """Make a named tuple say how its items are got, if they are asked for by name."""
    take = kind.__getitem__  # type: ignore[index]
    fields: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]

    @wraps(take)
    def checked(self: N, key: Any) -> Any:
        if isinstance(key, str):
            here = f", [{key!r}] is .{key}" if key in fields else ""
            raise TypeError(
                f"{kind.__name__} is not a dictionary{here}; its attributes are {', '.join(fields)}"
            )
        return take(self, key)

    setattr(kind, "__getitem__", checked)  # noqa: B010 - a type checker knows tuples
    return kind


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def operation(kind: type[R]) -> type[R]:
    """Make a subclass of `Request` a frozen dataclass with slots."""
    return dataclass(init=False, repr=False, eq=False, slots=True)(kind)


def names_arguments(kind: type[N]) -> type[N]:
    """Make the constructor of a named tuple or dataclass say which arguments there are.

    It does so if one is missing, or is not there.
    """
    fields = getattr(kind, "_fields", None)
    place = "__init__" if fields is None else "__new__"
    make = getattr(kind, place)
    names = ", ".join(kind.__dataclass_fields__ if fields is None else fields)  # type: ignore[attr-defined]
    faults = tuple(f"{name}() " for name in (make.__qualname__, make.__name__))

    @wraps(make)
    def checked(first: Any, *values: Any, **named: Any) -> Any:
        try:
            return make(first, *values, **named)
        except TypeError as error:
            if not str(error).startswith(faults):  # of what checks the arguments
                raise
            raise TypeError(f"{error}; {kind.__name__} takes {names}") from None

    setattr(kind, place, checked)
    return kind
