"""What takes long to import, brought in while requests are answered already."""

from collections.abc import Callable
from typing import Generic, TypeVar

import trio

T = TypeVar("T")


class Late(Generic[T]):
    """A value that is not there yet.

    Args:
        make: imports what it needs and makes the value.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: list[T] = []
        self._is_built = trio.Event()

    @property
    def is_built(self) -> bool:
        """Whether ``get`` returns at once."""
        return self._is_built.is_set()

    async def build(self) -> None:
        """Make the value, on a thread."""
        value = await trio.to_thread.run_sync(self._make, abandon_on_cancel=True)
        self._values.append(value)
        self._is_built.set()

    async def get(self) -> T:
        """Return the value, which may have to be waited for."""
        if not self._values:
            await self._is_built.wait()
        return self._values[0]
