"""Whether an error says that memory was short, in the words of whichever library ran out of it."""

from __future__ import annotations

_WORDS = ("bad_alloc", "bad allocation", "insufficient memory", "failed to allocate memory", "out of memory")
"""What C++, OpenCV and ONNX Runtime say, in lower case: their errors have no type of their own for it."""


def is_want_of_memory(error: Exception) -> bool:
    """Whether memory was short, by the error itself or the one that it came from."""
    if isinstance(error, MemoryError):
        return True
    return any(word in str(error).lower() for word in _WORDS)
