"""The token bucket: how many requests a second may pass (eas-protocols.md 3.3). Time is passed in."""

from __future__ import annotations


class TokenBucket:
    """Accepts `limit` requests at once, then `limit` a second, refilled continuously. A limit of 0 accepts all."""

    def __init__(self, limit: float, now: float) -> None:
        self.limit = limit
        self._capacity = max(1.0, limit)  # below one request a second a single one must still fit
        self._tokens = self._capacity
        self._at = now

    def take(self, now: float) -> bool:
        """Take one token if there is one. `now` is a monotonic clock in seconds."""
        if self.limit <= 0:
            return True
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self.limit)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def give_back(self) -> None:
        """Return a token whose request was not made after all."""
        self._tokens = min(self._capacity, self._tokens + 1.0)

    def wait_seconds(self, now: float) -> float:
        """Seconds until the next token is there; 0 when one is there now."""
        if self.limit <= 0:
            return 0.0
        tokens = min(self._capacity, self._tokens + (now - self._at) * self.limit)
        return max(0.0, (1.0 - tokens) / self.limit)
