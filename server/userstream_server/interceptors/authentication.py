"""Bearer tokens: who may call at all."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from userstream_server.auth.bearer_tokens import AuthTokens, bearer_token, digest_of
from userstream_server.errors import UnauthenticatedError
from userstream_server.interceptors.base import SurroundingInterceptor
from userstream_server.interceptors.caller import as_caller

__all__ = ["AuthInterceptor"]


class AuthInterceptor(SurroundingInterceptor):
    """Refuses calls without one of the tokens in `authorization: Bearer …`.

    Args:
        tokens: The tokens.
    """

    def __init__(self, tokens: AuthTokens) -> None:
        self._tokens = tokens

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:  # noqa: ARG002
        """See the base class."""
        token = bearer_token(context.invocation_metadata())
        if not self._tokens.accepts(token):
            raise UnauthenticatedError(
                "TOKEN_REFUSED", "Send one of the server's tokens as `authorization: Bearer TOKEN`."
            )
        with as_caller(f"token:{digest_of(token).hex()}"):
            yield
