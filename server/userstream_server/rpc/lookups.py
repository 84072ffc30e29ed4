"""Users by their ids, in the order in which they were asked for."""

from userstream.v1 import user_service_pb2 as pb

from userstream_server.call_stats import current_call_stats
from userstream_server.rows import encoding
from userstream_server.rows.generators import Users
from userstream_server.rpc.validation import LookupPlan

__all__ = ["look_up"]


def look_up(users: Users, plan: LookupPlan) -> bytes:
    """Return a serialized response with a plan's users, and with the ids that no user has.

    An id is compared byte by byte here: the key's collation may take another one for the same.

    Args:
        users: Where to read.
        plan: Whom to read.
    """
    wanted = plan.user_ids
    found = users.encoded_by_id(wanted, plan.scan.fields)
    sent = [found[user_id] for user_id in wanted if user_id in found]
    missing = [user_id for user_id in wanted if user_id not in found]
    current_call_stats().rows += len(sent)
    return encoding.message(b"".join(sent), pb.BatchGetUsersResponse(missing_user_ids=missing))
