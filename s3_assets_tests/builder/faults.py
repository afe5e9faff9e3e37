"""A store whose calls can be scripted: before the nth call of a kind, something happens or it fails."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_assets.store.contract import Store


class ScriptedStore:
    """Passes every call on to `inner`, after what its script says.

    Attributes:
        inner: The store that does the work, or the upload.
        calls: How many calls of each kind were made.
    """

    def __init__(self, inner: Store) -> None:
        """Start without a script."""
        self.inner: Any = inner
        self.calls: Counter[str] = Counter()
        self._before: dict[tuple[str, int], Callable[[], None]] = {}
        self._after: dict[tuple[str, int], Callable[[], None]] = {}

    def before(self, kind: str, number: int, act: Callable[[], None]) -> None:
        """Do `act` before the call of that number, from 1; what it raises is what the call raises."""
        self._before[kind, number] = act

    def after(self, kind: str, number: int, act: Callable[[], None]) -> None:
        """Do `act` after the call did its work: what it raises hides that."""
        self._after[kind, number] = act

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.inner, name)
        if not callable(inner):
            return inner

        def call(*args: Any, **options: Any) -> Any:
            self.calls[name] += 1
            number = self.calls[name]
            self._before.pop((name, number), lambda: None)()
            result = inner(*args, **options)
            self._after.pop((name, number), lambda: None)()
            return _ScriptedUpload(self, result) if name == "start_upload" else result

        return call


class _ScriptedUpload(ScriptedStore):
    """An upload under the same script: kinds are `complete`, `put_part`, `copy_part`."""

    def __init__(self, store: ScriptedStore, inner: Any) -> None:
        self.inner: Any = inner
        self.calls = store.calls
        self._before = store._before
        self._after = store._after

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.inner.__exit__(*error)


def fail(error: Exception) -> Callable[[], None]:
    """An act that raises `error`."""

    def act() -> None:
        raise error

    return act
