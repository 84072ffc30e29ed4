"""Comparing a caller's token with those of the file."""

import hmac
from pathlib import Path

import pytest
from userstream_server.auth.bearer_tokens import AuthTokens

TOKENS = ("first-token", "second", "a-third-one-that-is-much-longer-than-the-others")


@pytest.mark.parametrize("token", [*TOKENS, "", "first-toke", "first-token!", "stranger", "ü"])
def test_every_comparison_is_made_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    """A token right or wrong, long or short, is compared with each of the file, by digests of one length."""
    (tmp_path / "tokens").write_text("\n".join(TOKENS))
    tokens = AuthTokens(tmp_path / "tokens")
    compare, lengths = hmac.compare_digest, []

    def noting(ours: bytes, theirs: bytes) -> bool:
        lengths.append((len(ours), len(theirs)))
        return compare(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", noting)

    assert (token in TOKENS) is tokens.accepts(token)
    assert [(32, 32)] * len(TOKENS) == lengths
