"""FHIR R4 AuditEvent, a resource a line (NDJSON), in the profile of IHE BALP for decisions.

`IHE.BasicAudit.AuthZconsent` holds where a consent took part, and patient and organisation are known; where
none did, the subtype is `AuthZ-Role`, and there is no profile. Its entities are closed: document and category
do not stand here but in the log itself, under the id of the event. Source: IHE ITI BALP.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from audit.entry import Entry, rfc3339
from audit.office.gained import NORMAL
from audit.office.shown import Shown
from audit.office.telling import tested

PROFILE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.AuthZconsent"
CONSENTS: Final = frozenset(
    {
        *("subject.authorisation", "subject.treating_doctor", "resource.samu_access"),
        *("resource.break_glass_access", "resource.masked_in_emergency", "resource.feeding"),
        *("resource.masked", "context.agreement"),
    }
)
"""Facts by which a consent or an opposition of the patient takes part in a decision."""

_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_SUBTYPES: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
_TOKENS: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes"
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_REASONS: Final = f"{_HL7}/v3-ActReason"
_PROFESSIONS: Final = "urn:oid:1.2.250.1.71.1.2.7"
_PERSONS: Final = "urn:oid:1.2.250.1.71.4.2.1"
_STRUCTURES: Final = "urn:oid:1.2.250.1.71.4.2.2"
_INS_C: Final = "urn:oid:1.2.250.1.213.1.4.2"
_INS_NIR: Final = "urn:oid:1.2.250.1.213.1.4.8"
_LENGTH_OF_INS_C: Final = 22

_EMERGENCIES: Final = {"bris_de_glace": "BTG", "centre_15": "ETREAT"}
_PURPOSES: Final = {
    "patient": "PATRQT",
    "representative": "FAMRQT",
    "auditor": "HCOMPL",
    "compliance_officer": "HCOMPL",
    "service": "HSYSADMIN",
}
_KINDS: Final = {
    "professional": "Practitioner",
    "employee": "Practitioner",
    "auditor": "Practitioner",
    "compliance_officer": "Practitioner",
    "structure": "Organization",
    "patient": "Patient",
    "representative": "RelatedPerson",
    "service": "Device",
}

Resource = dict[str, Any]


def write(entries: Iterable[Shown]) -> Iterator[bytes]:
    """Pieces of the file. What is no decision (a start, an activation), or is erased, is no such event."""
    for one in entries:
        if one.entry.get("effect"):
            yield orjson.dumps(event(one)) + b"\n"


def event(one: Shown) -> Resource:
    """A decision as an AuditEvent."""
    entry, by_consent = one.entry, _consented(one)
    made: Resource = {"resourceType": "AuditEvent", "id": entry["id"]}
    if by_consent and entry.get("patient") and entry.get("subject", {}).get("structure"):
        made["meta"] = {"profile": [PROFILE]}
    made |= {
        "type": {"system": _DCM, "code": "110113", "display": "Security Alert"},
        "subtype": [{"system": _SUBTYPES, "code": "AuthZ-Consent" if by_consent else "AuthZ-Role"}],
        "action": "E",
        "recorded": rfc3339(one.at),
        "outcome": "0" if entry["effect"] == "allow" else "8",
        "outcomeDesc": _described(one),
        "purposeOfEvent": [_purpose(entry)],
        "agent": list(_agents(one)),
        "source": {
            "site": one.stored.origin,
            "observer": _device(one.stored.origin),
            "type": [{"system": f"{_HL7}/security-source-type", "code": "6"}],
        },
    }
    entities = list(_entities(one, by_consent=by_consent))
    return {**made, "entity": entities} if entities else made


def _consented(one: Shown) -> bool:
    """Whether a deciding rule asked what the patient had consented to."""
    if one.policies is None or not one.entry.get("patient"):
        return False
    names = (name for uid in one.entry.get("rules", ()) for name in tested(one.policies, uid))
    return not CONSENTS.isdisjoint(names)


def _described(one: Shown) -> str:
    """The reason code, with the sentence of the first deciding rule where it is known."""
    code = one.entry.get("reason_code", "")
    rules = (one.policies.rule(uid) for uid in one.entry.get("rules", ()) if one.policies)
    told = next((rule.told.en for rule in rules if rule and rule.reason == code), "")
    return f"{code}: {told}" if told else code


def _purpose(entry: Entry) -> Resource:
    kind = entry.get("subject", {}).get("kind", "")
    code = _EMERGENCIES.get(entry.get("mode", NORMAL)) or _PURPOSES.get(kind, "TREAT")
    return {"coding": [{"system": _REASONS, "code": code}]}


def _agents(one: Shown) -> Iterator[Resource]:
    """Client, user, the user's organisation, and who decided; the log knows the client by its name alone."""
    entry = one.entry
    subject, caller = entry.get("subject", {}), entry.get("caller", "")
    client = {
        "type": _coded(_DCM, "110150"),
        "who": _device(caller),
        "requestor": False,
        "network": {"address": caller, "type": "1"},
    }
    token = entry.get("voucher", {}).get("id", "")
    yield {**client, "policy": [token]} if token else client
    user: Resource = {"type": _coded(f"{_HL7}/v3-ParticipationType", "IRCP")}
    if subject.get("profession"):
        user["role"] = [_coded(_PROFESSIONS, subject["profession"])]
    user["who"] = _who(subject)
    if subject.get("name"):
        user["name"] = subject["name"]
    yield {**user, "requestor": True, "purposeOfUse": [_purpose(entry)]}
    if subject.get("structure"):
        organisation = _reference("Organization", _STRUCTURES, subject["structure"])
        if subject.get("structure_name"):
            organisation["display"] = subject["structure_name"]
        role = _coded(f"{_HL7}/v3-RoleClass", "PROV")
        yield {"type": role, "who": organisation, "requestor": False}
    yield {
        "type": _coded(f"{_HL7}/extra-security-role-type", "authserver"),
        "who": _device(one.stored.origin),
        "requestor": False,
    }


def _entities(one: Shown, *, by_consent: bool) -> Iterator[Resource]:
    entry = one.entry
    patient = entry.get("patient", "")
    if patient:
        yield {
            "what": _patient(patient),
            "type": {"system": f"{_HL7}/audit-entity-type", "code": "1"},
            "role": {"system": f"{_HL7}/object-role", "code": "1", "display": "Patient"},
        }
    if by_consent:  # the consents as the registry had them at that revision
        revision = str(entry.get("revision", 0))
        yield {
            "what": _reference("Consent", "urn:dmp:registry:revision", revision),
            "type": {"system": "http://hl7.org/fhir/resource-types", "code": "Consent"},
        }
    token = entry.get("voucher", {}).get("id", "")
    if token:
        yield {
            "what": {"identifier": {"value": f"urn:ietf:params:oauth:jti:{token}"}},
            "type": {"system": _TOKENS, "code": "UserOauthAgent"},
        }


def _who(subject: Mapping[str, Any]) -> Resource:
    kind, id_ = subject.get("kind", ""), subject.get("id", "")
    if kind == "patient":
        return _patient(id_)
    if kind == "service":
        return _device(id_)
    system = _STRUCTURES if kind == "structure" else _PERSONS
    return _reference(_KINDS.get(kind, "Practitioner"), system, id_)


def _patient(number: str) -> Resource:
    if number.startswith("~"):
        return _reference("Patient", "urn:dmp:pseudonym", number)
    system = _INS_C if len(number) == _LENGTH_OF_INS_C else _INS_NIR
    return _reference("Patient", system, number)


def _device(name: str) -> Resource:
    return _reference("Device", "urn:dmp:service", name)


def _reference(kind: str, system: str, value: str) -> Resource:
    return {"type": kind, "identifier": {"system": system, "value": value}}


def _coded(system: str, code: str) -> Resource:
    return {"coding": [{"system": system, "code": code}]}
