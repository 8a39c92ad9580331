"""Tools for the tests of programs that call an inference server.

    from tritonclient.testing import FaultServer, infer_result

    with FaultServer(models={"double": lambda X: {"Y": 2 * X}}) as server:
        server.fail_next("double", Unavailable("busy"))
        ...                         # the next inference of "double" fails
        server.inferences           # what was asked, to compare with

`infer_result({"Y": array})` makes the result of a call without any server.
`load_model("repository/model")` loads a model into this process, to call it with arrays.
"""

from __future__ import annotations

from ..server import FunctionModel
from ..server.faults import Fault, ReceivedInference
from .local import LocalAsyncClient, LocalClient
from .model import LocalModel, load_model
from .results import infer_result
from .server import FaultServer

__all__ = [
    "Fault",
    "FaultServer",
    "FunctionModel",
    "LocalAsyncClient",
    "LocalClient",
    "LocalModel",
    "ReceivedInference",
    "infer_result",
    "load_model",
]
