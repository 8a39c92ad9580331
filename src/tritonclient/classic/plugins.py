"""Plugins of the classic clients, which may change the headers of every request."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..utils import raise_error


class Request:
    """A request as a plugin sees it.

    Attributes:
        headers: those that the caller gave. They may be changed in place or replaced; the caller's
            own mapping is left alone.
    """

    def __init__(self, headers: dict[str, str] | None) -> None:
        self.headers: dict[str, str] = {} if headers is None else headers


class InferenceServerClientPlugin(ABC):
    """Something that is called with every request before it is sent."""

    @abstractmethod
    def __call__(self, request: Request) -> None:
        """Change the request, in place."""


#: Any function will do.
Plugin: TypeAlias = "InferenceServerClientPlugin | Callable[[Request], Any]"


class InferenceServerClientBase:
    """A client that takes a plugin."""

    def __init__(self) -> None:
        self._plugin: Plugin | None = None

    def __getstate__(self) -> Any:
        raise TypeError(
            f"an {type(self).__name__} can't be pickled or copied, as it holds connections; "
            "make one in each process"
        )

    def register_plugin(self, plugin: Plugin) -> None:
        """Call a plugin with every request from now on.

        Raises:
            InferenceServerException: there is one already.
        """
        if self._plugin is not None:
            raise_error(
                "A plugin is already registered. Please unregister the previous plugin first "
                "before registering a new plugin."
            )
        if not callable(plugin):
            raise TypeError(
                f"plugin is {plugin!r:.60}, expected a function that takes a request, "
                "or an InferenceServerClientPlugin"
            )
        self._plugin = plugin

    def plugin(self) -> Plugin | None:
        """The registered plugin, or None."""
        return self._plugin

    def unregister_plugin(self) -> None:
        """Call the plugin no more.

        Raises:
            InferenceServerException: there is none.
        """
        if self._plugin is None:
            raise_error("No plugin has been registered.")
        self._plugin = None

    def _headers(self, headers: Mapping[Any, Any] | None) -> dict[Any, Any]:
        """The headers to send: those given, after the plugin has seen a copy of them."""
        try:
            request = Request(dict(headers or {}))
        except (TypeError, ValueError):
            raise TypeError(
                f"headers is {type(headers).__name__}, expected a mapping of names to values"
            ) from None
        self._call_plugin(request)
        return request.headers

    def _call_plugin(self, request: Request) -> None:
        if self._plugin is not None:
            self._plugin(request)


class BasicAuth(InferenceServerClientPlugin):
    """Sends a name and a password with every request, by HTTP's basic scheme (RFC 7617).

    Raises:
        ValueError: one of them is not ASCII.
    """

    def __init__(self, username: str, password: str) -> None:
        for what, text in (("username", username), ("password", password)):
            if not text.isascii():  # said without the text, which encode's own error would hold
                raise ValueError(f"{what} holds characters outside of ASCII")
        pair = username.encode("ascii") + b":" + password.encode("ascii")
        self._value = f"Basic {base64.b64encode(pair).decode()}"

    def __call__(self, request: Request) -> None:
        request.headers["authorization"] = self._value
