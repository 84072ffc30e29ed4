"""The files of the repository that may appear on the site, and their pages."""

import subprocess
from functools import cache
from pathlib import Path

__all__ = ["ROOT", "files_in", "page_of_file", "page_of_folder"]

ROOT = Path(__file__).resolve().parents[2]
_LANGUAGES = {
    ".css": "css", ".csv": "text", ".go": "go", ".html": "html", ".java": "java", ".js": "javascript",
    ".json": "json", ".proto": "proto", ".py": "python", ".rb": "ruby", ".service": "ini", ".sh": "bash",
    ".sql": "sql", ".toml": "toml", ".ts": "typescript", ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip
_SHOWN_BYTES_MAX = 100_000
_SEARCH_OFF = "---\nsearch:\n  exclude: true\n---\n\n"


@cache
def _tracked() -> frozenset[str]:
    """Return what is committed or could be: never a secret that .gitignore names."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return frozenset(done.stdout.splitlines())


def files_in(folder: str) -> list[str]:
    """Return the files and, with a slash at the end, the folders in one of the repository's folders."""
    start = f"{folder}/"
    rest = (name.removeprefix(start) for name in _tracked() if name.startswith(start))
    return sorted({name.split("/")[0] + "/" * ("/" in name) for name in rest})


def page_of_folder(folder: str) -> str:
    """Return a page with a link to each file of a folder."""
    links = "\n".join(f"- [{name}]({name})" for name in files_in(folder))
    return f"{_SEARCH_OFF}# {folder}/\n\n{links}\n"


def page_of_file(name: str) -> str:
    """Return a page that shows a file; Markdown is a page already.

    Raises:
        FileNotFoundError: The file is not in the repository.
    """
    if name not in _tracked():
        raise FileNotFoundError(name)
    path = ROOT / name
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        text = "(not text)"
    if path.suffix == ".md":
        return text
    if len(text) > _SHOWN_BYTES_MAX:
        text = "(too long to be shown here)"
    language = _LANGUAGES.get(path.suffix, "text")
    return f"{_SEARCH_OFF}# {name}\n\n`````{language}\n{text.rstrip()}\n`````\n"
