"""Pieces of HTML; every text that comes from outside goes through here and is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from bothways.metrics import Interval

JOINERS = "\u200c\u200d"  # they do not print, and shape the letters and emoji beside them


def short(value: Any, most: int = 40) -> str:
    """A value as text of one line without control characters, cut where it is long; a dash for a missing one."""
    value = "-" if value is None else str(value)
    text = "".join(c if c.isprintable() or c in JOINERS else " " for c in value).strip()
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def text(value: Any, most: int = 60) -> str:
    """A value as escaped text of one line, cut where it is long."""
    return escape(short(value, most))


def number(value: float | None, digits: int = 3) -> str:
    """A score; a dash for one that there is not."""
    return "-" if value is None else f"{value:.{digits}f}"


def between(interval: Interval | None, sign: str = "") -> str:
    """The ends of an interval in small print; nothing for none."""
    return "" if interval is None else f"<small>{interval.low:{sign}.3f} to {interval.high:{sign}.3f}</small>"


def scored(value: float | None, interval: Interval | None) -> str:
    """A score with the ends of its interval."""
    return f"{number(value)} {between(interval)}"


def capital(words: str) -> str:
    """The same, beginning with a capital letter."""
    return words[:1].upper() + words[1:]


def track(value: float, interval: Interval | None) -> str:
    """A bar as long as a score from 0 to 1, with its interval."""
    ends = ""
    if interval is not None:
        ends = f'<u style="left:{interval.low:.1%};right:{1 - interval.high:.1%}"></u>'
    return f'<span class="track"><i style="width:{value:.1%}"></i>{ends}</span>'


def table(head: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    """A table that scrolls sideways where it is too wide; heads and rows are HTML."""
    cells = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    return (
        f'<div class="scroll"><table class="{kind}"><thead><tr>{cells}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def row(name: str, cells: Iterable[str], kind: str = "") -> str:
    """A row with its name in front; all HTML."""
    return f'<tr class="{kind}"><th scope="row">{name}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def verdict(kind: str, first: str, rest: str, notes: Sequence[str]) -> str:
    """What a page says first, and what to know when reading on; all HTML."""
    items = "".join(f"<li>{note}</li>" for note in notes)
    listed = f'<ul class="notes">{items}</ul>' if items else ""
    return f'<div class="verdict {kind}"><p><b>{first}</b>{rest}</p>{listed}</div>'


def section(title: str, lead: str, *parts: str) -> str:
    """A part of the page with a sentence on how to read it; nothing if there are no parts. All HTML."""
    body = "".join(parts)
    return f"<section><h2>{title}</h2><p>{lead}</p>{body}</section>" if body else ""


def wide(drawing: str) -> str:
    """A drawing that scrolls sideways on a narrow screen; HTML."""
    return f'<div class="scroll wide"><figure>{drawing}</figure></div>'


def roles_table(roles: Sequence[tuple[str, str, str]]) -> str:
    """What each column of a table is for and why, as `bothways.data.guess_rows` has it."""
    rows = [row(text(name), (text(role), text(why, 200))) for name, role, why in roles]
    return f"<h3>Columns</h3>{table(['Column', 'Role', 'Why'], rows, 'words')}" if rows else ""


def facts_list(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Names and values under headings; a heading without values is left out."""
    parts = []
    for heading, values in groups.items():
        items = "".join(f"<dt>{text(name)}</dt><dd>{_fact(value)}</dd>" for name, value in values.items())
        parts.append(f"<div><h3>{text(heading)}</h3><dl>{items}</dl></div>" if items else "")
    return f'<div class="facts">{"".join(parts)}</div>' if parts else ""


def _fact(value: Any) -> str:
    """A value as its settings spell it, whole: it may break anywhere."""
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    plain = {None: "none", True: "yes", False: "no", "": "none"}
    return text(plain.get(value, value) if isinstance(value, (bool, str, type(None))) else value, 1000)
