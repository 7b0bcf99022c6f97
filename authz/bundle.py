"""A bundle: all of `policies/` read, checked, compiled, hashed and frozen.

`build` is pure: it takes the files' bytes and gives a bundle, or raises with *every* mistake found. The
canonical content holds what decides, and nothing that does not (comments, layout, the order of keys). Its
SHA-256 is the digest that each decision names, and from it alone the bundle can be built again.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from authz import matrix
from authz.compile import Decide, compile_rules
from authz.errors import BundleError
from authz.labels import Labels
from authz.matrix import DocumentType, ServiceTable, Table
from authz.mistake import Mistake
from authz.model import ACTION, In, Kind, Rule, Vector, Vocabulary, facts_of
from authz.parameters import Parameters, read_parameters
from authz.plan import Judgement, Planner
from authz.rules import RuleReader
from authz.safety import open_doors
from authz.source import MAX_BYTES, Mistakes, Node, node_of, parse
from authz.vocabulary import read_vocabulary

VOCABULARY: Final = "vocabulary.yaml"
PARAMETERS: Final = "parameters.yaml"
TYPES: Final = "matrix/types.csv"
MATRIX: Final = ("matrix/model.conf", "matrix/matrix.csv")
SERVICES: Final = ("services/model.conf", "services/services.csv")
REQUIRED: Final = (VOCABULARY, PARAMETERS, TYPES, *MATRIX, *SERVICES)
MAX_FILES: Final = 500

PROFESSION: Final = "subject.profession"
SUBJECT_KIND: Final = "subject.kind"

Computed = Mapping[str, tuple[Kind, frozenset[str]]]
"""The facts that a product computes, by name: their kind and, for a choice, the values it may give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What the policies are for: a bundle must fit the product that it is to serve.

    `parameters` are those that facts are computed with, and their types; `rpcs` are the remote procedures
    that the model of services may name, `acts` those with an act (`procedure:act`) that it may treat apart;
    `filtered` are the actions that may be asked for with the document left open.
    """

    computed: Computed
    parameters: Mapping[str, str]
    rpcs: frozenset[str]
    filtered: frozenset[str]
    acts: frozenset[str] = frozenset()


class Summary(NamedTuple):
    """What is told of a bundle to those who can't hold it."""

    digest: str
    rules: int
    facts: int
    matrix_cells: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Everything that decides, frozen. Two bundles with one digest decide alike."""

    digest: str
    content: bytes
    vocabulary: Vocabulary
    parameters: Parameters
    rules: tuple[Rule, ...]
    documents: Mapping[str, Mapping[str, object]]
    """The py-abac document of each active rule, by uid."""
    habilitations: Table
    types: Mapping[str, DocumentType]
    services: ServiceTable
    labels: Labels
    decide: Decide
    judge: Callable[[Vector], Judgement]
    """Decides with the document left open."""
    index: Mapping[str, Rule] = field(init=False)
    summary: Summary = field(init=False)

    def __post_init__(self) -> None:
        """Indexes the rules: each answer looks one up."""
        object.__setattr__(self, "index", {rule.uid: rule for rule in self.rules})
        facts, cells = len(self.vocabulary.facts), len(self.habilitations.rules)
        summary = Summary(self.digest, len(self.rules), facts, cells)
        object.__setattr__(self, "summary", summary)

    def rule(self, uid: str) -> Rule | None:
        """The rule called `uid`, if the bundle has it and the parameters make it active."""
        return self.index.get(uid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The bundle that decides, since when, and what is wrong with the newest files (nothing: they decide)."""

    bundle: Summary
    since: datetime
    refused: tuple[Mistake, ...] = ()


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a policy folder that belong to the bundle, by their path in it.

    Raises:
        BundleError: the folder or a file can't be read, or there are too many files.
    """
    names = [*REQUIRED, *sorted(f"rules/{p.name}" for p in folder.glob("rules/*.yaml"))]
    found: list[Mistake] = []
    files: dict[str, bytes] = {}
    if len(names) > MAX_FILES:
        found.append(_whole(str(folder), f"too many files: {len(names)}, at most {MAX_FILES}"))
        names = []
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                files[name] = file.read(MAX_BYTES + 1)
        except OSError as exc:
            found.append(_whole(name, f"can't be read: {exc.strerror}", "restore the file"))
    if found:
        raise BundleError(found)
    return files


def _whole(path: str, message: str, hint: str = "") -> Mistake:
    return Mistake(path=path, line=1, column=1, where="file", message=message, hint=hint)


def build(files: Mapping[str, bytes], product: Product) -> Bundle:
    """Builds a bundle from the bytes of its files.

    Args:
        files: contents by path, as `read_folder` gives them; those that are no part of a bundle are left out.
        product: what the bundle has to fit.

    Raises:
        BundleError: with every mistake, in the order of files and lines.
    """
    mistakes = Mistakes()
    missing = [_whole(name, "missing file") for name in REQUIRED if name not in files]
    trees: dict[str, Node] = {}
    texts: dict[str, str] = {}
    for name, data in files.items():
        if name not in REQUIRED and not name.startswith("rules/"):
            continue  # scenarios and properties check a bundle, they are no part of it
        if name.endswith(".yaml"):
            node, found = parse(data, path=name)
            mistakes.found += found
            if node is not None:
                trees[name] = node
        else:
            texts[name] = _text(data, name, mistakes)
    if missing:
        raise BundleError([*missing, *mistakes.found])
    return _assemble(trees, texts, mistakes, product, whole=True)


def restore(content: bytes, product: Product) -> Bundle:
    """Builds a bundle again from its canonical content.

    What it took to build it (the two engines, the search for open doors) is not asked again: whoever
    restores a bundle compares its digest with that of the one that was built.

    Raises:
        BundleError: the content is damaged, or of a product that knew other facts.
    """
    try:
        documents = orjson.loads(content)
        trees = {name: node_of(tree, name) for name, tree in documents["documents"].items()}
        texts = {name: "\n".join(lines) for name, lines in documents["tables"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BundleError([_whole("stored bundle", f"damaged: {exc}")]) from exc
    missing = [name for name in REQUIRED if name not in trees and name not in texts]
    if missing:
        raise BundleError(_whole(name, "missing from the stored bundle") for name in missing)
    bundle = _assemble(trees, texts, Mistakes(), product)
    if bundle.content != content:
        raise BundleError([_whole("stored bundle", "is not canonical")])
    return bundle


def _text(data: bytes, name: str, mistakes: Mistakes) -> str:
    top = Node(None, name, 1, 1)
    if len(data) > MAX_BYTES:
        mistakes.at(top, "file", f"too large: more than {MAX_BYTES} bytes")
        return ""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        mistakes.at(top, "file", f"not UTF-8: byte 0x{data[exc.start]:02x}", "save it as UTF-8")
        return ""


def _assemble(
    trees: Mapping[str, Node],
    texts: Mapping[str, str],
    mistakes: Mistakes,
    product: Product,
    *,
    whole: bool = False,
) -> Bundle:
    """Makes the bundle; `whole` asks for the checks that a stored bundle has been through."""
    vocabulary = None
    if VOCABULARY in trees:
        vocabulary = read_vocabulary(trees[VOCABULARY], mistakes)
    if vocabulary is None:
        raise BundleError(mistakes.found)
    _check_computed(vocabulary, product.computed, trees[VOCABULARY], mistakes)
    parameters = _parameters(trees, product, mistakes)
    _check_themes(trees, mistakes)
    reader = RuleReader(vocabulary, parameters, mistakes)
    for name in sorted(trees):
        if name.startswith("rules/"):
            reader.read(trees[name])
    table, types, services = _tables(vocabulary, texts, mistakes, product)
    if mistakes.found:
        raise BundleError(mistakes.found)
    labels = Labels(vocabulary, table, types)
    if whole:
        _check_engines(reader, texts, mistakes)
        _check_doors(vocabulary, reader.rules, mistakes)
        _check_labels(vocabulary, reader.rules, labels, product.filtered, mistakes)
    if mistakes.found:
        raise BundleError(mistakes.found)
    content = _canonical(vocabulary, trees, texts)
    rules = tuple(sorted(reader.rules, key=lambda rule: rule.uid))
    return Bundle(
        digest=hashlib.sha256(content).hexdigest(),
        content=content,
        vocabulary=vocabulary,
        parameters=parameters,
        rules=rules,
        documents=reader.documents,
        habilitations=table,
        types=types,
        services=services,
        labels=labels,
        decide=compile_rules(vocabulary, rules),
        judge=Planner(vocabulary, rules, labels).judge,
    )


def _parameters(trees: Mapping[str, Node], product: Product, mistakes: Mistakes) -> Parameters:
    """The parameters, those that facts are computed with among them."""
    if PARAMETERS not in trees:
        return {}
    parameters = read_parameters(trees[PARAMETERS], mistakes)
    for name, kind in product.parameters.items():
        if name not in parameters or parameters[name].type != kind:
            message = f"missing parameter: `{name}` ({kind})"
            mistakes.at(trees[PARAMETERS], "parameters", message, "facts are computed with it")
    return parameters


def _check_computed(
    vocabulary: Vocabulary, computed: Computed, root: Node, mistakes: Mistakes
) -> None:
    """The vocabulary declares each fact that is computed, with the values it may get, and no other."""
    for name, (kind, values) in computed.items():
        if name not in vocabulary.index:
            mistakes.at(root, "vocabulary", f"missing fact: `{name}`", "the product computes it")
            continue
        fact = vocabulary.fact(name)
        if fact.kind is not kind:
            mistakes.at(root, f"fact {name}", f"is computed as {kind}, declared as {fact.kind}")
        for value in sorted(values - set(fact.values)):
            mistakes.at(root, f"fact {name}", f"missing value: `{value}`", "it may be computed")
    for fact in vocabulary.facts[1:]:
        if fact.name not in computed and fact.origin != "caller":
            message = f"nothing computes it; only facts of origin `caller` may be new, not `{fact.origin}`"
            mistakes.at(root, f"fact {fact.name}", message)


def _check_themes(trees: Mapping[str, Node], mistakes: Mistakes) -> None:
    """Each theme that the vocabulary names has its file of rules, so that none is lost unnoticed."""
    root = trees[VOCABULARY]
    for node in root.items["themes"].sequence if "themes" in root.items else []:
        name = mistakes.text(node, "themes", "theme")
        if name and f"rules/{name}.yaml" not in trees:
            message = f"missing file: `rules/{name}.yaml`"
            mistakes.at(node, "themes", message, "restore it, or take the theme off this list")


def _tables(
    vocabulary: Vocabulary, texts: Mapping[str, str], mistakes: Mistakes, product: Product
) -> tuple[Table, Mapping[str, DocumentType], ServiceTable]:
    """The matrix, the types it speaks of, and the model of services."""
    types, found = matrix.read_types(texts.get(TYPES, ""), path=TYPES)
    mistakes.found += found
    kinds = [v for v in _values(vocabulary, SUBJECT_KIND) if v != "unknown"]
    roles = [v for v in _values(vocabulary, PROFESSION) if v != "unlisted"] + kinds
    for shape, (model, _) in ((matrix.MATRIX, MATRIX), (matrix.SERVICES, SERVICES)):
        mistakes.found += matrix.check_model(texts.get(model, ""), path=model, shape=shape)
    acts = [act.value for act in matrix.Act]
    lines, found = matrix.parse(
        texts.get(MATRIX[1], ""), path=MATRIX[1], shape=matrix.MATRIX, names=(roles, types, acts)
    )
    mistakes.found += found
    table = matrix.expand(lines, roles=roles, types=types)
    mistakes.found += matrix.check_types(lines, table, types, path=MATRIX[1])
    lines, found = matrix.parse(
        texts.get(SERVICES[1], ""),
        path=SERVICES[1],
        shape=matrix.SERVICES,
        names=(vocabulary.services, product.rpcs | product.acts, kinds),
    )
    mistakes.found += found
    return (
        table,
        types,
        matrix.expand_services(lines, rpcs=product.rpcs, kinds=kinds, acts=product.acts),
    )


def _values(vocabulary: Vocabulary, name: str) -> tuple[str, ...]:
    return vocabulary.fact(name).values if name in vocabulary.index else ()


def _check_engines(reader: RuleReader, texts: Mapping[str, str], mistakes: Mistakes) -> None:
    """The two engines whose formats these are must read what we read."""
    from authz import engines  # noqa: PLC0415 - slow to load, and nobody needs them to decide

    for uid, objection in engines.abac_objects_to(reader.documents).items():
        mistakes.found.append(_whole(f"rule {uid}", f"py-abac can't read it: {objection}"))
    for model, policy in (MATRIX, SERVICES):
        wanted = sum(line.startswith("p,") for line in _lines(texts[policy]))
        try:
            read = engines.casbin_reads(texts[model], texts[policy])
        except ValueError as exc:
            mistakes.found.append(_whole(policy, f"casbin can't read it: {exc}"))
            continue
        if read != wanted:
            message = f"casbin reads {read} of {wanted} lines"
            mistakes.found.append(_whole(policy, message, "a line it drops would not count"))


def _check_doors(vocabulary: Vocabulary, rules: list[Rule], mistakes: Mistakes) -> None:
    """No rule may open a door when a fact is missing."""
    for door in open_doors(vocabulary, rules):
        default = door.fact.decode(door.fact.default) or "absent"
        if door.beside is None:
            message = (
                f"allows more when `{door.fact.name}` is unknown (`{default}`) than when known"
            )
            hint = "name the values that are meant, without the default"
        else:
            message = (
                f"no longer denies when `{door.fact.name}` is unknown (`{default}`), "
                f"and `{door.beside.uid}` would then allow"
            )
            hint = "deny for the default too, or name the fact in the allow rule"
        mistakes.found.append(_of_rule(door.rule, message, hint))


def _check_labels(
    vocabulary: Vocabulary,
    rules: list[Rule],
    labels: Labels,
    filtered: frozenset[str],
    mistakes: Mistakes,
) -> None:
    """What a rule asks of a document can be said of labels, where the document may be left open."""
    place = vocabulary.index[ACTION]
    actions = {i for i, name in enumerate(vocabulary.facts[place].values) if name in filtered}
    for rule in rules:
        boxes = [
            box
            for box in rule.boxes
            if all(li.allowed & actions for li in box if isinstance(li, In) and li.fact == place)
        ]
        for literal in {literal: None for box in boxes for literal in box}:
            if labels.is_open(literal) and not labels.has_form(literal):
                names = " and ".join(f"`{vocabulary.facts[p].name}`" for p in facts_of(literal))
                message = f"no list of documents can be asked for: a condition on {names}"
                hint = "compare one thing of the document with the subject or the context"
                mistakes.found.append(_of_rule(rule, message, hint))


def _of_rule(rule: Rule, message: str, hint: str) -> Mistake:
    path, _, line = rule.place.rpartition(":")
    where = f"rule {rule.uid}"
    return Mistake(path=path, line=int(line), column=1, where=where, message=message, hint=hint)


def _lines(text: str) -> list[str]:
    """The lines of a table that count, blanks around commas removed where nothing is quoted."""
    lines = (line.strip() for line in text.splitlines())
    return [
        line if line.startswith("[") or '"' in line else ",".join(map(str.strip, line.split(",")))
        for line in lines
        if line and not line.startswith("#")
    ]


def _canonical(
    vocabulary: Vocabulary, trees: Mapping[str, Node], texts: Mapping[str, str]
) -> bytes:
    """What decides, as canonical JSON; `vocabulary` tells readers of the log how to read a vector."""
    facts = [{"name": f.name, "type": f.kind, "values": f.values} for f in vocabulary.facts]
    return orjson.dumps(
        {
            "documents": {name: tree.plain() for name, tree in trees.items()},
            "tables": {name: _lines(text) for name, text in texts.items()},
            "vocabulary": {"facts": facts},
        },
        option=orjson.OPT_SORT_KEYS,
    )
