"""The log against a list and a dict, over any story of batches, failures and restarts."""

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from audit import reader
from audit.entry import commitment
from audit.log import Log
from audit.verify import verify
from tests.audit.world import ORIGIN, draft, instant
from tests.databases import empty

PATIENTS = st.lists(st.sampled_from(["", "1", "2", "3", "4"]), max_size=6)


class LogMachine(RuleBasedStateMachine):
    """Compares the log after each step with what a list and a dict say."""

    def __init__(self, engine):
        super().__init__()
        self.engine = engine

    @initialize(cached=st.integers(0, 3))
    def begin(self, cached):
        empty(self.engine)
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


@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_log_machine(engine, examples):
    """Whatever becomes of its batches, the log is what a list and a dict say."""
    run_state_machine_as_test(
        lambda: LogMachine(engine),
        settings=settings(max_examples=examples, stateful_step_count=20, deadline=None),
    )
