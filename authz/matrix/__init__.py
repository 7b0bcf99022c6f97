"""The habilitation matrix and the model of services: casbin's texts, read strictly, as tables.

Which profession may read or deposit which type of document ("matrice d'habilitations", order of 26
October 2023), and which service may call which procedure for which kind of subject. Casbin is not
asked at run time, being slow and unsafe under threads: a table holds the answer to every request,
and the tests compare each of its cells with casbin's own.

`text` cuts a file into cells, `shape` knows the model, `lines` reads the policy, `table` expands
it, `documents` reads the types of documents. All of it is pure; others open the files.
"""

from authz.matrix.documents import DocumentType, check_types, read_types
from authz.matrix.lines import Line, Member, Names, Rule, parse
from authz.matrix.shape import MATRIX, SERVICES, Shape, check_model
from authz.matrix.table import (
    Act,
    Habilitation,
    ServiceTable,
    Table,
    expand,
    expand_services,
)

__all__ = [
    "MATRIX",
    "SERVICES",
    "Act",
    "DocumentType",
    "Habilitation",
    "Line",
    "Member",
    "Names",
    "Rule",
    "ServiceTable",
    "Shape",
    "Table",
    "check_model",
    "check_types",
    "expand",
    "expand_services",
    "parse",
    "read_types",
]
