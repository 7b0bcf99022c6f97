"""The log against a list and a dict, over any story of batches, failures and restarts."""

import os

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pysqlite3 import dbapi2
from sqlalchemy import StaticPool, create_engine, event

from audit import reader
from audit.entry import commitment
from audit.log import Log
from audit.tables import metadata
from audit.verify import verify
from tests.audit.world import ORIGIN, draft, instant

PATIENTS = st.lists(st.sampled_from(["", "1", "2", "3", "4"]), max_size=6)


class LogMachine(RuleBasedStateMachine):
    """Compares the log after each step with what a list and a dict say."""

    @initialize(cached=st.integers(0, 3))
    def begin(self, cached):
        self.engine = create_engine("sqlite://", module=dbapi2, poolclass=StaticPool)
        event.listen(self.engine, "connect", lambda conn, _: setattr(conn, "isolation_level", None))
        event.listen(self.engine, "begin", lambda conn: conn.exec_driver_sql("BEGIN IMMEDIATE"))
        metadata.create_all(self.engine)
        self.conn = self.engine.connect()
        self.cached = cached
        self.ids: list[str] = []
        self.last: dict[str, tuple[int, str]] = {}
        self.batches = 0
        self.restart()

    @rule()
    def restart(self):
        self.log = Log(ORIGIN, patients_cached=self.cached)
        self.log.open(self.conn, random=os.urandom)
        self.conn.commit()

    @rule()
    def forget(self):
        self.log.rolled_back()

    @rule(patients=PATIENTS)
    def commit(self, patients):
        self._append(patients)
        self.conn.commit()
        self.log.committed()
        self._expect()

    @rule(patients=PATIENTS)
    def commit_in_doubt(self, patients):
        self._append(patients)
        self.conn.commit()
        self.log.rolled_back()
        self._expect()

    @rule(patients=PATIENTS)
    def roll_back(self, patients):
        self._append(patients)
        self.conn.rollback()
        self.log.rolled_back()

    @rule(patients=PATIENTS)
    def crash(self, patients):
        self._append(patients)
        self.conn.rollback()
        self.restart()

    def _append(self, patients):
        self.batches += 1
        self.drafts = [draft(patient) for patient in patients]
        at = instant(self.batches)
        self.recorded = self.log.append(self.conn, self.drafts, at=at, random=os.urandom)
        assert [one["id"] for one in self.drafts] == [one.id for one in self.recorded]

    def _expect(self):
        for one, given in zip(self.recorded, self.drafts, strict=True):
            assert len(self.ids) == one.index
            self.ids.append(one.id)
            patient = given["patient"]
            seq, _ = self.last.get(patient, (0, ""))
            self.last[patient] = (seq + 1, one.commitment.hex())

    @invariant()
    def same_as_the_model(self):
        if not hasattr(self, "conn"):
            return
        entries = list(reader.read(self.conn, origin=ORIGIN))
        assert self.ids == [one.entry["id"] for one in entries]
        last = {}
        for one in entries:
            patient = one.entry["patient"]
            seq = last.get(patient, (0, ""))[0]
            assert not patient or seq + 1 == one.entry["patient_seq"]
            last[patient] = (seq + 1, commitment(one.bytes).hex())
        assert self.last == last
        assert len(self.ids) == verify(self.conn, ORIGIN).count
        self.conn.rollback()

    def teardown(self):
        if hasattr(self, "conn"):
            self.conn.close()
            self.engine.dispose()


TestLogMachine = LogMachine.TestCase
TestLogMachine.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
