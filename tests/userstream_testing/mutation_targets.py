"""What scripts/mutation changes, and the tests of the fast loop that must notice."""

from dataclasses import dataclass

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """How one file is tested.

    Attributes:
        tests: Files with the tests that concern it. mutmut runs only those that reach the function it changed.
        on_import: Functions that run while the file is imported. mutmut has imported it before, so they are changed
            as what stands outside of functions is.
    """

    tests: tuple[str, ...]
    on_import: tuple[str, ...] = ()


def _unit(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/test_{name}.py" for name in names)


def _integration(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/integration/test_{name}.py" for name in names)


_GENERATORS = _integration("users", "readers")
_KEY_MAPS = _unit("key_map", "key_space")
_KEY_ORDER = _unit("key_order", "key_types")
_FAILOVER = _unit("failover")
_SQL = (*_unit("sql"), *_KEY_ORDER, *_GENERATORS, *_integration("read_masks"))
_ROWS = {
    "ages": Target((*_unit("row_check"), *_integration("ages", "users"))),
    "batches": Target((*_unit("batches", "failover"), *_GENERATORS)),
    "by_id": Target((*_KEY_ORDER, *_FAILOVER)),
    "dialects": Target(_SQL),
    "encoding": Target(
        _unit("batches", "encoding"),
        on_import=("_varint", "_prefix", "_text_prefixes", "_age_field"),
    ),
    "fields": Target((*_unit("encoding", "read_masks"), *_integration("read_masks"))),
    "freshness": Target(_unit("tokens")),
    "generators": Target((*_KEY_ORDER, *_FAILOVER, *_GENERATORS, *_integration("prefetch"))),
    "key_map": Target(_KEY_MAPS),
    "key_ranges": Target(_integration("key_ranges")),
    "key_space": Target(_KEY_MAPS),
    "keyset": Target((*_unit("keyset"), *_KEY_ORDER, *_FAILOVER, *_GENERATORS)),
    "prefetch": Target(_integration("prefetch")),
    "row_check": Target(_unit("row_check")),
    "scan": Target((*_unit("sql"), *_GENERATORS)),
    "session": Target((*_KEY_ORDER, *_FAILOVER)),
    "sql": Target(_SQL),
    "table": Target(_KEY_ORDER),
}
_TOKENS = _unit("forged_tokens", "released_tokens", "tokens")
_RPC = {
    "key_order": Target(_KEY_ORDER),
    "messages": Target((*_unit("batches", "messages"), *_KEY_ORDER)),
    "progress": Target(_unit("progress")),
    "tokens": Target((*_TOKENS, *_KEY_ORDER)),
}
_CLIENT = {
    "_decoding": Target(_unit("decoding", "native_users")),
    "_error_details": Target(_unit("client_errors")),
    "_retry": Target(_unit("client_resume", "retry")),
    "_verifier": Target(_unit("verifier", "client_integrity")),
    "errors": Target(_unit("client_errors")),
}
_STATUSES = _unit("statuses")
TARGETS = {
    **{f"server/userstream_server/rows/{name}.py": target for name, target in _ROWS.items()},
    **{f"server/userstream_server/rpc/{name}.py": target for name, target in _RPC.items()},
    "server/userstream_server/errors.py": Target(_STATUSES),
    "server/userstream_server/interceptors/status.py": Target(
        (*_STATUSES, *_unit("status_interceptor"))
    ),
    **{f"client/userstream_client/{name}.py": target for name, target in _CLIENT.items()},
}
"""By path in the repository."""
