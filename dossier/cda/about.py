"""Whether a document is about this patient, and where the record files it."""

from collections.abc import Collection
from typing import Final

from authz.ins import Kind
from authz.matrix import DocumentType
from dossier.cda.header import Header
from dossier.cda.notes import public
from dossier.errors import CdaError
from dossier.mistake import Mistake
from dossier.types import DocumentTypes

INS_C: Final = "1.2.250.1.213.1.4.2"
INS_NIR: Final = "1.2.250.1.213.1.4.8"
INS_NIA: Final = "1.2.250.1.213.1.4.9"
INS_NIR_TEST: Final = "1.2.250.1.213.1.4.10"
INS_NIR_DEMO: Final = "1.2.250.1.213.1.4.11"

ROOTS: Final = (INS_C, INS_NIR, INS_NIA, INS_NIR_TEST, INS_NIR_DEMO)
"""Who gives the numbers of patients. In use, an operator takes the first three only."""

_INS_C_LENGTH: Final = 22
_PATIENT: Final = "/cda:ClinicalDocument/cda:recordTarget[1]/cda:patientRole[1]"
_CODE: Final = "/cda:ClinicalDocument/cda:code[1]"


def check_about(
    header: Header,
    *,
    ins: str,
    types: DocumentTypes,
    roots: Collection[str] = ROOTS,
    type_code: str = "",
    class_code: str = "",
) -> DocumentType:
    """Checks that a document belongs into a patient's record, and finds its place there.

    Args:
        header: of the document.
        ins: the number under which the record is kept, INS-C (22 digits) or INS-NIR (15); it was verified
            when the record was created.
        types: the types of documents that are known.
        roots: the authorities whose numbers count.
        type_code: what the depositor says beside the document, "" when nothing is said.
        class_code: the same.

    Returns:
        The type of today, with its class and space. Documents of 2012 may bear an older code.

    Raises:
        CdaError: With everything that is wrong: it is another patient's, or nobody's; its type is unknown or
            not deposited; what is said beside it disagrees.
    """
    mistakes = _other_patient(header, ins, roots)
    found = types.find(header.type_code, header.type_system)
    if found is None:
        wrong = f"no type of document: {public(header.type_code)}"
        raise CdaError([*mistakes, _at_code(wrong, "take a code from JDV_J07")])
    if not found.deposit:
        mistakes.append(_at_code(f"`{found.code}` is not deposited here", f"because: {found.note}"))
    if type_code and types.today(type_code) != found:
        remedy = f"say `{found.code}`, or correct the document"
        mistakes.append(_at_code("deposited as another type than the document's", remedy))
    if class_code and class_code != found.class_code:
        remedy = f"say `{found.class_code}`: the class follows from the type `{found.code}`"
        mistakes.append(_at_code("deposited in another class than the type's", remedy))
    if mistakes:
        raise CdaError(mistakes)
    return found


def _at_code(wrong: str, remedy: str) -> Mistake:
    return Mistake(xpath=_CODE, wrong=wrong, remedy=remedy)


def _other_patient(header: Header, ins: str, roots: Collection[str]) -> list[Mistake]:
    """What speaks against the document being about the patient.

    Which authority gave a number of today (NIR, waiting number, test) is not compared: the digits are one
    series, and senders are known to write the root of production for test patients.
    """
    kind = Kind.INS_C if len(ins) == _INS_C_LENGTH else Kind.INS_NIR
    wanted = {INS_C} if kind is Kind.INS_C else set(ROOTS) - {INS_C}
    same_kind = [one for one in header.patient_ids if one.root in wanted and one.root in roots]
    if not same_kind:
        wrong = f"no number of the patient of the kind that the record is kept under, {kind}"
        remedy = (
            f"add the patient's under one of the roots {', '.join(sorted(wanted & set(roots)))}"
        )
        return [Mistake(xpath=_PATIENT, wrong=wrong, remedy=remedy)]
    if any(one.extension != ins for one in same_kind):
        wrong = "is about another patient than the one whose record this is"
        return [
            Mistake(xpath=_PATIENT, wrong=wrong, remedy="deposit it into that patient's record")
        ]
    return []
