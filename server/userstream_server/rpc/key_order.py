"""Tokens and partitions against the table as it is: the same order of keys, and keys that lie where they say.

A key in a token means "all that come after it", which depends on the order. Only the database compares
keys, because only it knows their collation.
"""

from userstream.v1 import user_service_pb2 as pb

from userstream_server.errors import PreconditionError
from userstream_server.rows.generators import Users
from userstream_server.rows.table import Table
from userstream_server.rpc.tokens import KeyRange, Position, invalid_token
from userstream_server.rpc.validation import StreamPlan

__all__ = ["check_keys", "check_order", "key_order"]


def key_order(table: Table) -> pb.KeyOrder.ValueType:
    """Return what messages say of the order."""
    return pb.KEY_ORDER_UNSPECIFIED if table.is_bytewise else pb.KEY_ORDER_COLLATION


def check_order(users: Users, field: str, made: Position | KeyRange) -> None:
    """Check that a token or partition was made for the order that the table has.

    Args:
        users: Where to read.
        field: The request's field that holds it.
        made: What it says; without a key it goes with any order.

    Raises:
        PreconditionError: The order has changed.
        InvalidRequestError: Forged: a key is no UUID where all are.
    """
    if made != type(made)() and made.order != users.table.order:
        raise PreconditionError(
            "KEY_ORDER_CHANGED",
            "The collation or type of user_id was changed after this token or partition was made, and rows would be"
            " missing behind it. Begin again without it.",
        )
    keys = [made.after, *([made.up_to] if isinstance(made, KeyRange) else [])]
    if not all(key is None or users.table.may_hold(key) for key in keys):
        raise invalid_token(field, "not one of this table")


def check_keys(users: Users, plan: StreamPlan) -> None:
    """Check a stream's token and partition.

    Raises:
        PreconditionError: The order has changed.
        InvalidRequestError: Forged: the partition's bounds do not ascend, or the token's key is outside.
    """
    keys, last = plan.keys, plan.position.after
    check_order(users, "partition", keys)
    check_order(users, "resume_token", plan.position)
    if (keys.after, keys.up_to) == (None, None) or users.holds(keys.after, last, keys.up_to):
        return
    if last is None:
        raise invalid_token("partition", "not a partition; take one from PartitionUsers")
    raise invalid_token("resume_token", "not a token of this partition")
