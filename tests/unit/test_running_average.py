"""What a running average says before it has found anybody."""

from userstream.v1 import user_service_pb2 as pb
from userstream_server.rpc.average_age import running_message
from userstream_server.rpc.tokens import Position
from userstream_server.rpc.validation import check_stream_average_age


def test_no_user_and_no_estimate_yet() -> None:
    """Progress is 0, not a division by zero: every row of the first range may be deleted meanwhile."""
    plan = check_stream_average_age(pb.StreamAverageAgeRequest())

    message = running_message(plan, Position(), fraction=0.0)

    assert (0, 0, 0.0) == (
        message.user_count,
        message.progress.users_sent,
        message.progress.fraction,
    )
    assert not message.HasField("average_age")
