"""Which driver reads the rows, for metrics and the log."""

from userstream_server.databases.database import Driver
from userstream_server.databases.mysql.connecting import DRIVER_VERSION, is_pure
from userstream_server.databases.mysql.native_rows import can_read_natively
from userstream_server.databases.options import DatabaseOptions

__all__ = ["driver_of"]


def driver_of(options: DatabaseOptions) -> Driver:
    """Return the driver that reads the rows, and what encodes them."""
    kind = "python" if is_pure(options) else "c"
    encoder = "c" if can_read_natively(options) else "python"
    return Driver("mysql", "mysql-connector-python", DRIVER_VERSION, kind, encoder)
