"""What is asked under load: the reading of a document by a doctor whom the patient authorises."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from authz import ins
from authz.bundle import Bundle
from authz.model import Kind
from authz.v1 import authz_pb2 as pb
from bench import processes
from bench.peers import Words, words
from bench.processes import Keys

DOCTOR: Final = pb.Subject(
    kind="professional",
    id="810000000001",
    profession="10",
    authentication="individual_card",
    capacity="care",
    name="Dr BENCH",
)
TIMEOUT_S: Final = 4.0
CHECK: Final = "/authz.v1.AuthzService/Check"
CHECK_BATCH: Final = "/authz.v1.AuthzService/CheckBatch"
_EXPLAIN: Final = "/authz.v1.AuthzService/Explain"
_CHANGE: Final = "/authz.v1.RegistryService/Change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked: one request a patient, and the facts that each comes down to."""

    checks: tuple[pb.CheckRequest, ...]
    facts: tuple[Words, ...]

    def batch(self, size: int) -> bytes:
        """The message that asks so many at once."""
        some = [self.checks[i % len(self.checks)] for i in range(size)]
        return pb.CheckBatchRequest(checks=some).SerializeToString()

    def many(self, size: int) -> list[Words]:
        """The facts of the same requests."""
        return [self.facts[i % len(self.facts)] for i in range(size)]


def patients(count: int) -> list[str]:
    """Numbers of patients whose form is right."""
    return [ins.compute("BENCH", "000000", f"2540650{number:06}") for number in range(count)]


def check(patient: str) -> pb.CheckRequest:
    """The reading of a document of a patient."""
    document = pb.Document(
        id="1.2.250.1.999.1",
        type="11488-4",
        authors=["810000000002"],
        status="approved",
        visibility=["N"],
    )
    return pb.CheckRequest(
        subject=DOCTOR,
        action="document.read",
        resource=pb.Resource(patient=patient, document=document),
        context=pb.Context(mode="normal"),
    )


def prepare(
    address: str, who: Sequence[str], *, bundle: Bundle, keys: Keys | None = None
) -> Questions:
    """Opens the patients' dossiers, and finds the facts of what will be asked.

    Raises:
        RuntimeError: the policies do not let the doctor read, so the load would be of another kind.
    """
    checks = tuple(map(check, who))
    found = []
    with processes.channel(address, keys) as channel:
        for patient, asked in zip(who, checks, strict=True):
            opening = pb.ChangeRequest(
                subject=DOCTOR,
                patient=patient,
                context=pb.Context(mode="normal", agreement=True),
                open_dossier=pb.OpenDossier(
                    birth_date="1979-03-28", authorise=True, samu=True, break_glass=True
                ),
            )
            answer = call(channel, _CHANGE, opening.SerializeToString())
            _expect_allowed(pb.ChangeResponse.FromString(answer).decision)
            question = pb.ExplainRequest(check=asked, language="en")
            answer = call(channel, _EXPLAIN, question.SerializeToString())
            explained = pb.ExplainResponse.FromString(answer)
            _expect_allowed(explained.decision)
            found.append(_words(bundle, dict(explained.facts)))
    return Questions(checks=checks, facts=tuple(found))


def _words(bundle: Bundle, told: dict[str, str]) -> Words:
    """The facts that an explanation tells, as peers take them."""
    known: dict[str, str | list[str]] = {}
    for fact in bundle.vocabulary.facts:
        text = told[fact.name]
        several = fact.kind in (Kind.CHOICES, Kind.IDENTIFIERS)
        known[fact.name] = text.split(", ") if several and text else [] if several else text
    return words(bundle.vocabulary, bundle.vocabulary.encode(known))


def ask(address: str, method: str, message: bytes, keys: Keys | None = None) -> bytes:
    """One call; the message that is answered."""
    with processes.channel(address, keys) as channel:
        return call(channel, method, message)


def call(channel: grpc.Channel, method: str, message: bytes) -> bytes:
    """One call on a channel that is there already."""
    made: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
    return made(message, timeout=TIMEOUT_S)


def allowed(answer: bytes) -> bool:
    """Whether the answer to a check is yes."""
    return pb.CheckResponse.FromString(answer).decision.effect == pb.EFFECT_ALLOW


def all_allowed(answer: bytes) -> bool:
    """Whether all answers to a batch are yes."""
    decisions = pb.CheckBatchResponse.FromString(answer).decisions
    return all(decision.effect == pb.EFFECT_ALLOW for decision in decisions)


def _expect_allowed(decision: pb.Decision) -> None:
    if decision.effect != pb.EFFECT_ALLOW:
        raise RuntimeError(f"the doctor of the bench is denied: {decision.reason_code}")
