"""What an exchange may leave behind: nothing."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Fails unless the threads and open files of this process soon are as few as before."""
    time.sleep(0.1)  # What came before may still be ending.
    before = _threads_and_files()
    yield
    end = time.monotonic() + 5
    while any(now > then for now, then in zip(_threads_and_files(), before, strict=True)):
        assert time.monotonic() < end, (_threads_and_files(), before)
        time.sleep(0.02)


def _threads_and_files() -> tuple[int, int]:
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
