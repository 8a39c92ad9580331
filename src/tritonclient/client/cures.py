"""What to do about a failed call, as far as its error tells."""

from __future__ import annotations

import re

from ..errors import (
    Cancelled,
    ConnectionFailed,
    InferenceServerException,
    PermissionDenied,
    ProtocolError,
    ServerError,
    Unauthenticated,
    Unimplemented,
)
from .misfits import datatype_hint, shape_hint

#: How much of an error's text is searched, in characters; a server may send any length.
MAX_TEXT = 4096
NO_OPERATION = (
    "the server does not offer this operation, which may be an extension of Triton's; "
    "client.server_metadata().extensions names those that it has"
)

#: How a port ends a connection on which it gets another protocol.
_HUNG_UP = re.compile("without an answer|onnection reset|EOF occurred in violation")
#: How an error begins that is a page of a web server or proxy.
_PAGE = re.compile(r"\s*<(!doctype|html|\?xml)\b", re.IGNORECASE)
_WRONG_SHAPE = re.compile(
    r"unexpected shape for input .*Expected \[([-\d, ]*)\], got \[([-\d, ]*)\]", re.DOTALL
)
_WRONG_DATATYPE = re.compile(r"data-type is '(\w+)', but .* expects '(\w+)'")

#: Patterns of errors' texts, compiled when first needed, and what to do about them.
_CURES = (
    (
        ServerError,
        "decoupled transaction policy",
        "its responses come on a stream: client.stream(model, inputs), with a grpc:// url",
    ),
    (
        ServerError,
        r"batch-size must be <= \d+",
        "the first dimension is the batch, which array[None] adds; client.map(model, rows) sends "
        "as many rows at a time as the model takes; or raise max_batch_size in the model's "
        "config.pbtxt",
    ),
    (
        ServerError,
        "batch size does not match other inputs",
        "the first dimension of every input is the batch, and must be the same",
    ),
    (
        ServerError,
        "has no shape but model requires batch dimension",
        "give an array whose first dimension is the batch, such as [[value]]",
    ),
    (
        ServerError,
        r"xpected \d+, got 0\b|byte size mismatch.*\b0 ",
        "an input without elements is refused; send at least one row",
    ),
    (
        ServerError,
        "must specify a non-zero or non-empty correlation ID",
        "give each request of a sequence the same sequence_id, the first one sequence_start=True",
    ),
    (
        ServerError,
        "must specify the START flag",
        "give the first request sequence_start=True; a sequence that was idle for too long, or was "
        "sent to another server, has to begin again",
    ),
    (
        ServerError,
        r"version string|should be an integral value",
        "a version is a whole number as text, such as '1'; without one the server chooses",
    ),
    (
        ServerError,
        "[Uu]nable to open shared memory region",
        "the server finds no such object in its /dev/shm: is it on this machine, and not in "
        "another container? client.shared_memory() makes and registers one",
    ),
    (
        ServerError,
        "[Uu]nable to find .*shared memory region",
        "the server knows no region of this name, or no more: client.shared_memory() makes and "
        "registers one, and what lies in it can be sent until it is closed",
    ),
    (
        Unimplemented,
        r"^$|[Mm]ethod not found|[Uu]nknown (method|service)|[Uu]nimplemented",
        NO_OPERATION,
    ),
    (
        ServerError,
        "explicit model load / unload is not allowed",
        "start the server with --model-control-mode explicit",
    ),
    (
        ServerError,
        "^redirected to ",
        "the url of the client is the one that it redirects to, without /v2",
    ),
    (
        Cancelled,
        "the client was closed",
        "close it after the last response, or take the responses inside of its `with` block",
    ),
    (
        Cancelled,
        "the stream was cancelled",
        "take the responses before cancel(), and inside of the stream's `with` block",
    ),
    (
        ConnectionFailed,
        "unable to get local issuer|self.signed certificate|unable to get issuer|"
        "unable to verify the first",
        "if you trust the server's authority: tls=TLS(ca_file='ca.pem')",
    ),
    (
        ConnectionFailed,
        "certificate has expired|certificate is not yet valid",
        "the server needs a new certificate, unless the clock of this machine is wrong",
    ),
    (
        ConnectionFailed,
        "alert certificate required|alert bad certificate|alert handshake failure",
        "the server asks for a client's certificate: tls=TLS(cert_file=..., key_file=...)",
    ),
    (
        ConnectionFailed,
        "ostname mismatch|IP address mismatch|certificate is not valid for",
        "the name that the certificate is for: tls=TLS(server_name='...')",
    ),
    (
        ConnectionFailed,
        "Name or service not known|nodename nor servname|name resolution|getaddrinfo",
        "check the host in the url; does it resolve on this machine?",
    ),
    (
        ConnectionFailed,
        "No such file or directory",
        "is the server running, and does it listen on this socket?",
    ),
    (
        ConnectionFailed,
        "Connection refused|Connect call failed",
        "is the server running there? Triton's ports are 8000 for HTTP and 8001 for gRPC",
    ),
)


def hint_of_text(error: InferenceServerException) -> str:
    """Return what to do about an error, as far as its text tells."""
    text = str(error.message())[:MAX_TEXT]
    for kind, pattern, cure in _CURES:
        if isinstance(error, kind) and re.search(pattern, text):
            return cure
    if isinstance(error, Unauthenticated):
        return 'credentials are given as headers={"authorization": "Bearer ..."}'
    if isinstance(error, PermissionDenied):
        return 'check what headers={"authorization": ...} may do on this server'
    if isinstance(error, ConnectionFailed):
        return _of_connection(error, text)
    if isinstance(error, ProtocolError):
        return _of_response(error)
    if isinstance(error, ServerError) and _PAGE.match(str(error.debug_details() or "")):
        return _of_page(error)
    if isinstance(error, ServerError) and (found := _WRONG_DATATYPE.search(text)):
        return datatype_hint(found[1], found[2])
    if isinstance(error, ServerError) and (found := _WRONG_SHAPE.search(text)):
        batches = "max_batch_size" in text
        return shape_hint(_sizes(found[1]), _sizes(found[2]), int(batches))
    return ""


def _sizes(shape: str) -> list[int]:
    return [int(size) for size in re.findall(r"-?\d{1,18}", shape)]


def _of_connection(error: ConnectionFailed, text: str) -> str:
    if not _HUNG_UP.search(text):
        return ""
    scheme = error.endpoint.partition("://")[0]
    hint = {
        "http": "is this a port with TLS? Then the url begins with https://",
        "https": "is this a port for HTTP with TLS?",
        "grpc": "is this a port for gRPC? With TLS, its url begins with grpcs://",
        "grpcs": "is this a port for gRPC with TLS?",
    }.get(scheme)
    return f"if it has never answered: {hint}" if hint else ""


def _of_page(error: ServerError) -> str:
    """Return what to do about a page for people in place of an error."""
    if error.status() in ("502", "503", "504"):
        return "a proxy answers, and does not reach the server behind it; is the server running?"
    return "this is a page for people; is this the url of an inference server?"


def _of_response(error: InferenceServerException) -> str:
    """Return how a response begins that is not the protocol's."""
    body = error.debug_details()
    if isinstance(body, (bytes, bytearray, memoryview)):
        body = bytes(body[:200]).decode("utf-8", "replace")
    if not isinstance(body, str) or not body.strip():
        return ""
    begin = " ".join(body[:200].split())[:60]
    hint = f"it begins with {begin!r}"
    if begin[0] == "{" and ('"model_name"' in body[:200] or '"outputs"' in body[:200]):
        return hint
    return f"{hint}; is this the url of an inference server?"
