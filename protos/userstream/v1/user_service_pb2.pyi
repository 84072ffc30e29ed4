from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Consistency(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CONSISTENCY_UNSPECIFIED: _ClassVar[Consistency]
    CONSISTENCY_LIVE: _ClassVar[Consistency]
    CONSISTENCY_SNAPSHOT: _ClassVar[Consistency]
CONSISTENCY_UNSPECIFIED: Consistency
CONSISTENCY_LIVE: Consistency
CONSISTENCY_SNAPSHOT: Consistency

class User(_message.Message):
    __slots__ = ("user_id", "name", "email", "age")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    name: str
    email: str
    age: int
    def __init__(self, user_id: _Optional[str] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., age: _Optional[int] = ...) -> None: ...

class UserFilter(_message.Message):
    __slots__ = ("age_over", "age_up_to", "name_prefix", "email_domain")
    AGE_OVER_FIELD_NUMBER: _ClassVar[int]
    AGE_UP_TO_FIELD_NUMBER: _ClassVar[int]
    NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    EMAIL_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    age_over: int
    age_up_to: int
    name_prefix: str
    email_domain: str
    def __init__(self, age_over: _Optional[int] = ..., age_up_to: _Optional[int] = ..., name_prefix: _Optional[str] = ..., email_domain: _Optional[str] = ...) -> None: ...

class StreamProgress(_message.Message):
    __slots__ = ("users_sent", "estimated_users", "fraction")
    USERS_SENT_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_USERS_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    users_sent: int
    estimated_users: int
    fraction: float
    def __init__(self, users_sent: _Optional[int] = ..., estimated_users: _Optional[int] = ..., fraction: _Optional[float] = ...) -> None: ...

class StreamReceipt(_message.Message):
    __slots__ = ("user_count", "user_id_crc32", "consistency", "resumed_count")
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    USER_ID_CRC32_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    RESUMED_COUNT_FIELD_NUMBER: _ClassVar[int]
    user_count: int
    user_id_crc32: int
    consistency: Consistency
    resumed_count: int
    def __init__(self, user_count: _Optional[int] = ..., user_id_crc32: _Optional[int] = ..., consistency: _Optional[_Union[Consistency, str]] = ..., resumed_count: _Optional[int] = ...) -> None: ...

class StreamUsersRequest(_message.Message):
    __slots__ = ("filter", "resume_token", "partition", "limit", "max_users_per_message", "consistency")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MAX_USERS_PER_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    filter: UserFilter
    resume_token: str
    partition: str
    limit: int
    max_users_per_message: int
    consistency: Consistency
    def __init__(self, filter: _Optional[_Union[UserFilter, _Mapping]] = ..., resume_token: _Optional[str] = ..., partition: _Optional[str] = ..., limit: _Optional[int] = ..., max_users_per_message: _Optional[int] = ..., consistency: _Optional[_Union[Consistency, str]] = ...) -> None: ...

class StreamUsersResponse(_message.Message):
    __slots__ = ("users", "resume_token", "progress", "receipt")
    USERS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    resume_token: str
    progress: StreamProgress
    receipt: StreamReceipt
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., resume_token: _Optional[str] = ..., progress: _Optional[_Union[StreamProgress, _Mapping]] = ..., receipt: _Optional[_Union[StreamReceipt, _Mapping]] = ...) -> None: ...

class BatchUsersRequest(_message.Message):
    __slots__ = ("batch_size", "filter", "resume_token", "partition", "limit", "consistency")
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    batch_size: int
    filter: UserFilter
    resume_token: str
    partition: str
    limit: int
    consistency: Consistency
    def __init__(self, batch_size: _Optional[int] = ..., filter: _Optional[_Union[UserFilter, _Mapping]] = ..., resume_token: _Optional[str] = ..., partition: _Optional[str] = ..., limit: _Optional[int] = ..., consistency: _Optional[_Union[Consistency, str]] = ...) -> None: ...

class BatchUsersResponse(_message.Message):
    __slots__ = ("users", "resume_token", "progress", "receipt")
    USERS_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    resume_token: str
    progress: StreamProgress
    receipt: StreamReceipt
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., resume_token: _Optional[str] = ..., progress: _Optional[_Union[StreamProgress, _Mapping]] = ..., receipt: _Optional[_Union[StreamReceipt, _Mapping]] = ...) -> None: ...

class PaginateRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "offset", "page_limit", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    PAGE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    offset: int
    page_limit: int
    filter: UserFilter
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., offset: _Optional[int] = ..., page_limit: _Optional[int] = ..., filter: _Optional[_Union[UserFilter, _Mapping]] = ...) -> None: ...

class PaginateResponse(_message.Message):
    __slots__ = ("users", "next_page_token", "page_number")
    USERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAGE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    users: _containers.RepeatedCompositeFieldContainer[User]
    next_page_token: str
    page_number: int
    def __init__(self, users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., page_number: _Optional[int] = ...) -> None: ...

class AverageAgeRequest(_message.Message):
    __slots__ = ("filter", "include_histogram")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    filter: UserFilter
    include_histogram: bool
    def __init__(self, filter: _Optional[_Union[UserFilter, _Mapping]] = ..., include_histogram: _Optional[bool] = ...) -> None: ...

class AverageAgeResponse(_message.Message):
    __slots__ = ("average_age", "user_count", "age_sum", "histogram")
    AVERAGE_AGE_FIELD_NUMBER: _ClassVar[int]
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGE_SUM_FIELD_NUMBER: _ClassVar[int]
    HISTOGRAM_FIELD_NUMBER: _ClassVar[int]
    average_age: float
    user_count: int
    age_sum: int
    histogram: _containers.RepeatedCompositeFieldContainer[AgeCount]
    def __init__(self, average_age: _Optional[float] = ..., user_count: _Optional[int] = ..., age_sum: _Optional[int] = ..., histogram: _Optional[_Iterable[_Union[AgeCount, _Mapping]]] = ...) -> None: ...

class AgeCount(_message.Message):
    __slots__ = ("age", "user_count")
    AGE_FIELD_NUMBER: _ClassVar[int]
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    age: int
    user_count: int
    def __init__(self, age: _Optional[int] = ..., user_count: _Optional[int] = ...) -> None: ...

class StreamAverageAgeRequest(_message.Message):
    __slots__ = ("filter", "resume_token")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    filter: UserFilter
    resume_token: str
    def __init__(self, filter: _Optional[_Union[UserFilter, _Mapping]] = ..., resume_token: _Optional[str] = ...) -> None: ...

class StreamAverageAgeResponse(_message.Message):
    __slots__ = ("average_age", "user_count", "age_sum", "resume_token", "progress", "final")
    AVERAGE_AGE_FIELD_NUMBER: _ClassVar[int]
    USER_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGE_SUM_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    average_age: float
    user_count: int
    age_sum: int
    resume_token: str
    progress: StreamProgress
    final: bool
    def __init__(self, average_age: _Optional[float] = ..., user_count: _Optional[int] = ..., age_sum: _Optional[int] = ..., resume_token: _Optional[str] = ..., progress: _Optional[_Union[StreamProgress, _Mapping]] = ..., final: _Optional[bool] = ...) -> None: ...

class PartitionUsersRequest(_message.Message):
    __slots__ = ("filter", "partition_count")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PARTITION_COUNT_FIELD_NUMBER: _ClassVar[int]
    filter: UserFilter
    partition_count: int
    def __init__(self, filter: _Optional[_Union[UserFilter, _Mapping]] = ..., partition_count: _Optional[int] = ...) -> None: ...

class PartitionUsersResponse(_message.Message):
    __slots__ = ("partitions",)
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    partitions: _containers.RepeatedCompositeFieldContainer[Partition]
    def __init__(self, partitions: _Optional[_Iterable[_Union[Partition, _Mapping]]] = ...) -> None: ...

class Partition(_message.Message):
    __slots__ = ("partition", "estimated_users")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_USERS_FIELD_NUMBER: _ClassVar[int]
    partition: str
    estimated_users: int
    def __init__(self, partition: _Optional[str] = ..., estimated_users: _Optional[int] = ...) -> None: ...
