"""Whole runs against a sink: what the report says is what the server saw."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jsonschema
import pytest

from tests.perf import running
from tests.support.waiting import eventually
from tritonclient import cli
from tritonclient.perf.report.summary import schema

PROTOCOLS = pytest.mark.parametrize("protocol", ["http", "grpc"])
QUICK = ("-p", "200", "-s", "100000")


def at(sink, protocol="http"):
    url = sink.http if protocol == "http" else sink.grpc
    return ("-m", "sink", "-i", protocol, "-u", url)


@PROTOCOLS
def test_the_first_measurement(sink, protocol, tmp_path):
    path = tmp_path / "s.json"
    before = sink.count()
    report = running.run(*at(sink, protocol), *QUICK, "--summary-file", str(path))
    assert report.code == 0, report.err
    assert report.out.startswith("*** Measurement Settings ***\n  Batch size: 1\n")
    count, rate = report.number("Request count"), report.number("Throughput")
    (load,) = json.loads(path.read_text())["loads"]
    windows = load["windows"][-3:]
    assert all(window["seconds"] >= 0.24 for window in windows)
    assert count == sum(window["count"] for window in windows) > 0
    assert rate == pytest.approx(count / sum(each["seconds"] for each in windows), rel=0.001)
    assert report.number("p50 latency") <= report.number("p99 latency")
    assert f"Avg {'HTTP' if protocol == 'http' else 'gRPC'} time: " in report.out
    last = report.out.splitlines()[-1]
    assert last.startswith("Concurrency: 1, throughput: ")
    # The server's side: what it reported at both ends of these windows.
    log = sink.log()
    assert report.number("Inference count") == log["reported"][-1] - log["reported"][-4]
    assert load["requests"]["succeeded"] == len(log["arrivals"]) - before


@PROTOCOLS
def test_the_server_counts_what_the_client_does(sink, protocol):
    report = running.run(*at(sink, protocol), "--request-count", "30", "--concurrency-range", "3")
    assert report.number("Inference count") == report.number("Request count") == 30


@PROTOCOLS
@pytest.mark.parametrize("extra", [(), ("-a",), ("--request-rate-range", "3"), ("--streaming",)])
@pytest.mark.parametrize("count", [3, 50])
def test_request_counts_are_exact(sink, protocol, extra, count):
    if extra == ("--streaming",) and protocol == "http":
        pytest.skip("streams need gRPC")
    before = sink.count()
    load = () if "--request-rate-range" in extra else ("--concurrency-range", "3")
    if "--request-rate-range" in extra and count > 3:
        extra = ("--request-rate-range", "50")
    report = running.run(*at(sink, protocol), "--request-count", str(count), *load, *extra)
    assert report.code == 0, report.err
    assert report.number("Request count") == sink.count() - before == count


def test_warm_up_requests_are_not_counted(sink):
    before = sink.count()
    report = running.run(*at(sink), "--request-count", "20", "--warmup-request-count", "7")
    assert report.number("Request count") == 20
    assert sink.count() - before == 27


@PROTOCOLS
def test_errors_are_data(sink, protocol):
    sink.control(fail_every=10)
    report = running.run(*at(sink, protocol), "--request-count", "100")
    assert report.code == 4
    assert report.number("Request count") == 90
    assert "    Errors: 10 (10.00%)" in report.out
    assert "such as: the sink refuses" in report.out
    sink.control(fail_every=10)
    report = running.run(*at(sink, protocol), "--request-count", "100", "--max-error-rate", "20")
    assert report.code == 0


def test_a_burst_of_errors_ends_nothing(sink):
    count = sink.count()
    sink.control(fail_from=count + 20, fail_to=count + 30)
    report = running.run(*at(sink), "--request-count", "200", "--concurrency-range", "4")
    assert report.number("Request count") == 190


@PROTOCOLS
def test_connections_that_the_server_closes_are_made_again(sink, protocol):
    sink.control(close_every=10)
    report = running.run(*at(sink, protocol), "--request-count", "100", "--max-error-rate", "100")
    assert report.code == 0, report.out + report.err
    assert report.number("Request count") >= 85


@PROTOCOLS
def test_a_killed_server_ends_the_run_with_a_report(own_sink, protocol, tmp_path):
    path = tmp_path / "s.json"
    process = running.begin(
        *at(own_sink, protocol), "-p", "500", "-s", "0", "-r", "1000", "--request-rate-range",
        "200", "--summary-file", str(path),
    )  # fmt: skip
    # Until windows are over in which there were requests.
    eventually(lambda: len({*own_sink.log()["reported"]} - {0}) > 2)
    count = own_sink.control(exit_at=1)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 4
    (load,) = json.loads(path.read_text())["loads"]
    assert load["requests"]["succeeded"] == count
    assert "Request count: " in out
    assert "connection refused: " in out


def test_nothing_measured(sink):
    sink.control(delay=30)
    report = running.run(*at(sink), *QUICK, "-r", "3")
    assert report.code == 3
    assert "Please use a larger time window." in report.err


def test_a_timeout_is_an_error(sink):
    sink.control(delay=30)
    report = running.run(*at(sink), "--request-count", "2", "--timeout", "0.3")
    assert report.code == 4
    assert "timeout: 2, such as: no answer within 0.3 s" in report.out


def test_unstable_results_are_kept(sink, tmp_path):
    path = tmp_path / "u.csv"
    report = running.run(*at(sink), "-p", "200", "-s", "0", "-r", "3", "-f", str(path))
    assert report.code == 2
    assert report.number("Request count") > 0
    assert "Failed to obtain stable measurement within 3 measurement windows" in report.err
    assert len(path.read_text().splitlines()) == 2


def test_ctrl_c_keeps_the_report(sink, tmp_path):
    path = tmp_path / "s.csv"
    process = running.begin(*at(sink), "-p", "60000", "-f", str(path))
    before = sink.count()
    eventually(lambda: sink.count() > before + 10)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Request count: " in out
    assert "Interrupt signal (2) received." in err
    assert len(path.read_text().splitlines()) == 2


def test_no_worker_outlives_the_program(sink):
    process = running.begin(*at(sink), "-p", "60000", "--concurrency-range", "2")
    before = sink.count()
    eventually(lambda: sink.count() > before + 10)
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(children) as file:
        workers = [int(each) for each in file.read().split()]
    assert workers
    process.kill()
    process.communicate()
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers))


def test_csv_and_summary_and_export(sink, tmp_path):
    table, summary, export = (tmp_path / name for name in ("a.csv", "s.json", "e.json"))
    report = running.run(
        *at(sink), "--request-count", "40", "-f", str(table), "--summary-file", str(summary),
        "--profile-export-file", str(export),
    )  # fmt: skip
    assert report.code == 0, report.err
    with table.open() as file:
        rows = list(csv.reader(file))
    assert ",".join(rows[0]) == (
        "Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,"
        "Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,"
        "p50 latency,p90 latency,p95 latency,p99 latency"
    )
    assert float(rows[1][1]) == report.number("Throughput")
    document = json.loads(summary.read_text())
    jsonschema.validate(document, schema())
    (load,) = document["loads"]
    assert load["measured"]["count"] == load["requests"]["succeeded"] == 40
    exported = json.loads(export.read_text())
    (experiment,) = exported["experiments"]
    assert experiment["experiment"] == {"mode": "concurrency", "value": 1}
    requests = experiment["requests"]
    assert len(requests) == 40
    for request in requests:
        assert len(request["response_timestamps"]) == len(request["response_outputs"]) == 1
        assert request["timestamp"] < request["response_timestamps"][0]
        assert request["response_outputs"][0] == {"OUTPUT0": list(range(16))}
        assert len(request["request_inputs"]["INPUT0"]) == 16
    low, high = experiment["window_boundaries"]
    assert all(low <= r["timestamp"] <= high for r in requests)
    # The same figures, from the export alone. The report has the middle of a bucket, less than 1 %
    # away, in whole microseconds.
    median = sorted(r["response_timestamps"][0] - r["timestamp"] for r in requests)[20] / 1000
    assert 0.99 * median - 1 < report.number("p50 latency") <= 1.01 * median


def test_assertions(sink):
    good = ("--assert", "p99<60s", "--assert", "errors<=0%", "--assert", "throughput>1")
    assert running.run(*at(sink), "--request-count", "20", *good).code == 0
    report = running.run(*at(sink), "--request-count", "20", *good, "--assert", "p50<1us")
    assert report.code == 5
    assert "Assertion failed: p50<1us: p50 is " in report.err


def test_rates_that_are_not_kept(sink):
    sink.control(delay=0.1)
    report = running.run(
        *at(sink), *QUICK, "--request-rate-range", "100", "--max-lag", "50", "-r", "3"
    )
    assert report.code == 6
    assert "was not kept" in report.err
    report = running.run(
        *at(sink), *QUICK, "--request-rate-range", "100", "--max-in-flight", "2", "-r", "3"
    )
    assert report.number("Dropped requests") > 0


def test_dry_run_sends_nothing(sink):
    before = sink.count()
    report = running.run(*at(sink), "--dry-run")
    assert report.code == 0
    assert "POST /v2/models/sink/infer HTTP/1.1" in report.out
    assert "input INPUT0 INT32[1, 16], 64 bytes: " in report.out
    assert sink.count() == before


SETUP = [
    (("-m", "nothing"), "failed to get model metadata"),
    (("-m", "sink", "-b", "100"), None),
    (("-m", "sink", "--shape", "NO:1"), "'NO'"),
    (("-m", "sink", "--input-data", "nowhere.json"), "'nowhere.json'"),
    (("-m", "sink", "-u", "http://x/y?z"), "url"),
    (("-m", "sink", "-u", "ftp://x"), "'ftp://x'"),
    (("-m", "sink", "-H", "a b:c"), "header 'a...'"),
    (("-m", "sink", "-H", "x:\u2603"), "header 'x'"),
    (("-m", "sink", "--sequence-interval", "5"), "sequences"),
    (("-m", "sink", "--collect-metrics", "--metrics-url", "127.0.0.1:1/x"), "Metrics endpoint"),
]


@pytest.mark.parametrize(("arguments", "named"), SETUP, ids=lambda value: str(value)[:50])
def test_set_up_that_fails(sink, arguments, named):
    report = running.run("-u", sink.http, *arguments, "--request-count", "3")
    if named is None:
        assert report.code == 0
        return
    assert report.code == 99
    assert named in report.err
    assert "Traceback" not in report.err


def test_no_server():
    report = running.run("-m", "m", "-u", "127.0.0.1:1")
    assert report.code == 99
    assert report.err.startswith("error: failed to get model metadata: ")


def test_usage_errors_go_to_standard_error():
    report = running.run("-m", "m", "--nonsense")
    assert (report.code, report.out) == (99, "")
    assert report.err.startswith("Error: --nonsense is not an option")
    assert running.run("--help").code == running.run("--version").code == 0


def test_start_at_waits(sink):
    begin = time.time() + 2
    running.run(*at(sink), "--request-count", "5", "--start-at", f"{begin:.3f}")
    first = sink.arrivals()[-5]
    assert first / 1e9 - time.monotonic() + time.time() >= begin - 0.01


@pytest.mark.skipif(shutil.which("mpiexec") is None, reason="there is no Open MPI")
def test_ranks_of_mpi_are_stable_together(sink):
    command = ("mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", "3", *running.PROGRAM)
    done = subprocess.run(
        [*command, *at(sink), "-p", "300", "-s", "100000", "-v", "--enable-mpi"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("All models on all MPI ranks are stable\n") == 3
    counts = [int(each) for each in re.findall(r"Request count: (\d+)", done.stdout)]
    assert len(counts) == 3
    assert all(counts)


def test_mpi_that_is_not_there(sink, monkeypatch):
    from tritonclient.perf.exits import SetupError
    from tritonclient.perf.measure import mpi

    def missing(name, mode=0):
        raise OSError(name)

    monkeypatch.setattr(mpi.ctypes, "CDLL", missing)
    with pytest.raises(SetupError, match=r"libmpi\.so"):
        mpi.Ranks()


def test_files_of_several_hosts_are_added(sink, tmp_path, capsys):
    paths = []
    for number in range(2):
        paths.append(str(tmp_path / f"{number}.json"))
        report = running.run(
            *at(sink), "--request-count", "30", "--summary-file", paths[-1], "--request-rate-range",
            "30",
        )  # fmt: skip
        assert report.code == 0, report.err
    merged, page = tmp_path / "all.json", tmp_path / "all.html"
    code = cli.main(["bench", "merge", *paths, "-o", str(merged), "--html", str(page)])
    assert code == 0
    document = json.loads(merged.read_text())
    jsonschema.validate(document, schema())
    (load,) = document["loads"]
    assert load["value"] == 60
    assert load["requests"]["succeeded"] == load["measured"]["count"] == 60
    assert load["measured"]["distributions"]["latency"]["count"] == 60
    assert "<svg" in page.read_text()
    assert cli.main(["bench", "merge", str(page)]) == 99
    other = str(tmp_path / "other.json")
    running.run(*at(sink), "--request-count", "3", "--summary-file", other)
    capsys.readouterr()
    assert cli.main(["bench", "merge", paths[0], other]) == 99
    assert "has the loads concurrency 1; expected" in capsys.readouterr().err


def varied(document, factor):
    """A summary file's content with latencies so many times 10 ms, and noise of some percent."""
    (load,) = json.loads(json.dumps(document))["loads"]
    measured = load["measured"]
    measured["throughput"], measured["throughput_ci95"] = 100 / factor, 2 / factor
    measured["latency_us"], measured["latency_ci95_us"] = 10_000 * factor, 200 * factor
    percentiles = measured["distributions"]["latency"]["percentiles_us"]
    percentiles.update(dict.fromkeys(percentiles, 10_000 * factor))
    for number, window in enumerate(load["windows"]):
        window["p99_us"] = (10_000 + 200 * (-1) ** number) * factor
    return {**document, "loads": [load]}


def test_comparisons_tell_noise_from_change(sink, tmp_path, capsys):
    run = tmp_path / "run"
    running.run(*at(sink), "--duration", "2", "-p", "250", "--summary-file", str(run))
    document = json.loads(run.read_text())
    assert document["loads"][0]["measured"]["throughput_ci95"] > 0
    paths = [str(run)]
    for factor in (1, 1.015, 5):
        path = tmp_path / str(factor)
        path.write_text(json.dumps(varied(document, factor)))
        paths.append(str(path))
    assert cli.main(["bench", "--compare", paths[0], paths[0]]) == 0
    assert "WORSE" not in capsys.readouterr().out
    assert cli.main(["bench", "--compare", paths[1], paths[2]]) == 0
    out = capsys.readouterr().out
    assert "within noise" in out
    assert "more than noise" not in out
    assert cli.main(["bench", "--compare", paths[1], paths[3]]) == 5
    assert "WORSE, more than noise" in capsys.readouterr().out
    assert cli.main(["bench", "--compare", paths[3], paths[1]]) == 0
    assert "better, more than noise" in capsys.readouterr().out


def test_html_reports_stand_alone(sink, tmp_path):
    page = tmp_path / "r.html"
    sink.control(fail_every=7)
    report = running.run(
        *at(sink), *QUICK, "--concurrency-range", "1:3", "--html", str(page),
        "--max-error-rate", "50",
    )  # fmt: skip
    assert report.code == 0, report.err
    text = page.read_text()
    assert text.count("<svg") == 4
    assert "the sink refuses" in text
    assert not re.findall(r'(?:src|href)="', text)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium")
def test_html_reports_are_drawn(sink, tmp_path):
    page, picture = tmp_path / "r.html", tmp_path / "r.png"
    running.run(*at(sink), *QUICK, "--html", str(page), "-r", "3")
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,1600",
         f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", page.as_uri()],
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    from PIL import Image

    with Image.open(picture) as image:
        colors = image.convert("RGB").getcolors(1 << 24)
    # Lines of the charts, in their color.
    assert any(color == (0x25, 0x63, 0xEB) for _, color in colors)


def test_spawned_workers_do_the_same(sink):
    """Where there is no fork, workers get all they need by pickle."""
    code = (
        "import sys\n"
        "from tritonclient.perf.load import manager\n"
        "made = manager.Manager.__init__\n"
        "def spawn(self, plan, count, start):\n"
        "    made(self, plan, count, 'spawn')\n"
        "manager.Manager.__init__ = spawn\n"
        "from tritonclient.perf.main import main\n"
        "if __name__ == '__main__':\n"
        "    sys.exit(main())\n"
    )
    for protocol in ("http", "grpc"):
        done = subprocess.run(
            [sys.executable, "-c", code, *at(sink, protocol), "--request-count", "30",
             "--concurrency-range", "3"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "Request count: 30\n" in done.stdout


def test_live_lines(sink):
    process = running.begin(*at(sink), "-p", "60000", "--live", "on")
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if re.search(r"req/s  in flight 1  p50 .*at most \d+ s left", line):
                break
        else:
            pytest.fail("it ended without such a line")
    finally:
        process.kill()
        process.communicate()


def test_the_live_view_of_a_terminal(sink):
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*running.PROGRAM, *at(sink), "-p", "60000"], stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    shown, bar = b"", "▁▂▃▄▅▆▇█"[7].encode()
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(ours, 65536):
            shown += data
            if b"req/s" in shown and bar in shown and b"Throughput: " not in shown:
                process.send_signal(signal.SIGINT)
                bar = b"never again"
    os.close(ours)
    assert process.wait(60) == 130
    assert b"req/s" in shown
    assert b"Throughput: " in shown


def test_a_fixed_schedule_is_sent_once(sink, tmp_path):
    path, export = tmp_path / "data.json", tmp_path / "e.json"
    steps = [{"INPUT0": [at] * 16, "timestamp": [at]} for at in (300, 0, 100, 200)]
    path.write_text(json.dumps({"data": steps}))
    before = sink.count()
    report = running.run(
        *at(sink), "--fixed-schedule", "--input-data", str(path), "--profile-export-file",
        str(export),
    )  # fmt: skip
    assert report.code == 0, report.err
    assert report.number("Request count") == sink.count() - before == 4
    requests = json.loads(export.read_text())["experiments"][0]["requests"]
    requests.sort(key=lambda each: each["timestamp"])
    assert [each["request_inputs"]["INPUT0"][0] for each in requests] == [0, 100, 200, 300]
    span = requests[-1]["timestamp"] - requests[0]["timestamp"]
    assert span == pytest.approx(300e6, rel=0.5)
