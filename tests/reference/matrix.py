"""A casbin policy read the slow and obvious way: no table, one request at a time.

It shares no code with `authz.matrix`, so that of three readings (ours, casbin's, this one) two can
name the culprit.
"""

from collections.abc import Mapping

Row = list[str]


def rows_of(text: str) -> list[Row]:
    """The lines of a policy that is known to be well formed."""
    lines = [line.strip() for line in text.splitlines()]
    return [
        [cell.strip() for cell in line.split(",")]
        for line in lines
        if line and not line.startswith("#")
    ]


def names_of(name: str, grouping: str, rows: list[Row]) -> set[str]:
    """The name itself and every group it is in, by way of other groups too."""
    names: set[str] = set()
    above = {name}
    while above - names:
        names |= above
        above = {cells[1] for kind, *cells in rows if kind == grouping and cells[0] in names}
    return names


def verdict(request: tuple[str, str, str], groupings: Mapping[int, str], rows: list[Row]) -> str:
    """`denied` if some line says deny, else `permitted` if one says allow, else `unlisted`.

    `groupings` says which field of the request has groups, and under which kind of line they stand.
    """
    meant = [
        names_of(name, groupings[place], rows) if place in groupings else {name}
        for place, name in enumerate(request)
    ]
    effects = set()
    for kind, *cells in rows:
        if kind == "p" and all(cells[place] in meant[place] for place in range(3)):
            effects.add(cells[3])
    if "deny" in effects:
        return "denied"
    return "permitted" if "allow" in effects else "unlisted"
