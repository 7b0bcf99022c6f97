"""The product that the policies serve here: the shared medical record."""

from typing import Final

from authz.bundle import Product
from authz.facts import COMPUTED, PARAMETERS

CHECK: Final = "authz.v1.AuthzService/Check"
CHECK_BATCH: Final = "authz.v1.AuthzService/CheckBatch"
EXPLAIN: Final = "authz.v1.AuthzService/Explain"
FILTER: Final = "authz.v1.AuthzService/Filter"
FILTERED: Final = frozenset({"document.list", "document.read"})
"""The actions that `FILTER` may be asked about."""
CHANGE: Final = "authz.v1.RegistryService/Change"
GET_PATIENT: Final = "authz.v1.RegistryService/GetPatient"
WATCH: Final = "authz.v1.RegistryService/Watch"
WATCHING: Final = "registry.watch"
"""The action that `WATCH` is decided as: it has no words of its own in a request."""
LIST_PATIENTS: Final = "authz.v1.RegistryService/ListPatients"
LISTING: Final = "patient.list"
"""The action that `LIST_PATIENTS` is decided as."""
GET_BUNDLE: Final = "authz.v1.PolicyService/GetBundle"
ACTIVATE_BUNDLE: Final = "authz.v1.PolicyService/ActivateBundle"

ACTS: Final = frozenset(
    {
        f"{rpc}:{act}"
        for rpc in (CHECK, CHECK_BATCH, EXPLAIN)
        for act in ("trace.read", "obligation.report")
    }
    | {f"{CHANGE}:standing.set"}
)
"""The acts that the model of services treats apart from the procedures that they are asked for by."""

DMP: Final = Product(
    computed=COMPUTED,
    parameters=PARAMETERS,
    rpcs=frozenset(
        {
            CHECK,
            CHECK_BATCH,
            EXPLAIN,
            FILTER,
            CHANGE,
            GET_PATIENT,
            WATCH,
            LIST_PATIENTS,
            GET_BUNDLE,
            ACTIVATE_BUNDLE,
        }
    ),
    filtered=FILTERED,
    acts=ACTS,
)
