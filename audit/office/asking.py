"""Asks the decision point before anything is shown: who looks into the log is on record there.

What was looked for goes along as the reason of the question, so that a look can itself be audited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from clients.sdk import NORMAL, Context, InvalidError, Query, Reason, Subject, aio
from clients.sdk.asking import How
from serving.errors import RequestError

QUERY: Final = "log.query"
IDENTIFY: Final = "log.identify"

PSEUDONYMISE: Final = "pseudonymise_patients"
WITHHOLD_SECRET: Final = "withhold_secret_entries"  # noqa: S105 - the name of an obligation
CARRIED: Final = (PSEUDONYMISE,)
"""The obligations that a desk carries out by what it shows, unless it says otherwise."""

_LONGEST: Final = 500
"""Characters of a reason (authz.v1.Reason)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who wants to see something.

    Attributes:
        subject: who.
        context: the circumstances.
        how: the deadline, the token of the end user, and the trace, to go along.
    """

    subject: Subject
    context: Context = NORMAL
    how: How = field(default_factory=How)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Leave to see something.

    Attributes:
        decision: its id in the log.
        reason_code: why it was given.
        obligations: what is to be withheld.
    """

    decision: str
    reason_code: str
    obligations: tuple[str, ...]

    @property
    def pseudonymised(self) -> bool:
        """Whether patients are to be shown by pseudonym."""
        return PSEUDONYMISE in self.obligations


class Asking:
    """The decision point, as this room asks it."""

    def __init__(self, client: aio.Client) -> None:
        self._client = client

    async def look_into_log(
        self,
        asker: Asker,
        what: str,
        asked: Mapping[str, Any],
        *,
        patient: str = "",
        field: str = "patient",
    ) -> Look:
        """Leave to look at entries; where a patient is named, leave for that patient.

        Args:
            asker: as `look`.
            what: as `look`.
            asked: as `look`.
            patient: as `look`.
            field: where the request names the patient.

        Raises:
            RequestError: what names the patient is no number.
        """
        action = IDENTIFY if patient else QUERY
        return await self.look(asker, action, patient=patient, what=what, asked=asked, field=field)

    async def look(
        self,
        asker: Asker,
        action: str,
        *,
        patient: str = "",
        what: str,
        asked: Mapping[str, Any],
        field: str = "patient",
        carried: Sequence[str] = CARRIED,
    ) -> Look:
        """Leave to look, or an error: also where policy wants something withheld that the desk would show.

        Args:
            asker: who.
            action: `log.query`, `log.identify` or `trace.read`.
            patient: INS, where one is named.
            what: the name of the procedure, such as `query`.
            asked: what is looked for; it goes on record.
            field: where the request names the patient.
            carried: the obligations that the desk carries out.

        Raises:
            RequestError: what names the patient is no number.
            Denied: no; it is on record.
            clients.sdk.Error: there is no answer.
        """
        text = orjson.dumps(asked, option=orjson.OPT_SORT_KEYS).decode()
        reason = Reason(code=what, text=text[:_LONGEST])
        context = Context(
            mode=asker.context.mode,
            reason=reason,
            secret_connection=asker.context.secret_connection,
        )
        query = Query(subject=asker.subject, action=action, patient=patient, context=context)
        return await self.require(
            query, asker.how, names={"resource.patient": field}, carried=carried
        )

    async def require(
        self,
        query: Query,
        how: How,
        *,
        names: Mapping[str, str],
        carried: Sequence[str] = CARRIED,
    ) -> Look:
        """Leave for what is asked, as `look`; `names` are the fields of the request by those of the query."""
        try:
            permit = await self._client.require(query, supports=carried, **how)
        except InvalidError as exc:
            found = RequestError((one.field, one.problem, "") for one in exc.violations)
            raise found.renamed(names) from exc
        permit.fulfil(*carried)
        permit.settle()
        decided = permit.decision
        return Look(
            decision=decided.id,
            reason_code=decided.reason_code,
            obligations=decided.obligations,
        )
