"""Services other than Triton, against a server written from their public documentation."""

from __future__ import annotations

import json

import pytest

from tests.perf import running
from tests.perf.services import web
from tritonclient.perf.services.tokens import read_tokens


@pytest.fixture
def server():
    with web.start() as running_server:
        yield running_server


def data(tmp_path, *payloads, **more):
    path = tmp_path / "data.json"
    steps = [{"payload": [payload], **more} for payload in payloads]
    path.write_text(json.dumps({"data": steps}))
    return str(path)


def chat(**more):
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}


def openai(server, path, *arguments, endpoint="v1/chat/completions"):
    return running.run(
        "-m", "m", "--service-kind", "openai", "-u", server.address, "--endpoint", endpoint,
        "--input-data", path, *arguments,
    )  # fmt: skip


def test_chat_streams_are_measured_by_token(server, tmp_path):
    path = data(tmp_path, chat(stream=True, max_tokens=6))
    summary, export = tmp_path / "s.json", tmp_path / "e.json"
    report = openai(
        server, path, "--request-count", "6", "--concurrency-range", "2", "--goodput",
        "time_to_first_token:60000", "--summary-file", str(summary), "-H", "authorization:Bearer t",
        "--profile-export-file", str(export),
    )  # fmt: skip
    assert report.code == 0, report.err
    assert "  Service Kind: OPENAI\n" in report.out and "Server:" not in report.out  # noqa: PT018
    (load,) = json.loads(summary.read_text())["loads"]
    measured = load["measured"]
    assert measured["tokens"]["output"] == 36
    assert measured["tokens"]["goodput"] == pytest.approx(measured["throughput"])
    first = measured["distributions"]["time_to_first_token"]["percentiles_us"]["p50"]
    gap = measured["distributions"]["inter_token_latency"]["percentiles_us"]["p50"]
    assert first >= web.FIRST * 1e6
    assert web.GAP * 0.5e6 <= gap < first
    assert measured["latency_us"] >= first + 5 * gap * 0.5
    assert report.number("Output token throughput") > 0
    assert all(headers["authorization"] == "Bearer t" for _, headers, _ in server.seen)
    requests = json.loads(export.read_text())["experiments"][0]["requests"]
    # A role, six words, the reason of the end, and [DONE]: each an event of its own.
    assert [len(request["response_timestamps"]) for request in requests] == [9] * 6


@pytest.mark.parametrize(
    ("endpoint", "tokens"),
    [("v1/chat/completions", (5, 2)), ("/v1/completions", (4, 3)), ("v1/embeddings", (0, 5))],
)
def test_answers_in_one_piece(server, tmp_path, endpoint, tokens):
    summary = tmp_path / "s.json"
    report = openai(
        server, data(tmp_path, chat()), "--request-count", "4", "--summary-file", str(summary),
        endpoint=endpoint,
    )  # fmt: skip
    assert report.code == 0, report.err
    found = json.loads(summary.read_text())["loads"][0]["measured"]["tokens"]
    assert (found["output"], found["input"]) == (4 * tokens[0], 4 * tokens[1])
    assert report.number("Request count") == len(server.seen) == 4
    assert "Time to first token" not in report.out


def test_refusals_of_openai_services(server, tmp_path):
    report = openai(server, data(tmp_path, {**chat(), "model": "x"}), "--request-count", "4")
    assert report.code == 4
    assert "HTTP 404: 4, such as: the model does not exist" in report.out


def test_conversations_carry_what_was_said(server, tmp_path):
    path = tmp_path / "data.json"
    steps = [
        {"session_id": [name], "payload": [{"model": "m", "messages": [
            {"role": "user", "content": f"{name}{turn}"}]}], "delay": [1]}
        for turn in range(3) for name in ("a", "b")
    ]  # fmt: skip
    path.write_text(json.dumps({"data": steps}))
    report = openai(server, str(path), "--session-concurrency", "2")
    assert report.code == 0, report.err
    assert report.number("Request count") == len(server.seen) == 6
    said = [[each["content"] for each in json.loads(body)["messages"]]
            for _, _, body in server.seen]  # fmt: skip
    answer = "word word word word word"
    for name in "ab":
        turns = [each for each in said if each[0] == f"{name}0"]
        assert turns == [
            [f"{name}0"],
            [f"{name}0", answer, f"{name}1"],
            [f"{name}0", answer, f"{name}1", answer, f"{name}2"],
        ]


def test_tokens_of_odd_answers():
    assert read_tokens([]).output == 0
    assert read_tokens([(1, b"data: [DONE]")]).chunks == 0
    assert "not JSON" in read_tokens([(1, b"data: {")]).error
    assert "no object" in read_tokens([(1, b"data: []")]).error
    assert read_tokens([(1, b'data: {"error": {"message": "late"}}')]).error == "late"
    found = read_tokens([(5, b': comment\ndata: {"choices": [{"text": "a"}]}')])
    assert (found.text, found.output) == ("a", 1)


def test_torchserve(server, tmp_path):
    (tmp_path / "kitten.jpg").write_bytes(b"a kitten")
    path = tmp_path / "data.json"
    path.write_text(json.dumps({"data": [{"TORCHSERVE_INPUT": [str(tmp_path / "kitten.jpg")]}]}))
    common = ("--service-kind", "torchserve", "-u", server.address, "--input-data", str(path))
    report = running.run("-m", "resnet", "-x", "2", *common, "--request-count", "5", "-a")
    assert report.code == 0, report.err
    assert {path for path, _, _ in server.seen} == {"/predictions/resnet/2"}
    assert report.number("Avg HTTP time") > 0
    (tmp_path / "kitten.jpg").write_bytes(b"a dog")
    report = running.run("-m", "resnet", *common, "--request-count", "5")
    assert "HTTP 400: 5, such as: no data" in report.out


@pytest.mark.parametrize("batch", [1, 4])
def test_tensorflow_serving(server, batch):
    common = ("--service-kind", "tfserving", "-u", server.address, "-m", "half")
    report = running.run(*common, "--request-count", "5", "-b", str(batch))
    assert report.code == 0, report.out + report.err
    path, _, body = server.seen[-1]
    assert path == "/v1/models/half:predict"
    inputs = json.loads(body)["inputs"]
    assert len(inputs["x"]) == len(inputs["word"]) == batch
    assert list(inputs["word"][0]) == ["b64"]
    report = running.run(*common, "--model-signature-name", "other")
    assert report.code == 99
    assert "expected one of serving_default" in report.err
