"""The calls of this client through grpcio's channels, for `measure`."""

from __future__ import annotations

import tritonclient

from .measure import main
from .ours import Ours

if __name__ == "__main__":
    main(Ours(tritonclient.Grpcio()))
