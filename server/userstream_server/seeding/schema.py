"""The statements that create the table."""

from importlib.resources import files

__all__ = ["schema"]


def schema(name: str) -> str:
    """Return the statement of a schema file beside this module, such as `schema.sql`."""
    return files("userstream_server.seeding").joinpath(name).read_text(encoding="utf-8")
