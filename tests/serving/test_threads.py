"""Work in threads."""

import asyncio
import threading

import pytest

from serving.threads import to_the_end


async def test_it_gives_the_result():
    """What the work returns or raises is what the caller gets."""
    assert await to_the_end(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await to_the_end(lambda: 1 // 0)


async def test_cancelled_it_is_waited_for():
    """Who is cancelled meanwhile is cancelled, but not before the work is done."""
    begun, end, done = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        end.wait(5)
        done.append(True)

    task = asyncio.create_task(to_the_end(work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, end.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done
