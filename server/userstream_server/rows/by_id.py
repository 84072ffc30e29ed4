"""Users by their ids."""

from collections.abc import Sequence
from contextlib import closing

from userstream_server.rows.session import Session, read_with_failover, refuse_change
from userstream_server.rows.sql import Query, by_id_query

__all__ = ["encoded_by_id"]


def encoded_by_id(
    session: Session, user_ids: Sequence[str], fields: tuple[str, ...]
) -> dict[str, bytes]:
    """Return users, each encoded as a field `users` of a message, by user_id; those that do not exist are left out.

    Args:
        session: Where to read.
        user_ids: Their ids.
        fields: What to read of each user.

    Raises:
        ConflictError: The table's key has changed, so ids that were not found may exist.
        UserStreamError: From the session.
    """
    ids = [user_id for user_id in dict.fromkeys(user_ids) if session.table.may_hold(user_id)]
    if not ids:
        return {}
    query = by_id_query(session.dialect, ids, fields)
    found = read_with_failover(session, lambda: _read(session, query))
    if not found.keys() >= set(ids):
        read_with_failover(session, lambda: refuse_change(session))
    return found


def _read(session: Session, query: Query) -> dict[str, bytes]:
    with closing(session.encoded(query, lambda: 1)) as blocks:
        return {block.last_user_id.decode("ascii"): block.users for block in blocks}
