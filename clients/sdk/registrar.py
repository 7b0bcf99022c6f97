"""The synchronous client's calls about the registry and the policies."""

import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Unpack
from uuid import uuid4

from authz.v1 import authz_pb2 as pb
from clients.sdk import reads, wire
from clients.sdk.asking import ACTIVATION_S, WATCHING, How, metadata
from clients.sdk.caller import Caller
from clients.sdk.changes import Change, SetReviewStanding
from clients.sdk.following import PATIENCE_S, STREAM_S, Following
from clients.sdk.permit import Permit, made
from clients.sdk.policies import Bundle
from clients.sdk.procedures import (
    ACTIVATE_BUNDLE,
    CHANGE,
    GET_BUNDLE,
    GET_PATIENT,
    LIST_PATIENTS,
    WATCH,
)
from clients.sdk.registry import AuthorisedPatient, Page, PatientRecord, as_read
from clients.sdk.values import NORMAL, Context, Query, Subject, oneself
from clients.sdk.watch import Watch


class Registrar(Caller):
    """Reads and changes the registry and the policies; `Client` decides, too."""

    def change(
        self,
        subject: Subject,
        patient: str,
        change: Change,
        *,
        context: Context = NORMAL,
        request_id: str = "",
        supports: Collection[str] = (),
        **how: Unpack[How],
    ) -> Permit:
        """Makes a change of the registry, once; it has been made when this returns.

        Args:
            subject: who changes it.
            patient: INS of whose dossier it is.
            change: what is to be changed.
            context: the circumstances.
            request_id: of this change, to try it again later without making it twice; a new one if left out.
            supports: the obligations that whoever holds the permit will carry out.
            how: see `How`.

        Raises:
            Denied: it has not been made.
            UnfulfilledError: it has been made, but nobody here can do what must be done because of it.
        """
        request = wire.change_request(subject, patient, change, context)
        request.request_id = request_id or str(uuid4())
        answer = self._call(CHANGE, request, how)
        query = Query(subject=subject, action=change.action, patient=patient, context=context)
        decision = wire.decision(answer.decision)
        with made(decision):
            return self._permit(query, decision, supports)

    def set_review_standing(
        self,
        service: str,
        professional: str,
        standing: str,
        *,
        why: str = "",
        request_id: str = "",
        **how: Unpack[How],
    ) -> Permit:
        """Tells what reviews of emergency accesses have left a professional with; told again, it is the same.

        Args:
            service: the name of the calling service, which does this on its own behalf.
            professional: idNat_PS.
            standing: none, overdue, misuse.
            why: for the record only.
            request_id: see `change`.
            how: see `How`.

        Raises:
            Denied: it has not been told.
        """
        change = SetReviewStanding(professional=professional, standing=standing, why=why)
        return self.change(oneself(service), "", change, request_id=request_id, **how)

    def get_patient(
        self,
        subject: Subject,
        patient: str,
        *,
        context: Context = NORMAL,
        supports: Collection[str] = (),
        **how: Unpack[How],
    ) -> PatientRecord:
        """The state of a patient's dossier; duties have been carried out by then.

        Who is authorised and who is blocked is another question, and decided apart: `listing` says how.

        Args:
            subject: who reads it.
            patient: INS of whose dossier it is.
            context: the circumstances.
            supports: the obligations that whoever gets the record will carry out, by its permits.
            how: see `How`.

        Raises:
            Denied: no (`dossier.read`).
            UnfulfilledError: yes, but a duty failed.
        """
        query = Query(subject=subject, action="dossier.read", patient=patient, context=context)
        message = self._call(GET_PATIENT, reads.patient_request(query), how)
        answer = reads.patient_answer(message, patient)
        also, listing = replace(query, action="authorisation.list"), None
        if answer.listing is not None:
            listing = self._permit_or_denied(also, answer.listing, supports)
        try:
            permit = self._permit(query, answer.decision, supports)
        except BaseException:
            if isinstance(listing, Permit):
                listing.drop()
            raise
        return as_read(answer.patient, permit, listing)

    def list_patients(
        self,
        subject: Subject,
        *,
        context: Context = NORMAL,
        after: str = "",
        page_size: int = 0,
        supports: Collection[str] = (),
        **how: Unpack[How],
    ) -> Page:
        """The open dossiers on which somebody is authorised, in person or through the structure, by INS.

        Args:
            subject: whose list it is.
            context: the circumstances.
            after: `next` of the page before; "" for the first.
            page_size: 1 to 1,000; 0 for 1,000.
            supports: the obligations that whoever gets the page will carry out, by its permit.
            how: see `How`.

        Raises:
            Denied: no (`patient.list`).
            UnfulfilledError: yes, but a duty failed.
        """
        query = Query(subject=subject, action="patient.list", context=context)
        request = reads.patients_request(query, after, page_size)
        answer = reads.patients_answer(self._call(LIST_PATIENTS, request, how), after)
        permit = self._permit(query, answer.decision, supports)
        return Page(patients=answer.patients, next=answer.next, permit=permit)

    def all_patients(
        self,
        subject: Subject,
        *,
        context: Context = NORMAL,
        page_size: int = 0,
        **how: Unpack[How],
    ) -> Iterator[AuthorisedPatient]:
        """All of them, page by page as they are wanted; each page is a decision, with its own deadline.

        Raises:
            Denied: no; it may come between two pages.
        """
        after = ""
        while True:
            page = self.list_patients(
                subject, context=context, after=after, page_size=page_size, **how
            )
            yield from page.patients
            if not page.next:
                return
            after = page.next

    def watch(
        self,
        after: int = 0,
        *,
        follow: bool = True,
        patience_s: float = PATIENCE_S,
        traceparent: str = "",
    ) -> Watch:
        """What happened in the registry after a revision, and then what happens; close it at the end.

        The calling service watches on its own behalf. Streams that end are asked for again, on record each.

        Args:
            after: the last revision that is known; 0 for everything since the beginning.
            follow: go on when all that has happened is told.
            patience_s: seconds without a word from anybody after which it is an error; `math.inf` for never.
            traceparent: see `How`.
        """
        state = Following(after, follow=follow, patience_s=patience_s, now=time.monotonic())
        along = metadata(How(traceparent=traceparent))
        return Watch(
            state,
            lambda asked: self._transport.stream(WATCH, asked, timeout_s=STREAM_S, metadata=along),
            lambda decision: self._permit(WATCHING, decision, ()),
        )

    def get_bundle(self, subject: Subject, **how: Unpack[How]) -> Bundle:
        """The policies that decide now, and what is wrong with the last candidate.

        Raises:
            Denied: no (`policy.read`).
        """
        request = pb.GetBundleRequest(subject=reads.asking(subject))
        message = self._call(GET_BUNDLE, request, how)
        answer = reads.bundle_answer(message)
        self._permit(Query(subject=subject, action="policy.read"), answer.decision, ())
        return answer.told()

    def activate_bundle(self, subject: Subject, **how: Unpack[How]) -> Bundle:
        """Has the policy folder read again and activated, if it is sound; the policies that decide then.

        If the folder is not sound, `refused` says why, and the policies from before decide. It is asked once,
        and given 30 s unless told otherwise: policies are checked thoroughly.

        Raises:
            Denied: no (`policy.activate`); nothing was read.
            UnfulfilledError: it was done, but nobody here can do what must be done because of it.
        """
        request = pb.ActivateBundleRequest(subject=reads.asking(subject))
        how.setdefault("timeout_s", ACTIVATION_S)
        message = self._call(ACTIVATE_BUNDLE, request, how)
        answer = reads.bundle_answer(message)
        with made(answer.decision):
            self._permit(Query(subject=subject, action="policy.activate"), answer.decision, ())
        return answer.told()
