"""Bearer tokens: who may call at all."""

from collections.abc import Iterator
from contextlib import contextmanager

from userstream_server.auth.bearer_tokens import AuthTokens, bearer_token, digest_of
from userstream_server.auth.certificate_names import CertificateName
from userstream_server.auth.field_rules import TOKEN
from userstream_server.errors import UnauthenticatedError
from userstream_server.interceptors.base import Call, CallInterceptor
from userstream_server.interceptors.caller import as_caller

__all__ = ["AuthenticationInterceptor"]


class AuthenticationInterceptor(CallInterceptor):
    """Refuses calls without one of the tokens in `authorization: Bearer …`.

    Args:
        tokens: The tokens.
    """

    def __init__(self, tokens: AuthTokens) -> None:
        self._tokens = tokens

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Check the call's token; the caller is then known by it.

        Raises:
            UnauthenticatedError: There is not exactly one token, or it is not one of the server's.
        """
        token = bearer_token(call.context.invocation_metadata())
        if not self._tokens.accepts(token):
            raise UnauthenticatedError(
                "TOKEN_REFUSED", "Send one of the server's tokens as `authorization: Bearer TOKEN`."
            )
        names = [CertificateName(TOKEN, name)] if (name := self._tokens.name_of(token)) else []
        with as_caller(f"token:{digest_of(token).hex()}", names):
            yield
