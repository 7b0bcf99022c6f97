"""The whole dossier service, wired: databases, keys, gate, doors, courier. Started and stopped as one."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine

from authz.policies import default_folder
from clients.sdk import PLAIN, Security
from dossier.cda.validation import Validator
from dossier.courier import Courier
from dossier.database import MIGRATIONS
from dossier.deposits import MAX_TOTAL, Checker
from dossier.documents import Documents
from dossier.door import MAX_CALLS, Door, procedures
from dossier.dossiers import Dossiers
from dossier.gate import Client, Gate, Refused
from dossier.gate import connect as reach
from dossier.keys.keyring import MIGRATIONS as KEY_MIGRATIONS
from dossier.keys.keyring import Keyring
from dossier.keys.masters import Masters
from dossier.people import People
from dossier.permit import Turnstile
from dossier.records import Records
from dossier.reporter import Reporter
from dossier.senders import Sender
from dossier.store import Store
from dossier.types import DocumentTypes
from serving.callers import Caller, Callers, Tls
from serving.clock import boottime, utc_now
from serving.hall import Hall
from serving.listener import Listener
from serving.metrics import Calls
from serving.served import TRUST_HEALTH, Handlers, Served, check_listeners
from serving.threads import to_the_end
from storage.database import connect, readable

SERVICES: Final = ("", "dossier.v1.DossierService", "dossier.v1.DocumentService")
DATABASE_HEALTH: Final = "dmp.database"

MAX_MESSAGE: Final = MAX_TOTAL + (1 << 20)
PROBE_S: Final = 1.0
DRAIN_S: Final = 10.5
"""What was accepted is finished within this time; a little longer than any call may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service is started with.

    Attributes:
        listeners: where it listens.
        expected: the services that may call; those of plain listeners are expected anyway.
        authz: address of the decision point.
        security: how the decision point is reached.
        database: url of the record.
        keys: url of the database of the keys, which must not be the same.
        masters: folder of the master keys.
        policies: folder of the policies, for the table of document types.
        tls: for the listeners without a service.
        schemas: folder of official schemas to hold documents against; None for no such check.
        senders: what carries notices out, by channel (`email`, `sms`).
        portal: address of the portal, which notices name as the place to look.
        reflection: describe the procedures to developers' tools.
    """

    listeners: tuple[Listener, ...]
    database: str
    keys: str
    masters: Path
    authz: str
    security: Security = PLAIN
    expected: tuple[str, ...] = ("portal",)
    policies: Path = field(default_factory=default_folder)
    tls: Tls | None = None
    schemas: Path | None = None
    senders: Mapping[str, Sender] = field(default_factory=dict)
    portal: str = ""
    reflection: bool = False


class Service(Served):
    """A running dossier: `async with Service(settings) as service: ...`.

    Raises, on entering:
        Error: databases, keys, certificates, schemas or policies can't be used.
        ValueError: an address is not local, and its listener has no TLS.
        RuntimeError: an address is in use.
    """

    metrics: Calls

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = utc_now,
        client: Client | None = None,
    ) -> None:
        super().__init__("dossier.service")
        self._settings = settings
        self._clock = clock
        self._client = client
        self.metrics = Calls("dossier")

    async def open(self, opened: AsyncExitStack) -> None:
        """Opens one part after the other; `opened` closes them in the opposite order."""
        settings = self._settings
        check_listeners(settings.listeners, tls=settings.tls is not None)
        callers = None
        if settings.tls is not None:
            callers = Callers(settings.tls, clock=self._clock, on_standing=self.on_trust)
        writer, reader = await asyncio.to_thread(self._databases)
        opened.callback(writer.dispose)
        opened.callback(reader.dispose)
        keyring = await asyncio.to_thread(self._keyring, opened)
        secret = secrets.token_bytes(32)
        turnstile = Turnstile(secret, clock=boottime)
        records = Records(writer, reader, turnstile, clock=self._clock)
        people = People(writer, reader, turnstile, clock=self._clock)
        store = Store(writer, reader, keyring, turnstile, clock=self._clock)

        async def refused(what: Refused) -> None:
            await asyncio.to_thread(records.refused, what)

        client = self._client or reach(settings.authz, settings.security)
        opened.push_async_callback(client.close)
        gate = Gate(client, secret, clock=boottime, on_refused=refused)
        opened.push_async_callback(self.drop_tasks)
        courier = Courier(
            writer,
            settings.senders,
            clock=self._clock,
            registry=self.metrics.registry,
            portal=settings.portal,
        )
        self.start(courier.run())
        reporter = Reporter(writer, gate, clock=self._clock, registry=self.metrics.registry)
        self.start(reporter.run())
        hall = Hall(room=MAX_CALLS)
        opened.push_async_callback(self._settle, hall)
        rooms = procedures(Documents(gate, store, self._checker()), Dossiers(gate, people, records))
        await self.tell((*SERVICES, DATABASE_HEALTH, TRUST_HEALTH), well=True)
        self.start(self._probe(reader))
        if callers is not None:
            self.start(callers.watch())

        def handlers(listener: Listener, caller: Caller) -> Handlers:
            expected = (*settings.expected, listener.service)
            door = Door(
                procedures=rooms, hall=hall, metrics=self.metrics, caller=caller, expected=expected
            )
            return door.handlers()

        await self.listen(
            settings.listeners,
            handlers,
            callers=callers,
            reflected=SERVICES[1:] if settings.reflection else (),
            max_message=MAX_MESSAGE,
        )
        self._log.info("serving", addresses=self.addresses)

    def _databases(self) -> tuple[Engine, Engine]:
        settings = self._settings
        if settings.keys == settings.database:
            raise ValueError("the keys must not lie in the database of the documents: give another")
        writer = connect(settings.database)
        MIGRATIONS.migrate(writer)
        return writer, connect(settings.database, read_only=True)

    def _keyring(self, opened: AsyncExitStack) -> Keyring:
        settings = self._settings
        engine, masters = connect(settings.keys), Masters(settings.masters)
        opened.callback(engine.dispose)
        if not settings.masters.exists() and not KEY_MIGRATIONS.shape(engine):
            self._log.info("first_master_key", id=masters.create())  # nothing was ever sealed
        KEY_MIGRATIONS.migrate(engine)
        reader = connect(settings.keys, read_only=True)
        opened.callback(reader.dispose)
        return Keyring.open(engine, masters, reader=reader)

    def _checker(self) -> Checker:
        settings = self._settings
        path = settings.policies / "matrix" / "types.csv"
        types = DocumentTypes.read(path.read_text(encoding="utf-8"), path=str(path))
        validator = Validator(settings.schemas) if settings.schemas else None
        return Checker(types, clock=self._clock, validator=validator)

    async def _settle(self, hall: Hall) -> None:
        """Lets everyone who came in be answered."""
        await hall.close(within_s=DRAIN_S, end_in_s=DRAIN_S)

    async def _probe(self, reader: Engine) -> None:
        """Looks each second whether the record can be read, and tells."""
        well = True
        while True:
            await asyncio.sleep(PROBE_S)
            found = await to_the_end(lambda: readable(reader))
            if found != well:
                well = found
                (self._log.info if well else self._log.error)("database", readable=well)
                await self.tell((*SERVICES, DATABASE_HEALTH), well=well)
