"""`python -m tests.classic.record`: write what the official client's names are, once for all."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.classic import describe
from tests.support.servers.official import VERSION, ensure_official

SIGNATURES = Path(__file__).with_name("signatures.json")
NAMES = Path(__file__).with_name("names.json")


def main() -> None:
    """Write both files anew, from the official client's environment."""
    command = (str(ensure_official()), "-E", "-s", str(Path(describe.__file__)))
    for file, arguments in ((SIGNATURES, ()), (NAMES, ("names",))):
        done = subprocess.run((*command, *arguments), stdout=subprocess.PIPE, text=True, check=True)
        file.write_text(done.stdout + "\n")
        print(f"wrote the names of tritonclient {VERSION} to {file}")


if __name__ == "__main__":
    main()
