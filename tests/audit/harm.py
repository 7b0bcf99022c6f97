"""What an enemy, a fault or an operator can do to a stored log."""

from dataclasses import replace

from sqlalchemy import Connection, delete, insert, update

from audit.entry import GENESIS, batch_hash, canonical, commitment, handle
from audit.evidence import Evidence
from audit.merkle import leaf_hash
from audit.reader import Batch, batches
from audit.retention import RETENTION
from audit.tables import log_batches, log_head, log_patients
from audit.tiles import ENTRIES, Tile, bundle
from tests.audit.world import ORIGIN


def rolled_back(conn: Connection, keep: int) -> None:
    """Takes the log back to its first batches, as an older copy of the database would."""
    write(conn, list(batches(conn, ORIGIN))[:keep])


def altered(conn: Connection, index: int) -> None:
    """Changes one entry in place, and nothing else."""
    for batch in batches(conn, ORIGIN):
        if batch.first_index <= index < batch.end:
            lines = batch.entries.split(b"\n")
            place = index - batch.first_index
            lines[place] = lines[place].replace(b'"AUTHORISED"', b'"AUTHORIZED"')
            own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
            conn.execute(update(log_batches).where(*own).values(entries=b"\n".join(lines)))
    conn.commit()


def cut(conn: Connection, index: int) -> None:
    """Removes the batches from an index on, and leaves the head."""
    own = log_batches.c.origin == ORIGIN
    conn.execute(delete(log_batches).where(own, log_batches.c.first_index >= index))
    conn.commit()


def missing(conn: Connection, index: int) -> None:
    """Removes one batch in the middle."""
    own = log_batches.c.origin == ORIGIN
    conn.execute(delete(log_batches).where(own, log_batches.c.first_index == index))
    conn.commit()


def removed(conn: Connection, index: int) -> None:
    """Takes one entry out of its batch, and nothing else."""
    for batch in batches(conn, ORIGIN):
        if batch.first_index <= index < batch.end:
            lines = batch.entries.split(b"\n")
            del lines[index - batch.first_index]
            own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
            conn.execute(update(log_batches).where(*own).values(entries=b"\n".join(lines)))
    conn.commit()


def swapped(conn: Connection, index: int) -> None:
    """Lets two neighbours of one batch change places, and nothing else."""
    for batch in batches(conn, ORIGIN):
        if batch.first_index <= index < batch.end - 1:
            lines = batch.entries.split(b"\n")
            place = index - batch.first_index
            lines[place], lines[place + 1] = lines[place + 1], lines[place]
            own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
            conn.execute(update(log_batches).where(*own).values(entries=b"\n".join(lines)))
    conn.commit()


def emptied(conn: Connection, _: int = 0) -> None:
    """Leaves nothing of the log."""
    for table in (log_batches, log_head, log_patients):
        conn.execute(delete(table))
    conn.commit()


def rewritten(conn: Connection, index: int) -> None:
    """Changes one entry, and makes all hashes and numbers anew, so that the log fits itself again."""
    write(conn, list(batches(conn, ORIGIN)), change=index)


def dropped(conn: Connection, index: int) -> None:
    """Takes one entry out, and makes everything behind it anew: indexes, numbers, hashes."""
    write(conn, list(batches(conn, ORIGIN)), drop=index)


def exchanged(conn: Connection, index: int) -> None:
    """Lets an entry and its next one change places, and makes everything behind anew."""
    write(conn, list(batches(conn, ORIGIN)), exchange=index)


def misnumbered(conn: Connection, index: int) -> None:
    """Gives an entry, and the later ones of its patient, the number of the next; makes all hashes anew."""
    write(conn, list(batches(conn, ORIGIN)), misnumber=index)


def write(
    conn: Connection,
    rows: list[Batch],
    *,
    change: int | None = None,
    drop: int | None = None,
    exchange: int | None = None,
    misnumber: int | None = None,
) -> None:
    """Writes a log of these batches, which fits itself in every way."""
    key = conn.execute(log_head.select().where(log_head.c.origin == ORIGIN)).one()
    conn.execute(delete(log_batches))
    conn.execute(delete(log_patients))
    entries = [one.entry for row in rows for one in row.stored()]
    if change is not None:
        entries[change]["reason_code"] = "SOMETHING_ELSE"
    if exchange is not None:
        entries[exchange : exchange + 2] = entries[exchange : exchange + 2][::-1]
    if drop is not None:
        del entries[drop]
        place = next(n for n, row in enumerate(rows) if row.first_index <= drop < row.end)
        rows[place] = replace(rows[place], count=rows[place].count - 1)
    link, index, last = GENESIS, 0, {}
    for row in rows:
        lines = []
        for entry in entries[index : index + row.count]:
            fields = {**entry, "index": index + len(lines), "at": row.at}
            if patient := fields.get("patient"):
                seq, before = last.get(patient, (0, ""))
                seq += fields["index"] == misnumber
                fields |= {"patient_seq": seq + 1, "patient_prev": before}
            lines.append(canonical(fields))
            if patient:
                last[patient] = seq + 1, commitment(lines[-1]).hex()
        hashed = batch_hash(link, index, [*map(commitment, lines)])
        values = {"origin": ORIGIN, "first_index": index, "count": len(lines), "at": row.at}
        values |= {
            "previous": link,
            "hash": hashed,
            "entries": b"".join(b"%s\n" % x for x in lines),
        }
        conn.execute(insert(log_batches).values(**values))
        link, index = hashed, index + len(lines)
    for patient, (seq, digest) in last.items():
        own = {"origin": ORIGIN, "handle": handle(key.handle_key, patient), "seq": seq}
        conn.execute(insert(log_patients).values(**own, commitment=bytes.fromhex(digest)))
    conn.execute(update(log_head).values(next_index=index, hash=link))
    conn.commit()


def published_too(conn: Connection, evidence: Evidence, *, tiles: bool) -> None:
    """Writes bundles, and level-0 tiles if wanted, as the database now has the entries."""
    found = [commitment(one.bytes) for batch in batches(conn, ORIGIN) for one in batch.stored()]
    conn.rollback()
    for path in evidence.public.rglob("*"):
        if path.is_file() and path.name != "checkpoint":
            tile = Tile.parse(path.relative_to(evidence.public).as_posix())
            part = found[tile.start : tile.start + tile.width]
            if tile.level == ENTRIES:
                path.write_bytes(bundle(part))
            elif tile.level == 0 and tiles:
                path.write_bytes(b"".join(map(leaf_hash, part)))


def flipped(evidence: Evidence, path: str, place: int) -> None:
    """Changes one byte of a published file."""
    data = bytearray((evidence.public / path).read_bytes())
    data[place] ^= 1
    (evidence.public / path).write_bytes(data)


def forgotten(conn: Connection, index: int, purge: int = 0) -> None:
    """Erases the bodies of one batch, and names a purge that says nothing of it."""
    for batch in batches(conn, ORIGIN):
        if batch.first_index <= index < batch.end:
            own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
            gone = {"entries": b"".join(batch.digests()), "erased": purge}
            conn.execute(update(log_batches).where(*own).values(**gone))
    conn.commit()


def forgotten_of_another(conn: Connection, _: int = 0) -> None:
    """Names a purge that is not there for what was erased."""
    own = log_batches.c.origin == ORIGIN, log_batches.c.erased.is_not(None)
    conn.execute(update(log_batches).where(*own).values(erased=7))
    conn.commit()


def unsaid(conn: Connection, _: int = 0) -> None:
    """Takes the log of retention away."""
    for table in (log_batches, log_head, log_patients):
        conn.execute(delete(table).where(table.c.origin == RETENTION))
    conn.commit()


def said_of_fewer(conn: Connection, _: int = 0) -> None:
    """Writes the log of retention again, of half as many entries."""
    (row,) = batches(conn, RETENTION)
    line = row.entries.replace(b'"end":12', b'"end":6')
    hashed = batch_hash(GENESIS, 0, [commitment(line[:-1])])
    own = log_batches.c.origin == RETENTION
    conn.execute(update(log_batches).where(own).values(entries=line, hash=hashed))
    conn.execute(update(log_head).where(log_head.c.origin == RETENTION).values(hash=hashed))
    conn.commit()


def miscommitted(conn: Connection, index: int) -> None:
    """Changes the commitment of one erased entry."""
    for batch in batches(conn, ORIGIN):
        if batch.first_index <= index < batch.end:
            data = bytearray(batch.entries)
            data[32 * (index - batch.first_index)] ^= 1
            own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
            conn.execute(update(log_batches).where(*own).values(entries=bytes(data)))
    conn.commit()


def half_committed(conn: Connection, index: int) -> None:
    """Takes the last commitment out of an erased batch."""
    for batch in batches(conn, ORIGIN):
        if batch.first_index <= index < batch.end:
            own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
            conn.execute(update(log_batches).where(*own).values(entries=batch.entries[:-32]))
    conn.commit()


def misled(conn: Connection, index: int, *, seq: int, previous: str) -> None:
    """Lets an entry name another one as that before it, and makes anew all that follows from that."""
    key = conn.execute(log_head.select().where(log_head.c.origin == ORIGIN)).one().handle_key
    link, last, whose = GENESIS, (seq - 1, previous), ""
    for batch in list(batches(conn, ORIGIN)):
        if batch.end <= index:
            link = batch.hash
            continue
        lines = []
        for stored in batch.stored():
            fields = stored.entry
            if stored.index == index or (whose and fields.get("patient") == whose):
                whose = fields["patient"]
                fields = {**fields, "patient_seq": last[0] + 1, "patient_prev": last[1]}
                last = last[0] + 1, commitment(canonical(fields)).hex()
            lines.append(canonical(fields))
        hashed = batch_hash(link, batch.first_index, [*map(commitment, lines)])
        own = log_batches.c.origin == ORIGIN, log_batches.c.first_index == batch.first_index
        values = {"previous": link, "hash": hashed, "entries": b"".join(b"%s\n" % x for x in lines)}
        conn.execute(update(log_batches).where(*own).values(**values))
        link = hashed
    own = log_patients.c.origin == ORIGIN, log_patients.c.handle == handle(key, whose)
    values = {"seq": last[0], "commitment": bytes.fromhex(last[1])}
    conn.execute(update(log_patients).where(*own).values(**values))
    conn.execute(update(log_head).where(log_head.c.origin == ORIGIN).values(hash=link))
    conn.commit()
