"""Answers that are no result: a status and a reason, in one shape."""

from __future__ import annotations

import json


class RefusedError(Exception):
    """A request that is not answered with a result.

    Args:
        status: of HTTP.
        reason: what was found, what is accepted, what to do.
        retry_after: seconds after which to try again.
        challenge: the scheme of HTTP that a token is asked for by, where it is missing.
    """

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None, challenge: str = "Bearer") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
        self.challenge = challenge

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with the status."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        realm = ' realm="nlp_lstm", charset="UTF-8"' if self.challenge == "Basic" else ""
        return {**headers, "WWW-Authenticate": self.challenge + realm} if self.status == 401 else headers

    @property
    def body(self) -> bytes:
        """The reason as JSON."""
        return error_json(self.reason)


def error_json(reason: str) -> bytes:
    """Return ``{"error": reason}``, the shape of all that goes wrong, of a request and of an item in a list."""
    return json.dumps({"error": reason}).encode()
