"""`make test-all`: the tests under every Python that this machine has.

These are the interpreters on PATH and those that pyenv keeps, from the oldest that the package
supports on. What follows `--` is passed to pytest.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import nox

OLDEST = 10  # of Python 3
NEWEST = 30
_QUESTION = "import json, sys; print(json.dumps([sys.executable, *sys.version_info[1:3]]))"

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"


def interpreters() -> dict[str, str]:
    """Return an interpreter for each version of Python that is here, such as "3.10"."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        path
        for minor in range(OLDEST, NEWEST)
        for path in (
            shutil.which(f"python3.{minor}"),
            *pyenv.glob(f"versions/3.{minor}.*/bin/python"),
        )
        if path
    ]
    found = sorted(answer for path in candidates if (answer := _examined(str(path))))
    return {f"3.{minor}": executable for minor, micro, executable in found}  # the last one is kept


def _examined(candidate: str) -> tuple[int, int, str] | None:
    """Return the version and the path of an interpreter.

    None if it does not run: the shims of pyenv stand also for versions that are switched off.
    """
    done = subprocess.run([candidate, "-I", "-c", _QUESTION], capture_output=True, text=True)
    if done.returncode:
        return None
    executable, minor, micro = json.loads(done.stdout)
    return minor, micro, executable


def tests(session: nox.Session) -> None:
    """Run the tests; packages are those of the group "test"."""
    session.install("--upgrade", "pip")  # --group needs 25.1
    session.install("--editable", ".", "--group", "test")
    session.run("python", "-m", "pytest", *session.posargs)


for version, executable in interpreters().items():
    nox.session(tests, name=f"tests-{version}", python=executable)
