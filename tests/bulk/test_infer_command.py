"""`tritonclient infer`: formats, exit codes, and jobs that end early and are resumed."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.parquet
import pytest

import tritonclient as tc
from tests.server.conftest import MODELS
from tests.support.waiting import eventually
from tritonclient.bulk import parts
from tritonclient.cli import main
from tritonclient.server import Server
from tritonclient.testing import FaultServer

PIXELS = ("--map", "IMAGE=p0..p63")
Array = np.ndarray[Any, Any]


@pytest.fixture
def source(table: pa.Table, tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    pyarrow.parquet.write_table(table, path)
    return path


def infer(server: FaultServer, source: Path, output: Path, *arguments: str) -> int:
    given = ["-m", "digits", "-i", str(source), "-o", str(output), "-u", server.http_url]
    return main(["infer", *given, *PIXELS, *arguments])


def read_back(path: Path) -> tuple[list[Any], Array]:
    """The ids and results of an output of any format."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            assert set(arrays["error"]) <= {""}
            return list(arrays["id"]), arrays["PROBABILITIES"]
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == ["id", *(f"PROBABILITIES_{i}" for i in range(10)), "error"]
        names = [f"PROBABILITIES_{i}" for i in range(10)]
        results = np.array([[float(row[name]) for name in names] for row in rows])
        return [int(row["id"]) for row in rows], results
    if path.suffix == ".jsonl":
        table = pa.Table.from_pylist([json.loads(line) for line in path.read_text().splitlines()])
    elif path.suffix == ".arrow":
        table = pyarrow.feather.read_table(path)
    else:
        table = pyarrow.parquet.read_table(path)
    assert table["error"].null_count == table.num_rows
    return table["id"].to_pylist(), np.array(table["PROBABILITIES"].to_pylist())


FORMATS = ["parquet", "csv", "jsonl", "arrow", "npz"]


@pytest.mark.parametrize("form", FORMATS)
def test_one_file(
    form: str, server: FaultServer, source: Path, wanted: Array, tmp_path: Path
) -> None:
    output = tmp_path / f"out.{form}"
    assert infer(server, source, output, "--keep", "id") == 0
    ids, results = read_back(output)
    assert ids == list(range(300))
    np.testing.assert_allclose(results, wanted, 1e-4, 1e-5)
    assert sorted(os.listdir(tmp_path)) == ["in.parquet", f"out.{form}"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_folder_of_parts(
    form: str,
    server: FaultServer,
    source: Path,
    wanted: Array,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parts, "PART_ROWS", 1)  # each batch that comes is a part
    output = tmp_path / "results"
    assert infer(server, source, output, "--keep", "id", "--output-format", form) == 0
    names = sorted(name for name in os.listdir(output) if name != "_job.json")
    row, results = 0, []
    for name in names:
        first, last = map(int, name.split(".")[0].split("-")[1:])
        ids, found = read_back(output / name)
        assert ids == list(range(first, last + 1))
        assert first == row
        row = last + 1
        results.append(found)
    np.testing.assert_allclose(np.concatenate(results), wanted, 1e-4, 1e-5)
    # There is nothing left to do, and it is said that this is so.
    assert infer(server, source, output, "--keep", "id", "--output-format", form, "--resume") == 0
    assert sorted(name for name in os.listdir(output) if name != "_job.json") == names


def test_npy(server: FaultServer, source: Path, wanted: Array, tmp_path: Path) -> None:
    assert infer(server, source, tmp_path / "out.npy") == 0
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), wanted, 1e-4, 1e-5)
    assert infer(server, source, tmp_path / "out2.npy", "--keep", "id") == 2
    assert infer(server, source, tmp_path / "folder", "--output-format", "npy") == 2


def test_what_is_written_can_be_an_input(server: FaultServer, source: Path, tmp_path: Path) -> None:
    """A CSV's NAME_0 to NAME_9 are the input NAME again."""
    for form in ("csv", "jsonl", "arrow", "npz"):
        assert infer(server, source, tmp_path / f"out.{form}") == 0
        again = ["-m", "echo_probabilities", "-i", str(tmp_path / f"out.{form}")]
        assert (
            main(["infer", *again, "-o", str(tmp_path / f"again.{form}"), "-u", server.http_url])
            == 0
        )


@pytest.fixture
def spoilt(table: pa.Table, tmp_path: Path) -> Path:
    """A file in which rows 10 and 200 have a null."""
    values = table["p5"].to_pylist()
    values[10] = values[200] = None
    path = tmp_path / "spoilt.parquet"
    index = table.column_names.index("p5")
    pyarrow.parquet.write_table(table.set_column(index, "p5", pa.array(values)), path)
    return path


def test_rows_that_fail(
    server: FaultServer, spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.parquet"
    assert infer(server, spoilt, output, "--keep", "all") == 1
    assert "300 rows, 2 failed (see the column 'error')" in capsys.readouterr().err
    errors = pyarrow.parquet.read_table(output)["error"].to_pylist()
    assert [row for row, error in enumerate(errors) if error] == [10, 200]
    assert errors[10] == "spoilt.parquet, row 10: column 'p5' is null"
    assert infer(server, spoilt, output, "--overwrite", "--max-errors", "2") == 1


def test_max_errors_ends_early(
    server: FaultServer, spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.parquet"
    assert infer(server, spoilt, output, "--max-errors", "0", "--json") == 4
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["status"], last["exit"]) == ("too many errors", 4)
    assert not output.exists()
    assert infer(server, spoilt, output, "--resume") == 1
    assert pyarrow.parquet.read_table(output).num_rows == 300


def test_json(
    server: FaultServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(server, source, tmp_path / "out.csv", "--json") == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["status"] == "done"
    assert (last["rows"], last["errors"], last["exit"]) == (300, 0, 0)
    assert last["rows_per_second"] > 0


def test_output_that_is_there(
    server: FaultServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.csv"
    output.write_text("precious")
    assert infer(server, source, output) == 2
    assert "is there already; replace it with --overwrite" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert infer(server, source, output, "--overwrite") == 0
    assert output.read_text().startswith('"PROBABILITIES_0"')
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("precious")
    assert infer(server, source, tmp_path / "folder", "--overwrite") == 2
    assert "is not empty" in capsys.readouterr().err


BAD = [
    (("--map", "IMAGE"), "is not INPUT=COLUMN"),
    (("--map", "X=a"), "no input 'X'"),
    (("--outputs", "P"), "no output 'P'"),
    (("--keep", "nothing"), "no column 'nothing'"),
    (("--batch-size", "1000"), "at most 64 rows"),
    (("--model-version", "7"), "version 7"),
    (("-i", "nowhere.csv"), "no file or folder 'nowhere.csv'"),
    (("--output-format", "csv"), "is a parquet file, and the format is csv"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: str(value)[:30])
def test_bad_usage(
    arguments: tuple[str, ...],
    message: str,
    server: FaultServer,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        status = infer(server, source, tmp_path / "out.parquet", *arguments)
    except SystemExit as error:
        status = int(str(error.code))
    assert status == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["in.parquet"]


@pytest.mark.parametrize("suffix", [".xlsx", ".json", ".tsv"])
def test_formats_that_are_none_of_ours(
    suffix: str,
    server: FaultServer,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / f"out{suffix}"
    assert infer(server, source, output) == 2
    told = capsys.readouterr().err
    assert f"out{suffix}' is a {suffix} file, expected one of .parquet, .pq, .csv" in told
    assert os.listdir(tmp_path) == ["in.parquet"]
    output.mkdir()
    assert infer(server, source, output) == 0
    table = tmp_path / f"in{suffix}"
    table.write_text("a;b\n1;2\n")
    assert infer(server, table, tmp_path / "out.parquet") == 2
    assert f"in{suffix}' is a {suffix} file, expected one of" in capsys.readouterr().err


def test_a_table_that_commas_do_not_separate(
    server: FaultServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "in.csv"
    table.write_text("p0;p1\n1;2\n")
    assert infer(server, table, tmp_path / "out.parquet") == 2
    assert "it is separated by ';', expected commas" in capsys.readouterr().err


def test_unwritable_output(
    server: FaultServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert infer(server, source, tmp_path / "no" / "folder" / "out.csv") == 5
    assert "there is no folder" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert infer(server, source, tmp_path / "out.csv.gz") == 2


def test_no_server(
    source: Path, tmp_path: Path, server: FaultServer, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["-m", "digits", "-i", str(source), "-o", str(tmp_path / "out.csv"), *PIXELS]
    assert main(["infer", *given, "-u", "http://127.0.0.1:9"]) == 3
    assert "127.0.0.1:9" in capsys.readouterr().err


def test_resuming_another_job(
    server: FaultServer,
    spoilt: Path,
    table: pa.Table,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    output = tmp_path / "out"
    assert infer(server, spoilt, output, "--max-errors", "0") == 4
    assert infer(server, spoilt, output) == 2
    assert "go on with it (--resume), or start anew (--overwrite)" in capsys.readouterr().err
    assert infer(server, spoilt, output, "--keep", "id", "--resume") == 2
    assert "parts of another job: keep was null" in capsys.readouterr().err
    assert infer(server, spoilt, output, "--resume", "--map", "IMAGE=p0..p63") == 2
    pyarrow.parquet.write_table(table, spoilt)
    assert infer(server, spoilt, output, "--resume") == 2
    assert "input was" in capsys.readouterr().err
    assert infer(server, spoilt, output, "--overwrite") == 0
    assert pyarrow.dataset.dataset(output).count_rows() == 300


def test_two_processes_on_one_output(
    server: FaultServer, spoilt: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    output = tmp_path / "out"
    assert infer(server, spoilt, output, "--max-errors", "0") == 4
    with open(output / "_job.json", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert infer(server, spoilt, output, "--resume") == 5
    assert "another process writes to" in capsys.readouterr().err


# The command as a process: killed, interrupted, without a disk or a server

ROWS = 3000


@pytest.fixture(scope="module")
def many(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "many.parquet"
    rows = pa.concat_tables([table] * (ROWS // 300))
    index = rows.column_names.index("id")
    rows = rows.set_column(index, "id", pa.array(range(ROWS)))
    pyarrow.parquet.write_table(rows, path, row_group_size=500)
    return path


SMALL_PARTS = "from tritonclient.bulk import parts; parts.PART_ROWS = 200; "
SMALL_BLOCKS = "from tritonclient.bulk import plan; plan._BLOCK_BYTES = 30_000; "
RUN = "import sys; from tritonclient.cli import main; sys.exit(main(sys.argv[1:]))"


def command(url: str, source: Path, output: Path, *arguments: str, before: str = "") -> list[str]:
    program = before + SMALL_PARTS + SMALL_BLOCKS + RUN
    given = ["-m", "digits", "-i", str(source), "-o", str(output), "-u", url, "--keep", "id"]
    return [sys.executable, "-c", program, "infer", *given, *PIXELS, *arguments]


def check_rows(output: Path, wanted: Array) -> None:
    form = "arrow" if output.suffix == ".arrow" else "parquet"
    table = pyarrow.dataset.dataset(output, format=form).to_table()
    assert table["id"].to_pylist() == list(range(ROWS))
    assert table["error"].null_count == ROWS
    results = np.array(table["PROBABILITIES"].to_pylist())
    np.testing.assert_allclose(results, np.tile(wanted, (ROWS // 300, 1)), 1e-4, 1e-5)


def kill_and_resume(
    url: str, many: Path, output: Path, wanted: Array, kills: int, seed: int
) -> None:
    """Kill the command at random moments, resume it as often, and look at what it wrote."""
    rng = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(
            command(url, many, output, "--resume", "--batch-size", "4", "--concurrency", "2"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        moment = rng.random()
        if moment < 0.2:
            pause = rng.uniform(0, 1)  # also while it starts
        else:
            wait_for_job(output, process)
            pause = rng.uniform(0, 0.5)
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            process.kill()
        _, errors = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
    done = subprocess.run(command(url, many, output, "--resume"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    check_rows(output, wanted)


def wait_for_job(output: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the command has begun to write, or has ended."""
    folder = output if output.suffix == "" else Path(f"{output}.parts")
    eventually(lambda: (folder / "_job.json").exists() or process.poll() is not None, 60)


@pytest.mark.parametrize("name", ["out.parquet", "folder"])
def test_killed_and_resumed(
    name: str, server: FaultServer, many: Path, wanted: Array, tmp_path: Path
) -> None:
    kill_and_resume(server.http_url, many, tmp_path / name, wanted, kills=4, seed=len(name))


@pytest.mark.long
@pytest.mark.parametrize("name", ["out.parquet", "folder"])
def test_killed_and_resumed_often(
    name: str, server: FaultServer, many: Path, wanted: Array, tmp_path: Path
) -> None:
    for run in range(5):
        folder = tmp_path / str(run)
        folder.mkdir()
        kill_and_resume(server.http_url, many, folder / name, wanted, kills=5, seed=run)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(
    number: signal.Signals, server: FaultServer, many: Path, wanted: Array, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    process = subprocess.Popen(
        command(server.http_url, many, output, "--batch-size", "1", "--concurrency", "1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    folder = Path(f"{output}.parts")
    eventually(lambda: (folder / "_job.json").exists() and len(os.listdir(folder)) > 1, 60)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert "finishing what is in flight" in errors
    kept = int(errors.split(" rows are kept")[0].split()[-1])
    assert 0 < kept < ROWS
    assert not [name for name in os.listdir(folder) if name.endswith(".tmp")]
    done = subprocess.run(
        command(server.http_url, many, output, "--resume"), capture_output=True, text=True
    )
    assert f"resuming after {kept} rows" in done.stderr
    assert done.returncode == 0
    check_rows(output, wanted)


@pytest.mark.parametrize("form", ["arrow", "csv"])
def test_disk_full(
    form: str, server: FaultServer, many: Path, wanted: Array, tmp_path: Path
) -> None:
    """A limit on the size of files stands for a disk that is full."""
    output = tmp_path / f"out.{form}"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
    full = subprocess.run(
        command(server.http_url, many, output, before=limit), capture_output=True, text=True
    )
    assert full.returncode == 5, full.stderr
    assert "can't be written: File too large" in full.stderr
    assert f"{ROWS} rows are kept" in full.stderr  # the parts fit, the whole does not
    assert not output.exists()
    done = subprocess.run(
        command(server.http_url, many, output, "--resume"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    if form == "arrow":
        check_rows(output, wanted)


def test_a_part_that_can_not_be_written(
    server: FaultServer, many: Path, wanted: Array, tmp_path: Path
) -> None:
    output = tmp_path / "folder"
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)); "
    full = subprocess.run(
        command(server.http_url, many, output, before=limit), capture_output=True, text=True
    )
    assert full.returncode == 5, full.stderr
    assert "'--resume'" not in full.stderr
    assert os.listdir(output) == ["_job.json"]
    done = subprocess.run(
        command(server.http_url, many, output, "--resume"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    check_rows(output, wanted)


# Servers that go away


def start_server(port: int) -> Server:
    server = Server(MODELS, http_port=port, model_control_mode="explicit", load_models=["digits"])
    server.start()
    return server


def stopped_in_the_middle(output: Path, many: Path, *arguments: str) -> Iterator[int]:
    """Run the command, stop its server in the middle, and yield the port; then yield the status."""
    server = start_server(0)
    port = server.http_port
    slow = ("--batch-size", "1", "--concurrency", "2")
    process = subprocess.Popen(
        command(f"http://127.0.0.1:{port}", many, output, *slow, *arguments),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: bool(list(output.glob("part-*"))) or process.poll() is not None, 60)
    finally:
        server.stop()
    yield port
    _, errors = process.communicate()
    assert "waiting for the server: " in errors
    yield process.returncode


def test_a_server_that_restarts(many: Path, wanted: Array, tmp_path: Path) -> None:
    run = stopped_in_the_middle(tmp_path / "out", many)
    server = start_server(next(run))
    try:
        assert next(run) == 0
    finally:
        server.stop()
    check_rows(tmp_path / "out", wanted)


def test_a_server_that_is_gone(many: Path, wanted: Array, tmp_path: Path) -> None:
    run = stopped_in_the_middle(tmp_path / "out", many, "--patience", "0.5")
    next(run)
    assert next(run) == 3
    assert 0 < pyarrow.dataset.dataset(tmp_path / "out").count_rows() < ROWS
    server = start_server(0)
    try:
        done = subprocess.run(command(server.http_url, many, tmp_path / "out", "--resume"))
    finally:
        server.stop()
    assert done.returncode == 0
    check_rows(tmp_path / "out", wanted)


@pytest.mark.parametrize(
    "error", [tc.Unavailable("busy"), tc.ResourceExhausted("busy"), tc.DeadlineExceeded("late")]
)
def test_errors_that_pass(
    error: tc.InferenceServerException,
    server: FaultServer,
    source: Path,
    tmp_path: Path,
) -> None:
    server.fail_next("digits", error, times=2)
    assert infer(server, source, tmp_path / "out.parquet") == 0
    assert not server.pending_faults


def test_lost_connections(server: FaultServer, source: Path, tmp_path: Path) -> None:
    server.drop_next("digits", times=3)
    assert infer(server, source, tmp_path / "out.parquet") == 0
    server.clear()


def test_access_that_is_denied(
    server: FaultServer, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.fail_next("digits", tc.PermissionDenied("expired"), times=50)
    assert infer(server, source, tmp_path / "out.parquet") == 3
    server.clear()
    assert "the server denies access: [403] expired" in capsys.readouterr().err


def test_results_that_are_not_what_was_promised(
    server: FaultServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.ones(4, np.float32))
    given = ["-m", "total", "-i", str(tmp_path / "x.npy"), "-u", server.http_url]
    output = tmp_path / "out.parquet"
    assert main(["infer", *given, "-o", str(output), "--batch-size", "4"]) == 1
    errors = pyarrow.parquet.read_table(output)["error"].to_pylist()
    assert len(errors) == 4
    assert all("the shape [1]" in error for error in errors)
