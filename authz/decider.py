"""The one who decides: takes calls as they came, and answers them once they are on record.

It knows no network. `run` is the whole of it: what is malformed is sorted out, the rest is decided as
one batch, and only then are answers made.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from audit.log import Log
from authz.batch import Activation, Answer, Batcher, Call, Repeated
from authz.bundle import Bundle, Summary
from authz.errors import ChangeError
from authz.procedures import Answered, Asked, Form, Prepared, prepare, repeated
from authz.product import DMP
from authz.registry.database import migrate
from authz.registry.store import Store
from serving.clock import utc_now
from serving.errors import RequestError
from storage.database import connect

Item = Asked | Activation
Outcome = Answered | RequestError | None
"""An answer, or what is wrong with the request, or None: it failed, and the service log says why."""

_NOTHING: Final = Answered(b"", 0, 0, changed=False)

_log = structlog.get_logger("authz.decider")


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a batch: an outcome for each item, and what the registry and the bundle were.

    `read_at` is when the revision was read, on the clock of `boottime`: whatever was changed before is
    known to the answers.
    """

    outcomes: list[Outcome]
    bundle: Summary
    revision: int
    read_at: float


class Decider:
    """Decides calls; belongs to one thread."""

    def __init__(self, batcher: Batcher, *, clock: Callable[[], datetime]) -> None:
        self._batcher = batcher
        self._clock = clock

    @classmethod
    def open(
        cls,
        *,
        database: str,
        origin: str,
        bundle: Bundle,
        yields: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> "Decider":
        """Opens database and log, and lets the bundle decide, or if it `yields` what does already.

        Raises:
            Error: the database or the log can't be used.
        """
        engine = connect(database)
        try:
            migrate(engine)
            batcher = Batcher(
                engine=engine,
                log=Log(origin),
                store=Store(),
                bundle=bundle,
                product=DMP,
                clock=clock,
                random=os.urandom,
            )
            batcher.open(yields=yields)
        except BaseException:
            engine.dispose()
            raise
        return cls(batcher, clock=clock)

    def run(self, items: Sequence[Item]) -> Report:
        """Decides all items as one batch; answers are on durable record when this returns.

        Without items it finds out where registry and policies stand.

        Raises:
            UnavailableError: nothing was answered; whatever was decided is void.
            UnrecordableError: the same, and the fault is in an item, not in the log.
        """
        outcomes: list[Outcome] = [None] * len(items)
        form = Form(self._batcher.bundle, self._clock())
        ready: list[tuple[int, Prepared | Activation]] = []
        for place, item in enumerate(items):
            if isinstance(item, Activation):
                ready.append((place, item))
                continue
            try:
                ready.append((place, prepare(item, form)))
            except RequestError as exc:
                outcomes[place] = exc
            except ChangeError as exc:
                outcomes[place] = exc.as_request()
            except Exception:  # noqa: BLE001 - one call must not cost the others their answer
                _log.exception("call_failed", rpc=item.rpc)
        if ready or not items:
            calls = [
                Call(one.queries, one.render) if isinstance(one, Prepared) else one
                for _, one in ready
            ]
            decided = self._batcher.run(calls)
            for (place, one), decisions in zip(ready, decided, strict=True):
                if isinstance(one, Activation):
                    outcomes[place] = _NOTHING
                    continue
                try:
                    outcomes[place] = _outcome(one, decisions)
                except Exception:  # noqa: BLE001 - as above; what was decided is on record
                    _log.exception("answer_failed")
        batcher = self._batcher
        return Report(outcomes, batcher.bundle.summary, batcher.revision, batcher.read_at)

    def probe(self) -> None:
        """Finds out whether the log can be written again.

        Raises:
            UnavailableError: it can't.
        """
        self._batcher.probe()

    def close(self) -> None:
        """Closes the database."""
        self._batcher.close()


def _outcome(call: Prepared, answer: Answer) -> Outcome:
    match answer:
        case RequestError():
            return answer
        case Repeated(data):
            return repeated(data)
        case decisions:
            return call.finish(decisions)


class Inside:
    """A decider in a thread of this process, as the loop sees it."""

    def __init__(self, decider: Decider) -> None:
        self._decider = decider
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decide")

    async def run(self, items: Sequence[Item]) -> Report:
        """As `Decider.run`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._decider.run, items)

    async def probe(self) -> None:
        """As `Decider.probe`."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._decider.probe)

    async def close(self) -> None:
        """As `Decider.close`."""
        await asyncio.to_thread(self._thread.shutdown)
        self._decider.close()
