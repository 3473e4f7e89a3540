"""What the names of columns say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

LARGE, SMALL = "A-ZÀ-ÖØ-Þ", "a-zß-öø-ÿ"  # letters, of Western European languages as well


def words(name: str) -> list[str]:
    """The words in the name of a column, in small letters.

    Example:
        >>> words("flow_ID"), words("DestPort"), words("Gerät")
        (['flow', 'id'], ['dest', 'port'], ['gerät'])
    """
    return [word.lower() for word in re.findall(f"[{LARGE}]+(?![{SMALL}])|[{LARGE}]?[{SMALL}]+", name)]


THINGS = frozenset(
    words(
        "sequence seq session trace sentence document doc utterance host trip episode series machine engine patient "
        "device user subject pump vehicle station customer person participant client account turbine robot asset "
        "dev trial caller subscriber imsi imei msisdn mac vin card driver player store vessel ship truck bus visit "
        "encounter stay admission maschine anlage pumpe gerät geraet fahrzeug fahrt patientin proband kunde sitzung "
        "machine appareil véhicule trajet séance sujet máquina maquina bomba paciente vehículo viaje cliente sesión"
    )
)
"""What a sequence belongs to: a column of this name tells sequences apart."""

MAYBE_THINGS = frozenset(words("flow unit ip run case block node batch sensor file video recording group site equipo"))
"""The same, if the values show it as well."""

CASE = "case_concept_name"
"""What XES, the standard form of logs of processes, calls their cases: `case:concept:name`."""

CALENDAR = words(
    "hour hours hr minute minutes second day weekday week month quarter year period slot interval shift "
    "stunde woche monat jahr schicht heure semaine mois hora semana mes"
)
"""What comes once a day or so, as each device does: columns of this name tell no sequences apart by that."""

PARTS_OF_TIME = {
    word: part
    for part, texts in {
        "year": "year yr jahr année annee anno año ano",
        "month": "month monat mois mes",
        "quarter": "quarter quartal trimestre",
        "week": "week woche kw semaine semana",
        "day": "day tag jour día dia",
        "hour": "hour hr stunde heure hora",
        "minute": "minute",
        "second": "second",
    }.items()
    for word in words(texts)
}
"""What columns are called that hold a part of a time."""

IDS = ("id", "ids", "no", "nr", "nbr", "num", "number", "key", "uuid", "guid", "name")  # last words in names of ids

PLACES = ("idx", "index", "ix")
"""Last words in names of numbers: of things, as in `sentence_idx`, or of places among them, as in `row_index`."""


def names_sequences(name: str) -> int:
    """3 for a column that is called after sequences, 2 after what they belong to, 1 an id of anything, else 0.

    Example:
        >>> [names_sequences(name) for name in ("seq_id", "Sentence #", "doc_idx", "event_no", "bytes", "bytes_sent")]
        [3, 2, 2, 1, 0, 0]
    """
    parts = words(name)
    if "_".join(parts) in ("sequence_id", "sequence", "seq_id", "seq", CASE):
        return 3
    suffix = parts[-1:] and parts[-1] in IDS
    if _noun(name) in THINGS and (suffix or parts[-1] in PLACES or not re.search(r"\d", name)):
        return 2
    return int(bool(suffix or _noun(name) in MAYBE_THINGS))


def part_of_time(name: str) -> str:
    """Which part of a time a column is called after, such as "month"; "" if after none.

    Example:
        >>> part_of_time("Year"), part_of_time("mois"), part_of_time("birth month"), part_of_time("Date")
        ('year', 'month', '', '')
    """
    own = words(name)
    return PARTS_OF_TIME.get(own[0], "") if len(own) == 1 else ""


def joined_columns(name: str | None, names: Collection[str]) -> list[str]:
    """The columns that a name stands for which joins several with commas; none if it is that of a column.

    Spaces around the names do not count.

    Example:
        >>> joined_columns("subject,trial", ["subject", " trial", "x"]), joined_columns("x", ["x"])
        (['subject', ' trial'], [])
    """
    if name is None or "," not in name or name in names:
        return []
    known = {each.strip(): each for each in names}
    parts = [part.strip() for part in name.split(",")]
    return [known.get(part, part) for part in parts] if known.keys() & {*parts} else []


def side_by_side(names: Iterable[Any]) -> str:
    """Names of sequences as one, of columns that are joined; one with a comma in quotes.

    Example:
        >>> side_by_side(["a", 3]), side_by_side(["a,b", 3])
        ('a,3', '"a,b",3')
    """
    return ",".join(f'"{name}"' if "," in name else name for name in map(str, names))


def is_thing(name: str) -> bool:
    """Whether a column is called after what sequences belong to, for sure or perhaps.

    Example:
        >>> is_thing("machine"), is_thing("event_no")
        (True, False)
    """
    return bool(names_sequences(name)) and _noun(name) in THINGS | MAYBE_THINGS


def _noun(name: str) -> str:
    """The last word in a name that does not say that it is an id; "" if there is none."""
    *first, last = words(name) or [""]
    if last not in (*IDS, *PLACES):
        return last
    return "sentence" if first == ["sent"] else "".join(first[-1:])
