#!/usr/bin/env python3
"""Create and fill user_data: scripts/seed.py --csv FILE | --rows N | --sample."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(os.environ.get("USERSTREAM_VENV") or ROOT / ".venv")
# Makes the environment if need be, then comes back to the caller's folder: its .env and files are meant.
AGAIN = 'cd "$1" && . scripts/_environment && use_environment runtime && cd "$2" && shift 2 && exec "$PYTHON" "$@"'

try:
    from userstream_server.seeding.command import main
except ModuleNotFoundError:
    if Path(sys.prefix).resolve() == VENV.resolve():
        raise  # this is the project's environment, and it is broken
    again = [__file__, *sys.argv[1:]]
    os.execvp("bash", ["bash", "-ec", AGAIN, "seed", str(ROOT), str(Path.cwd()), *again])  # noqa: S606

if __name__ == "__main__":
    main()
