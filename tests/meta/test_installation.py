"""The distribution: its version, its extras, and folders in which two packages are mixed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import tritonclient
from tritonclient.extras import PACKAGES, install_command

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "wanted", [">=2.40,<3", "==2.73.0", "~=2.50", ">=2.34", ">=2.48,<3", "[all]>=2.42", "~=2.73.0"]
)
def test_requirements_of_other_packages_are_met(wanted: str) -> None:
    assert tritonclient.__version__ in Requirement(f"tritonclient{wanted}").specifier


def test_the_version_has_two_parts() -> None:
    version = Version(tritonclient.__version__)
    assert re.fullmatch(r"2\.\d+\.\d+", version.public)
    assert version.local is not None
    assert re.fullmatch(r"\d+\.\d+\.\d+", version.local)
    assert f"## [{version.local}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("pom", ["java/pom.xml", "java/grpc/pom.xml"])
def test_the_jars_have_the_public_part(pom: str) -> None:
    text = (ROOT / pom).read_text()
    artifact = text.index("<artifactId>java-")
    version = re.search("<version>(.*?)</version>", text[artifact:])
    assert version is not None
    assert version[1] == Version(tritonclient.__version__).public


def requirements(extra: str) -> set[str]:
    """Return the names of the packages that an extra installs."""
    names = set()
    for text in metadata.requires("tritonclient") or ():
        requirement = Requirement(text)
        if requirement.marker is None or not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == "tritonclient":
            for inner in requirement.extras:
                names |= requirements(inner)
        else:
            extras = ",".join(sorted(requirement.extras))
            names.add(requirement.name.lower() + (f"[{extras}]" if extras else ""))
    return names


@pytest.mark.parametrize("extra", PACKAGES)
def test_messages_name_the_packages_of_an_extra(extra: str) -> None:
    assert set(PACKAGES[extra]) == requirements(extra)
    assert "tritonclient" not in install_command(extra)


def test_extras_have_lower_bounds_only() -> None:
    for text in metadata.requires("tritonclient") or ():
        specifiers = Requirement(text).specifier
        assert {specifier.operator for specifier in specifiers} <= {">="}, text


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package, to be spoilt."""
    source = Path(tritonclient.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, tmp_path / "tritonclient", ignore=ignored)
    return tmp_path


def error_of(folder: Path, statement: str) -> str:
    script = f"import sys; sys.path.insert(0, {str(folder)!r}); {statement}"
    command = [sys.executable, "-E", "-s", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@pytest.mark.parametrize(
    "statement",
    [
        "import tritonclient.server",
        "import tritonclient.grpc",
        "import tritonclient.http.aio",
        "from tritonclient.cli import main; main(['--version'])",
    ],
)
def test_a_package_that_was_overwritten_says_so(copied: Path, statement: str) -> None:
    assert error_of(copied, statement) == ""
    (copied / "tritonclient/__init__.py").write_text("")
    error = error_of(copied, statement)
    assert error.startswith("ImportError: ")
    assert "another one has overwritten" in error
    assert "pip uninstall tritonclient" in error


@pytest.mark.parametrize("name", ["shared_memory", "cuda_shared_memory"])
def test_folders_of_the_official_client_are_named(copied: Path, name: str) -> None:
    (copied / "tritonclient/utils" / name).mkdir()
    error = error_of(copied, "import tritonclient")
    assert error.startswith("ImportError: ")
    assert f"utils/{name}/ belongs to another distribution" in error
    assert "pip uninstall tritonclient" in error


def test_the_specifiers_of_this_test_can_fail() -> None:
    assert tritonclient.__version__ not in SpecifierSet(">=3")
