"""Write protos/userstream/v1/conformance/ from the scenarios in client/userstream_conformance."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "protos"), str(ROOT / "client")]

from userstream_conformance.vectors import vectors  # noqa: E402

FOLDER = ROOT / "protos/userstream/v1/conformance"


def main() -> None:
    """Replace every file of the folder."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name, text in vectors().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
