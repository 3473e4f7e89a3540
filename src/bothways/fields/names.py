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


def last_word(name: str) -> str:
    """The last word in the name of a column, in small letters; "" if there is none."""
    return "".join(words(name)[-1:])


THINGS = frozenset(
    words(
        "sequence seq session trace sentence document doc utterance host trip episode series machine engine patient "
        "device user subject pump vehicle station customer person participant client account turbine robot asset "
        "dev trial caller subscriber imsi imei msisdn mac vin card driver player store vessel ship truck bus visit "
        "encounter stay admission maschine anlage pumpe gerät geraet fahrzeug fahrt patientin proband kunde sitzung "
        "mmsi imo appareil véhicule trajet séance sujet máquina maquina bomba paciente vehículo viaje cliente sesión"
    )
)
"""What a sequence belongs to: a column of this name tells sequences apart."""

MAYBE_THINGS = frozenset(
    words("flow unit ip run case block node batch sensor file video recording song match game group site equipo")
)
"""The same, if the values show it as well."""

OCCASIONS = frozenset(words("visit trial session episode trip stay admission encounter visite séance sesión sitzung"))
"""Those of them that may be numbered for each person or thing, as the visits of patients are."""

CASE = "case_concept_name"
"""What XES, the standard form of logs of processes, calls their cases: `case:concept:name`."""

CALENDAR = frozenset(
    words(
        "hour hours hr minute minutes second day doy weekday wday dow week month quarter year yr period slot interval "
        "shift stunde woche monat jahr schicht heure semaine mois hora semana mes"
    )
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

SHORT_PARTS = {
    **dict.fromkeys(("YYYY", "yyyy", "YY"), "year"),
    **{"MM": "month", "DD": "day", "dd": "day", "HH": "hour", "hh": "hour"},
    **{"mm": "minute", "SS": "second", "ss": "second"},
}
"""The same as in forms of times, where capitals tell months from minutes."""

CLOCKS = frozenset(
    words("t ts time timestamp datetime date step elapsed clock tick cycle zeit datum uhrzeit zeitpunkt zeitstempel")
    + words("yearmonth yyyymm yyyymmdd ddmmyyyy mmddyyyy yearweek yyyyww hhmm hhmmss")
    + words("aaaamm aaaammjj aaaammdd jjjjmm jjjjmmtt jjjjmmdd")
) | {"horodatage", "tiempo", "fecha"}
"""A column of this name sorts steps that stand in any order; of several words, the last counts."""

COUNTERS = frozenset(words("position index idx order frame sample row record line seconds epoch"))
"""The same, if the values show it as well."""

UNITS = frozenset(words("s sec secs ms us ns min h utc gmt local"))  # last words in the name of a clock that are units

TIMES_OF_DAY = frozenset(words("time zeit uhrzeit hhmm hhmmss hrmn"))
"""What columns are called that may hold a time of day in digits alone."""

DURATIONS = frozenset(
    words(
        "duration elapsed runtime laptime wait waiting delay latency dwell uptime downtime took talk hold handle break "
        "pause dauer laufzeit fahrzeit wartezeit durée duree attente duración duracion espera"
    )
)
"""Words in the names of columns whose hours and minutes are no times of day."""

NO_DURATIONS = frozenset(["start", "end", "begin", "off", "at", "from", "to", "until", "since", "room"])
"""Words beside them in names of columns that hold times of day nevertheless."""

KEYS = ("id", "ids", "identifier", "key", "uuid", "guid")
"""Words in names of ids that number nothing."""

NUMBERS = ("no", "nr", "nbr", "num", "number")
"""Last words in names of columns that number things, or what belongs together."""

IDS = (*KEYS, *NUMBERS, "name")
"""Last words in names of ids."""

PLACES = ("idx", "index", "ix")
"""Last words in names of numbers: of things, as in `sentence_idx`, or of places among them, as in `row_index`."""

FILE = "file"  # in the joined names of sequences, the file that a row is of, where no column is called so


def names_sequences(name: str) -> int:
    """3 for a column that is called after sequences, 2 after what they belong to, 1 an id of anything, else 0.

    Example:
        >>> [names_sequences(name) for name in ("seq_id", "Sentence #", "doc_idx", "event_no", "bytes", "bytes_sent")]
        [3, 2, 2, 1, 0, 0]
    """
    if "_".join(words(name)) in ("sequence_id", "sequence", "seq_id", "seq", CASE):
        return 3
    last, noun = last_word(name), _noun(name)
    if noun in THINGS and (last in (*IDS, *PLACES) or not re.search(r"\d", name)):
        return 2
    return int(last in IDS or noun in MAYBE_THINGS)


def part_of_time(name: str) -> str:
    """Which part of a time a column is called after, such as "month"; "" if after none.

    Example:
        >>> part_of_time("Year"), part_of_time("mois"), part_of_time("birth month"), part_of_time("Date")
        ('year', 'month', '', '')
    """
    own = words(name)
    alone = PARTS_OF_TIME.get(own[0], "") if len(own) == 1 else ""
    return SHORT_PARTS.get(re.sub(r"\W", "", name), alone)


def names_duration(name: str) -> bool:
    """Whether the hours and minutes of a column so called are no times of day."""
    own = {*words(name)}
    return bool(own & DURATIONS and not own & NO_DURATIONS)


def clock_rank(name: str) -> int:
    """2 for a column that is called `t`, `time`, `year` or the like, 1 for `event_time`, `index` or the like, else 0.

    `T` and `t1` are no clocks, but what many call temperatures and one of several values; `talk_time` is a duration.

    Example:
        >>> [clock_rank(name) for name in ("time", "event_time", "index", "T", "talk_time", "time_elapsed")]
        [2, 1, 1, 0, 0, 1]
    """
    last, alone = _last_of_clock(name)
    clock = last in CLOCKS or PARTS_OF_TIME.get(last) == "year"
    return int(clock or last in COUNTERS) + int(clock and alone)


def digits_of_date(name: str) -> int:
    """How many digits the dates have that stand in a column so called without signs between: 8, or 6 of months; else 0.

    Example:
        >>> [digits_of_date(name) for name in ("Datum", "order_date", "yyyymm", "year_month", "order_id", "amount")]
        [8, 8, 6, 6, 0, 0]
    """
    last, _ = _last_of_clock(name)
    if last in ("yearmonth", "yyyymm", "aaaamm", "jjjjmm") or PARTS_OF_TIME.get(last) == "month":
        return 6
    return 8 * (last in CLOCKS or PARTS_OF_TIME.get(last) == "day")


def names_time_of_day(name: str) -> bool:
    """Whether a column so called may hold times of day that are digits alone, such as 1805."""
    return _last_of_clock(name)[0] in TIMES_OF_DAY or "".join(words(name)) in TIMES_OF_DAY


def _last_of_clock(name: str) -> tuple[str, bool]:
    """The last word in the name of what may be a clock, units aside, and whether it is the only one; else ""."""
    parts = words(name)
    if name == "T" or re.search(r"\d", name) or (names_duration(name) and not DURATIONS & CLOCKS & {*parts}):
        return "", False
    while len(parts) > 1 and parts[-1] in UNITS:
        parts.pop()
    return "".join(parts[-1:]), len(parts) == 1


def joined_columns(name: str | None, names: Collection[str]) -> list[str]:
    """The columns that a name stands for which joins several with commas; none if it is that of a column.

    Spaces around the names do not count.
    """
    if name is None or "," not in name or name in names:
        return []
    known = {each.strip(): each for each in names}
    parts = [part.strip() for part in name.split(",")]
    return [known.get(part, part) for part in parts] if known.keys() & {*parts} else []


def side_by_side(names: Iterable[Any]) -> str:
    """Names of sequences as one, of columns that are joined; one with a comma in quotes."""
    return ",".join(f'"{name}"' if "," in name else name for name in map(str, names))


def is_thing(name: str) -> bool:
    """Whether a column is called after what sequences belong to, for sure or perhaps."""
    return bool(names_sequences(name)) and _noun(name) in THINGS | MAYBE_THINGS


def is_occasion(name: str) -> bool:
    """Whether a column is called after what may be numbered for each person or thing, and no id."""
    return _noun(name) in OCCASIONS and not {*words(name)} & {*KEYS}


def names_calendar(name: str) -> bool:
    """Whether a column is called after what comes once a day or so, as each device does."""
    return bool(CALENDAR & {*words(name)})


def names_time(name: str) -> bool:
    """The same, or after a clock."""
    return names_calendar(name) or bool(CLOCKS & {*words(name)})


def _noun(name: str) -> str:
    """The last word in a name that does not say that it is an id; "" if there is none."""
    *first, last = words(name) or [""]
    if last not in (*IDS, *PLACES):
        return last
    return "sentence" if first == ["sent"] else "".join(first[-1:])
