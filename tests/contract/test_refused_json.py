"""JSON that is refused, and JSON that is odd and taken: both servers answer with the same words."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest

BODY = b'{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}]}'
HEAD = b'{"inputs":[{"name":"INPUT0","datatype":"%s","shape":[%d],"parameters":'
BINARY = HEAD + b'{"binary_data_size":%d}}]}'
NOT_PARSED = "failed to parse the request JSON buffer: "
NO_MEMBER = "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'"
MISMATCH = "Unable to parse 'data': Shape does not match true shape of 'data' field"


def ask(
    server: Any, body: bytes, model: str = "identity_fp32", length: int | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    headers = {} if length is None else {"Inference-Header-Content-Length": str(length)}
    try:
        connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        return response.status, answer.get("error", answer)
    finally:
        connection.close()


def ask_binary(server: Any, datatype: bytes, count: int, size: int, data: bytes) -> Any:
    head = BINARY % (datatype, count, size)
    model = "identity_bytes" if datatype == b"BYTES" else "identity_fp32"
    return ask(server, head + data, model, len(head))


def element(datatype: str, data: str, shape: str = "[1]") -> bytes:
    tensor = f'"name":"INPUT0","datatype":"{datatype}","shape":{shape},"data":{data}'
    return f'{{"inputs":[{{{tensor}}}]}}'.encode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"  ", NOT_PARSED + "The document is empty. at 2"),
        (b"\0", NOT_PARSED + "The document is empty. at 0"),
        (b"{'a':1}", NOT_PARSED + "Missing a name for object member. at 1"),
        (b'{"a":1,}', NOT_PARSED + "Missing a name for object member. at 7"),
        (b'{"a":[1, ]}', NOT_PARSED + "Invalid value. at 9"),
        (b'{"a":[1 2]}', NOT_PARSED + "Missing a comma or ']' after an array element. at 8"),
        (b'{"a":["]{"] "b"}', NOT_PARSED + "Missing a comma or '}' after an object member. at 12"),
        (b'{"a" 1}', NOT_PARSED + "Missing a colon after a name of object member. at 5"),
        (b'{"a":"b', NOT_PARSED + "Missing a closing quotation mark in string. at 7"),
        (b'{"a":"\\x"}', NOT_PARSED + "Invalid escape character in string. at 6"),
        (
            BODY + b"x",
            NOT_PARSED + "The document root must not be followed by other values. at 71",
        ),
        (
            b'{"a":' + b"9" * 5000 + b"}",
            NOT_PARSED + "Number too big to be stored in double. at 5",
        ),
        (b"null", NO_MEMBER),
        (b"[]", NO_MEMBER),
        (b'"inputs"', NO_MEMBER),
    ],
)
def test_text_that_is_no_request(server: Any, body: bytes, text: str) -> None:
    assert ask(server, body) == (500, text)


@pytest.mark.parametrize(
    ("datatype", "wrong", "text"),
    [
        ("FP32", ('"1"', "null", "true", "{}"), "non-number as double"),
        ("BOOL", ('"1"', "null", "1", "1.5", "{}"), "non-boolean as boolean"),
        (
            *("UINT64", ('"1"', "null", "true", "1.5", "-1", str(1 << 64))),
            "non-unsigned-integer as unsigned-integer",
        ),
        (
            *("INT64", ('"1"', "null", "true", "1.5", str(1 << 63))),
            "non-signed-integer as signed-integer",
        ),
        ("INT8", ('"1"', str(1 << 63)), "non-signed-integer as signed-integer"),
    ],
)
def test_elements_of_the_wrong_type(
    server: Any, datatype: str, wrong: tuple[str, ...], text: str
) -> None:
    expected = (500, f"Unable to parse 'data': attempt to access JSON {text}")
    for each in wrong:
        assert ask(server, element(datatype, f"[{each}]")) == expected, each
        assert ask(server, element(datatype, f"[[{each}]]")) == expected, each


def test_elements_that_are_no_text(server: Any) -> None:
    expected = "Unable to parse JSON bytes array: attempt to access JSON non-string as string"
    for each in ("1", "null", "[1]", "{}"):
        assert ask(server, element("BYTES", f"[{each}]"), "identity_bytes") == (500, expected)


@pytest.mark.parametrize("data", ["[]", "[1, 2]", "[[1], [2]]", "[[1], 2]"])
def test_more_or_fewer_elements_than_the_shape_says(server: Any, data: str) -> None:
    assert ask(server, element("FP32", data)) == (500, MISMATCH)


def test_data_of_empty_tensors_does_not_matter(server: Any) -> None:
    for datatype, model, data in (
        ("FP32", "identity_fp32", "[1, 2]"),
        ("BYTES", "identity_bytes", '["a"]'),
    ):
        status, answer = ask(server, element(datatype, data, "[0]"), model)
        assert (status, answer["outputs"][0]["shape"]) == (200, [0])


def test_a_shape_of_more_than_63_bits(server: Any) -> None:
    assert ask(server, element("FP32", "[1]", f"[{1 << 63}]")) == (500, MISMATCH)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"name":"INPUT0"', b'"name":"INPUT0","name":"other"'),
        (b'"shape":[1]', b'"shape":[1],"shape":[2]'),
        (b'"inputs":', b'"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1],"data":[1]}],'
         b'"inputs":'),
        (b"{", b"\xef\xbb\xbf{"),
    ],
)  # fmt: skip
def test_odd_json_that_is_taken(server: Any, before: bytes, after: bytes) -> None:
    """Of several members with one name, the first counts."""
    status, answer = ask(server, BODY.replace(before, after, 1))
    assert (status, answer["outputs"][0]["data"]) == (200, [1.0])


@pytest.mark.parametrize(
    ("size", "data", "text"),
    [
        (4, b"\0\0", "unexpected size for input 'INPUT0', expecting 2 additional bytes for model"),
        (4, b"\0" * 8, "unexpected additional input data for model"),
    ],
)
def test_bodies_of_another_size(server: Any, size: int, data: bytes, text: str) -> None:
    assert ask_binary(server, b"FP32", 1, size, data) == (400, f"{text} 'identity_fp32'")


@pytest.mark.parametrize(
    ("count", "data", "text"),
    [
        (2, b"\1\0\0\0a", "expected 2 string elements {of}, got 1"),
        (1, b"\1\0\0\0a" * 2, "unexpected number of string elements 2 {of}, expecting 1"),
        (
            *(1, b"\1\0\0"),
            "incomplete string length indicator {of}, expecting 4 bytes but only 3 bytes "
            "available. Please make sure the string length indicator is in one buffer.",
        ),
    ],
)
def test_strings_that_do_not_fit(server: Any, count: int, data: bytes, text: str) -> None:
    of = "for inference input 'INPUT0' for model 'identity_bytes'"
    expected = (400, f"[request id: <id_unknown>] {text.format(of=of)}")
    assert ask_binary(server, b"BYTES", count, len(data), data) == expected


def test_a_string_that_ends_early(server: Any) -> None:
    data = b"\xff\0\0\0abcd"
    text = (
        "incomplete string data for inference input 'INPUT0', expecting string of length 255 but "
        "only 4 bytes available"
    )
    assert ask_binary(server, b"BYTES", 1, len(data), data) == (400, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("priority", "non-unsigned-integer as unsigned-integer"),
        ("timeout", "non-unsigned-integer as unsigned-integer"),
        ("sequence_id", "non-string as string"),
    ],
)
def test_parameters_of_more_than_64_bits(server: Any, name: str, text: str) -> None:
    body = BODY.replace(b"{", b'{"parameters":{"%s":%d},' % (name.encode(), 1 << 64), 1)
    expected = f"Unable to parse '{name}': attempt to access JSON {text}"
    assert ask(server, body) == (500, expected)
