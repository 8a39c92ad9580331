"""Fuzzes one target in this process: `python -m fuzzing.worker TARGET`, then libFuzzer's flags."""

from __future__ import annotations

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["tritonclient", "hpack"]):
    import fuzzing

    target = fuzzing.load(sys.argv.pop(1))

warnings.simplefilter("error")
atheris.Setup(sys.argv, target.check)
atheris.Fuzz()
