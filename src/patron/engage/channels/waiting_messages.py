"""Messages that wait for a channel, handed to several workers one by one, at no higher rate than allowed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator

from patron.engage.channels.channel import Handover, OutgoingMessage
from patron.schema.errors import ChannelUnavailable

MAX_PAUSE = 10.0
"""Seconds: messages were checked right before, and checks grow old."""


class WaitingMessages:
    """The messages that are not handed over yet, at no higher rate than allowed, and the answers to those that were."""

    def __init__(self, messages: Iterator[OutgoingMessage], per_second: float) -> None:
        self.answers: asyncio.Queue[Handover | None] = asyncio.Queue()
        """Answers that the caller has not got yet, and None for each worker that ended."""
        self.is_over = False
        self.taken_count = 0
        self._messages = messages
        self._pause = 1 / per_second if per_second else 0.0
        self._next_at = 0.0

    def pause(self, seconds: float) -> None:
        """Let no message be taken for some seconds, as a provider asks."""
        now = asyncio.get_running_loop().time()
        self._next_at = max(self._next_at, now + min(max(seconds, 0.0), MAX_PAUSE))

    async def next(self) -> OutgoingMessage | None:
        """The next message once it may be sent; None after the last one.

        The caller has got every answer by then, so that no more messages are without one than there are workers.
        """
        await self.answers.join()
        now = asyncio.get_running_loop().time()
        if self._pause or self._next_at > now:
            at = max(self._next_at, now)
            self._next_at = at + self._pause
            await asyncio.sleep(at - now)
        if self.is_over:
            return None
        try:
            message = next(self._messages)
        except StopIteration:
            self.is_over = True
            return None
        except BaseException:
            self.is_over = True  # why: the others send what they have, and take no more
            raise
        self.taken_count += 1
        return message


async def answers_of(
    waiting: WaitingMessages, workers: Iterable[Callable[[], Awaitable[None]]]
) -> AsyncGenerator[Handover, None]:
    """Run workers that put answers into the queue, and yield each as it comes.

    Raises what a worker raised; ChannelUnavailable only where a message is left that has no answer.
    """
    answers = waiting.answers
    tasks = [asyncio.ensure_future(worker()) for worker in workers]
    for task in tasks:
        task.add_done_callback(lambda _: answers.put_nowait(None))
    running, answer_count = len(tasks), 0
    try:
        while running or not answers.empty():
            answer = await answers.get()
            if answer is None:
                running -= 1
            else:
                answer_count += 1
                yield answer
            answers.task_done()
    finally:
        is_whole = waiting.is_over and answer_count == waiting.taken_count
        waiting.is_over = True  # why: asyncio.wait_for of Python 3.11 may swallow that its task is cancelled
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [result for result in results if isinstance(result, Exception)]
    faults = [error for error in errors if not isinstance(error, ChannelUnavailable)]
    if faults or (errors and not is_whole):
        raise (faults or errors)[0]


def send_each(
    waiting: WaitingMessages, send: Callable[[OutgoingMessage], Awaitable[Handover]], *, connections: int
) -> AsyncGenerator[Handover, None]:
    """Send messages by a function, several at once, and yield each answer as it comes.

    `send` raises ChannelUnavailable where a message was surely not taken, and no other one would be: then no more are
    taken, and it is raised once those on their way have their answers.
    """

    async def work() -> None:
        while (message := await waiting.next()) is not None:
            try:
                waiting.answers.put_nowait(await send(message))
            except BaseException:
                waiting.is_over = True
                raise

    return answers_of(waiting, [work] * connections)
