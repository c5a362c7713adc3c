"""The supervisor's process: ``python -m autoisp_cli.local STATE WORKERS``; ends with its standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from autoisp_cli.local.folder import StateFolder
from autoisp_cli.local.supervisor import Supervisor

if __name__ == "__main__":
    sys.exit(Supervisor(StateFolder(Path(sys.argv[1])), int(sys.argv[2])).run())
