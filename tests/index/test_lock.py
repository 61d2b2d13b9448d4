from __future__ import annotations

import threading

import pytest

from rag.index.lock import ReadWriteLock


def test_readers_share_and_a_waiting_writer_goes_first() -> None:
    lock, order = ReadWriteLock(), list[str]()
    writing, late = threading.Event(), threading.Event()

    def write() -> None:
        writing.set()
        with lock.write():
            order.append("write")

    def read() -> None:
        late.set()
        with lock.read():
            order.append("late read")

    with lock.read(), lock.read():
        writer = threading.Thread(target=write)
        writer.start()
        writing.wait()
        while not lock._writers:  # it waits for the two readers
            pass
        reader = threading.Thread(target=read)
        reader.start()
        late.wait()
        order.append("early read")
    writer.join()
    reader.join()
    assert order == ["early read", "write", "late read"]


def test_an_error_inside_lets_go() -> None:
    lock = ReadWriteLock()
    with pytest.raises(KeyError), lock.write():
        raise KeyError
    with pytest.raises(KeyError), lock.read():
        raise KeyError
    with lock.write():
        pass


def test_one_writer_at_a_time() -> None:
    lock, inside, most = ReadWriteLock(), [0], [0]

    def write() -> None:
        for _ in range(200):
            with lock.write():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
