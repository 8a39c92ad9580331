"""`Request[T]`, the base class of operations; types and reserved names of their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field, fields, make_dataclass
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
N = TypeVar("N", bound="tuple[Any, ...]")


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


@dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(field,))
def operation(kind: type[R]) -> type[R]:
    """Make a subclass of `Request` a frozen dataclass with slots."""
    return dataclass(init=False, repr=False, eq=False, slots=True)(kind)


def names_arguments(kind: type[N]) -> type[N]:
    """Make the constructor of a named tuple say which arguments there are, if one is wrong."""
    make, names = kind.__new__, ", ".join(kind._fields)  # type: ignore[attr-defined]

    def new(cls: type[N], *values: Any, **named: Any) -> Any:
        try:
            return make(cls, *values, **named)
        except TypeError as error:
            raise TypeError(f"{error}; {kind.__name__} takes {names}") from None

    kind.__new__ = new  # type: ignore[assignment]
    return kind
