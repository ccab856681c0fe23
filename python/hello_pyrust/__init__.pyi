from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, SupportsIndex

from typing_extensions import Buffer, Self

__all__ = [
    "Guest",
    "RustPanic",
    "Tally",
    "__version__",
    "count",
    "countdown",
    "greeting",
    "hello",
    "share",
    "shout",
]

__version__: str

class RustPanic(RuntimeError): ...

class Tally(NamedTuple):
    bytes: int
    lines: int
    encoding: str

def hello(who: str = "Python") -> int: ...
def greeting(who: str = "Python") -> str: ...
def count(data: Buffer) -> Tally: ...
def shout(buffer: Buffer) -> int: ...
def share(cakes: SupportsIndex, guests: SupportsIndex) -> int: ...
def countdown(start: SupportsIndex, step: Callable[[int], object]) -> None: ...

class Guest:
    def __init__(self, name: str) -> None: ...
    def greet(self) -> str: ...
    @property
    def visits(self) -> int: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
