"""The command line is read as getopt_long reads it, without its faults."""

from __future__ import annotations

import re

import pytest

from tritonclient.perf.exits import UsageError
from tritonclient.perf.options import parser
from tritonclient.perf.options.checks import check
from tritonclient.perf.options.parser import HELP, help_text, parse
from tritonclient.perf.options.settings import Settings
from tritonclient.perf.options.table import BY_SPELLING, OFFICIAL_LONG, OPTIONS
from tritonclient.perf.options.values import Range

#: Options of the official tool, from its help.
OFFICIAL = (
    "service-kind model-signature-name endpoint bls-composing-models async sync "
    "measurement-interval concurrency-range periodic-concurrency-range request-period "
    "request-rate-range request-distribution request-intervals serial-sequences binary-search "
    "num-of-sequences latency-threshold max-threads stability-percentage max-trials "
    "percentile request-count measurement-mode measurement-request-count input-data "
    "shared-memory output-shared-memory-size shape sequence-length sequence-length-variation "
    "sequence-id-range string-length string-data input-tensor-format output-tensor-format "
    "request-parameter streaming grpc-compression-algorithm trace-level trace-rate "
    "trace-count log-frequency collect-metrics metrics-url metrics-interval ssl-grpc-use-ssl "
    "ssl-grpc-root-certifications-file ssl-grpc-private-key-file "
    "ssl-grpc-certificate-chain-file ssl-https-verify-peer ssl-https-verify-host "
    "ssl-https-ca-certificates-file ssl-https-client-certificate-file "
    "ssl-https-client-certificate-type ssl-https-private-key-file ssl-https-private-key-type "
    "profile-export-file verbose-csv enable-mpi triton-server-directory model-repository "
    "data-directory warmup-request-count fixed-schedule session-concurrency grpc-method "
)
OFFICIAL_NAMES = OFFICIAL.split()


def settings(*arguments: str) -> Settings:
    found = parse(["-m", "model", *arguments])
    assert isinstance(found, Settings)
    return check(found, lambda text: None)


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_every_official_option_is_there(name):
    assert f"--{name}" in BY_SPELLING


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_own_options_make_no_official_abbreviation_ambiguous(name):
    """Every prefix that means one official option still means it."""
    for length in range(3, len(name) + 1):
        prefix = f"--{name[:length]}"
        matches = {BY_SPELLING[s].field for s in OFFICIAL_LONG if s.startswith(prefix)}
        if len(matches) > 1 or (prefix in BY_SPELLING and BY_SPELLING[prefix].own):
            continue
        option = BY_SPELLING[f"--{name}"]
        value = () if option.read is None else ("?",)
        try:
            found = parse([prefix, *value])
        except UsageError as error:
            assert "ambiguous" not in str(error)
            assert option.spellings[-1] in str(error) or f"--{name}" in str(error)
        else:
            assert isinstance(found, Settings)
            assert found.given == {option.field}


def test_values_may_be_attached():
    assert settings("-p2000").measurement_interval == 2000
    assert settings("-t5").load_range == Range(5)
    assert settings("--concurrency-range=1:4:2").load_range == Range(1, 4, 2)
    assert settings("--measurement-int", "200").measurement_interval == 200


def test_flags_may_be_bundled_and_the_last_value_wins():
    found = settings("-av", "-v", "-p", "1", "-p", "2")
    assert (found.asynchronous, found.verbose, found.measurement_interval) == (True, 2, 2)


def test_old_spellings_mean_the_same():
    assert settings("-t", "3", "-c", "9", "-l", "5").load_range == Range(3, 9, 1)
    assert settings("-z").input_data == ["zero"]
    assert settings("--data-directory", "folder").input_data == ["folder"]


def test_help_names_every_option_and_exit_code():
    text = help_text()
    for option in OPTIONS:
        for spelling in option.spellings:
            assert re.search(rf"(^|[ ,]){re.escape(spelling)}\b", text, re.MULTILINE) or (
                spelling == "-?"
            )
    assert parse(["-m", "x", "--help"]) == parse(["-h"]) == parse(["-?"]) == HELP
    assert "130" in text


REFUSED = [
    # arguments, what the message must name
    ((), "-m"),
    (("-m", "m", "--concurrency-range", "10x"), "'10x'"),
    (("-m", "m", "--concurrency-range", "0"), "above 0"),
    (("-m", "m", "--concurrency-range", "1:2:0"), "step"),
    (("-m", "m", "--concurrency-range", "1:2:3:4"), "4 parts"),
    (("-m", "m", "--concurrency-range", "1:0"), "-l"),
    (("-m", "m", "--concurrency-range", "99999999999999999999"), "--concurrency-range"),
    (("-m", "m", "--concurrency-range", "1:1000001"), "up to 1000000"),
    (("-m", "m", "--seed", str(2**63)), f"the largest is {2**63 - 1}"),
    (("-m", "m", "--request-rate-range", "nan"), "'nan'"),
    (("-m", "m", "--request-rate-range", "-1"), "'-1'"),
    (("-m", "m", "--percentile", "100"), "'100'"),
    (("-m", "m", "--percentile", "0"), "'0'"),
    (("-m", "m", "-p", "0"), "from 1"),
    (("-m", "m", "-b", "0"), "-b"),
    (("-m", "m", "-s", "-1"), "-s"),
    (("-m", "m", "--sync", "--async"), "--async"),
    (("-m", "m", "--streaming"), "-i grpc"),
    (("-m", "m", "--streaming", "--sync", "-i", "grpc"), "--sync"),
    (("-m", "m", "--service-kind", "dynamic_grpc"), "dynamic_grpc"),
    (("-m", "m", "--service-kind", "tfserving", "-i", "grpc"), "REST"),
    (("-m", "m", "--service-kind", "openai"), "--endpoint"),
    (("-m", "m", "--service-kind", "openai", "--endpoint", "x"), "--input-data"),
    (("-m", "m", "--service-kind", "torchserve"), "JSON"),
    (("-m", "m", "--service-kind", "triton_c_api"), "--model-repository"),
    (("-m", "m", "--metrics-url", "x"), "--collect-metrics"),
    (("-m", "m", "--binary-search", "-l", "5"), "--binary-search"),
    (("-m", "m", "--binary-search", "--concurrency-range", "1:8"), "-l"),
    (("-m", "m", "--concurrency-range", "1", "--request-rate-range", "1"), "together"),
    (("-m", "m", "--concurrency-range", "1", "-t", "1"), "old spellings"),
    (("-m", "m", "--concurrency-range", "4", "--request-count", "3"), "at least"),
    (("-m", "m", "--concurrency-range", "1:4", "--request-count", "30"), "single"),
    (("-m", "m", "--grpc-compression-algorithm", "gzip"), "--http-compression-algorithm"),
    (("-m", "m", "-i", "grpc", "--http-compression-algorithm", "gzip"), "--grpc-compression"),
    (("-m", "m", "--shape", "A"), "NAME:D1"),
    (("-m", "m", "--shape", "A:0"), "above 0"),
    (("-m", "m", "--shape", "A:1", "--shape", "A:2"), "twice"),
    (("-m", "m", "--request-parameter", "a:b:float"), "'float'"),
    (("-m", "m", "--request-parameter", "a:b:int"), "'b'"),
    (("-m", "m", "--periodic-concurrency-range", "1:4:2"), "divides"),
    (("-m", "m", "--periodic-concurrency-range", "1:3:2"), "--streaming"),
    (("-m", "m", "--sequence-id-range", "5:2"), "START"),
    (("-m", "m", "--request-intervals", "/nowhere"), "'/nowhere'"),
    (("-m", "m", "--profile-export-file", __file__), "not exist"),
    (("-m", "m", "--fixed-schedule"), "--input-data"),
    (("-m", "m", "--assert", "p99<20"), "unit"),
    (("-m", "m", "--assert", "p101<20ms"), "p99<20ms"),
    (("-m", "m", "--assert", "speed<1"), "throughput"),
    (("-m", "m", "--max-in-flight", "3"), "rate mode"),
    (("-m", "m", "--input-data", "zero", "--input-data", "random"), "again"),
    (("-m", "m", "--ssl-https-client-certificate-type", "DER"), "PEM"),
    (("-m", "m", "--enable-mpi", "--concurrency-range", "1:3"), "single"),
    (("-m", "m", "--nonsense"), "--nonsense"),
    (("-m", "m", "--conc-range", "3"), "--concurrency-range"),
    (("-m", "m", "--s", "3"), "ambiguous"),
    (("-m", "m", "stray"), "'stray'"),
    (("-m", "m", "--async=true"), "flag"),
    (("-m",), "-m"),
]


@pytest.mark.parametrize(("arguments", "named"), REFUSED, ids=lambda value: " ".join(value)[:60])
def test_refusals_name_what_is_wrong(arguments, named):
    with pytest.raises(UsageError) as caught:
        found = parse(list(arguments))
        assert isinstance(found, Settings)
        check(found, lambda text: None)
    assert named in str(caught.value)


def test_a_percentile_may_have_decimals():
    assert settings("--percentile", "99.9").percentile == 99.9


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (("--ssl-grpc-use-ssl",), "-i grpc"),
        (("-i", "grpc", "--ssl-grpc-root-certifications-file", __file__), "--ssl-grpc-use-ssl"),
        (("--ssl-https-verify-peer", "0"), "https://"),
        (("--model-repository", "."), "triton_c_api"),
        (("--trace-rate", "5"), "--trace-level"),
        (("--request-distribution", "poisson"), "--request-rate-range"),
        (("--verbose-csv",), "-f"),
        (("--measurement-request-count", "5"), "count_windows"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_options_without_effect_are_named(arguments, needed):
    warnings: list[str] = []
    found = parse(["-m", "m", *arguments])
    assert isinstance(found, Settings)
    check(found, warnings.append)
    (line,) = warnings
    assert " has no effect without " in line
    assert needed in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("-i", "grpc", "--ssl-grpc-use-ssl", "--ssl-grpc-root-certifications-file", __file__),
        ("-u", "https://x", "--ssl-https-verify-peer", "0"),
        ("--trace-level", "TIMESTAMPS", "--trace-rate", "5"),
        ("--request-rate-range", "5", "--request-distribution", "poisson"),
        ("--verbose-csv", "-f", "nowhere.csv"),
    ],
    ids=str,
)
def test_options_with_effect_are_not_warned_of(arguments):
    warnings: list[str] = []
    found = parse(["-m", "m", *arguments])
    assert isinstance(found, Settings)
    check(found, warnings.append)
    assert warnings == []


def test_warnings_for_what_is_odd_but_allowed():
    warnings: list[str] = []
    found = parse(["-m", "m", "--concurrency-range", "4:2", "--sequence-length", "0"])
    assert isinstance(found, Settings)
    found = check(found, warnings.append)
    assert found.load_range.single
    assert found.sequence_length == 20
    assert len(warnings) == 2


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--header", "--header is not an option; here it is -H"),
        ("--model", None),  # an abbreviation that is ambiguous
        ("--threads", "here it is --concurrency-range"),
        ("--model-version", "here it is -x"),
        ("--concurency-range", "did you mean --concurrency-range?"),
        ("--nonsense", "is not an option; see --help"),
    ],
)
def test_options_of_common_habit(option: str, words: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse(["-m", "model", option, "1"])
    assert (words or "is ambiguous: it may mean --model-") in str(caught.value)


def test_all_that_habits_name_are_options() -> None:
    assert {each.split(",")[0] for each in parser._HABITS.values()} <= set(BY_SPELLING)
