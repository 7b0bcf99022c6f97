"""Plays a short story to an archive that serves: `python -m clients.archive.tour --help`.

It stands where a portal would stand: it says who asks, and shows what it is told. Everyone is invented.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from authz.v1 import authz_pb2 as authz
from clients.archive.v1 import archive_pb2 as pb
from clients.archive.v1 import archive_pb2_grpc as rpc
from clients.sdk import PLAIN, Context, Denied, Error, Obligation, Subject, connect
from clients.sdk.changes import OpenDossier

INS: Final = "1113109067725142806651"
DOCTOR: Final[Mapping[str, Any]] = {
    "kind": "professional",
    "id": "00B1038575",
    "profession": "10",
    "structure": "10B0193488",
    "authentication": "individual_card",
    "capacity": "care",
    "name": "Dr Paul MEDECIN3857",
}
STRANGER: Final[Mapping[str, Any]] = {
    **DOCTOR,
    "id": "899700300702",
    "structure": "10B0252419",
    "name": "Dr Hugo",
}
NORMAL: Final = authz.Context(mode="normal")
EMERGENCY: Final = authz.Context(
    mode="bris_de_glace",
    reason=authz.Reason(code="risque_vital", text="Patiente inconsciente aux urgences"),
)
TIMEOUT_S: Final = 5.0

Say = Callable[[str], Any]


def main() -> None:
    """Plays it."""
    said = argparse.ArgumentParser(prog="python -m clients.archive.tour", description=__doc__)
    said.add_argument("--authz", default="127.0.0.1:7443", help="to open the dossier as operator")
    said.add_argument("--archive", default="127.0.0.1:7445", help="an archive without TLS")
    settings = said.parse_args()
    try:
        play(settings.authz, settings.archive, lambda line: sys.stdout.write(f"{line}\n"))
    except (Error, grpc.RpcError) as exc:
        sys.exit(f"error: {exc}")


def play(authz_address: str, archive_address: str, say: Say) -> None:
    """Opens the dossier of Anasta, then deposits, reads and lists an image."""

    def tell(obligation: Obligation) -> None:
        say(f"the patient is told of {obligation.query.action}")

    duties = {"notify_holder": tell}
    with connect(authz_address, PLAIN, timeout_s=TIMEOUT_S, duties=duties) as point:
        opened = OpenDossier(birth_date=date(1979, 3, 28), authorise=True, break_glass=True)
        try:
            point.change(Subject(**DOCTOR), INS, opened, context=Context(agreement=True))
            say("the dossier is open")
        except Denied as exc:
            say(f"the dossier is not opened: {exc.reason_code}")
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(archive_address, options=options) as channel:
        archive = rpc.ArchiveServiceStub(channel)
        deposit = pb.DepositImageRequest(
            subject=authz.Subject(**DOCTOR),
            patient=INS,
            title="Radiographie du poignet",
            content=b"pixels",
            context=NORMAL,
        )
        image = archive.DepositImage(deposit, timeout=TIMEOUT_S).image
        say("the doctor deposits an image")

        def read(who: Mapping[str, Any], context: authz.Context) -> str:
            request = pb.ReadImageRequest(
                subject=authz.Subject(**who), patient=INS, image=image, context=context
            )
            try:
                answer = archive.ReadImage(request, timeout=TIMEOUT_S)
            except grpc.RpcError as exc:
                return told(exc)
            return " ".join([f"{len(answer.content)} bytes", *answer.banners])

        say(f"the doctor reads it:            {read(DOCTOR, NORMAL)}")
        say(f"a stranger reads it:            {read(STRANGER, NORMAL)}")
        say(f"a stranger, in an emergency:    {read(STRANGER, EMERGENCY)}")
        listing = pb.ListImagesRequest(
            subject=authz.Subject(**STRANGER), patient=INS, context=NORMAL
        )
        seen = archive.ListImages(listing, timeout=TIMEOUT_S).images
        say(f"a stranger's list of images:    {[label.title for label in seen]}")


def told(error: grpc.RpcError) -> str:
    """What a refusal tells: code, reason, and the sentence for the person."""
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        detail.Unpack(info)
    return f"{error.code().name} {info.reason}: {error.details()}"


if __name__ == "__main__":
    main()
