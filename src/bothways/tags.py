"""Tags of a scheme: labels per step that say which steps belong together, as the words of a name do.

A tag is "O", outside of every chunk, or a prefix and the type of the chunk, such as "B-person":

| scheme       | the first step of a chunk            | inside    | the last step | the only step |
|--------------|--------------------------------------|-----------|---------------|---------------|
| BIO          | B                                    | I         | I             | B             |
| IOB1         | I; B right after a chunk of its type | I         | I             | I or B        |
| BIOES, BILOU | B                                    | I         | E or L        | S or U        |

BMES and BMEWO are BIOES with M for I and W for S; prefixes may be small letters, too.
(Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999; Ratinov and Roth 2009.) Chunks are found in any tags,
malformed ones too, exactly as the script `conlleval` of the CoNLL shared tasks finds them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from bothways.errors import InputError
from bothways.sequences import Bools, Numbers

_TAG = re.compile(r"O|([BIESLUMW])(?:[-_](.+))?", re.DOTALL | re.IGNORECASE)
_LETTERS = str.maketrans("LUMW", "ESIS")
FEW = 10  # fewer steps prove no rules


class Chunks(NamedTuple):
    """Chunks in the order of their first steps; each array is `(chunks,)`.

    `sequence` is the number of the sequence, `type` the place of its type in `Scheme.types`, `first` and `last` are
    steps among those of all sequences together.
    """

    sequence: Numbers
    type: Numbers
    first: Numbers
    last: Numbers


@dataclass(frozen=True)
class Scheme:
    """How the classes of a model mark chunks."""

    name: str  # "BIO", "IOB1", "BIOES" or "BILOU"
    letters: str  # one letter for each class, O, B, I, E or S; L and U are E and S, M and W are I and S
    types: tuple[str, ...]  # the types of chunks, each once
    type_of: tuple[int, ...]  # for each class the place of its type in `types`; -1 for O

    def first(self, classes: int) -> Scheme:
        """The same for the first classes only, without those that training does not have."""
        return replace(self, letters=self.letters[:classes], type_of=self.type_of[:classes])

    def among(self, labels: Sequence[Any]) -> Scheme:
        """The same for these labels, classes and what follows them; what is no tag is outside of every chunk."""
        return replace(_parsed(labels), name=self.name)

    def allowed(self) -> Bools:
        """Which class may follow which, `(classes + 1, classes + 1)`.

        The last row is for the start of a sequence, the last column for its end.
        """
        joins = self._are("B" if self.name == "IOB1" else "IE")[None]
        open_ = self._are("BI" if self.name in ("BIOES", "BILOU") else "")[:, None]
        return self._link & joins | ~open_ & ~joins

    def chunks(self, codes: Numbers, lengths: Numbers) -> Chunks:
        """The chunks of sequences, counted as `conlleval` does.

        `codes` are `(steps,)`, the class of each step of all sequences; -1, no label, is outside of every chunk.
        """
        before, after = _neighbours(codes, lengths)
        inside = self._are("BIES")
        starts = inside[None] & (~self._link | self._are("BS")[None])
        ends = inside[:, None] & (starts | ~inside[None] | self._are("ES")[:, None])
        first, last = np.flatnonzero(starts[before, codes]), np.flatnonzero(ends[codes, after])
        numbers = np.searchsorted(np.cumsum(lengths), first, side="right")
        return Chunks(numbers, np.array(self.type_of)[codes[first]], first, last)

    def malformed(self, codes: Numbers, lengths: Numbers, before: Numbers | None = None, ends: bool = True) -> Numbers:
        """The steps whose tag may not follow the one before, or not stand last, as `allowed` says.

        Steps without a label, and those beside them, are in order. Of sequences of which these are not the first steps
        `before` is `(sequences,)`, the class of the step before, the number of classes where there is none;
        those that do not end here go on after them.
        """
        edge = len(self.letters)
        before, after = _neighbours(codes, lengths, edge if before is None else before, edge if ends else -1)
        allowed = np.pad(self.allowed(), ((0, 1), (0, 1)), constant_values=True)  # the last ones are for -1
        at_end = ~allowed[codes, after] & (after == len(self.letters))
        return np.flatnonzero(~allowed[before, codes] | at_end)

    @property
    def _link(self) -> Bools:
        """Whether a class goes on with the chunk of the one before, if its letter says so."""
        types = np.array([*self.type_of, -1])
        return np.asarray(self._are("BI")[:, None] & (types[:, None] == types[None]))

    def _are(self, letters: str) -> Bools:
        """`(classes + 1,)` which classes have one of these letters; the last place is the edge of a sequence."""
        return np.array([letter in letters for letter in self.letters] + [False])

    def _fits(self, codes: Numbers, lengths: Numbers) -> bool:
        """Whether labels follow the rules: at most a tenth is wrong of at least `FEW` where some tag may not stand.

        Of "B" and "I" alone these are the first steps of sequences.
        """
        before, _ = _neighbours(codes, lengths, len(self.letters))
        rules = np.flatnonzero(~np.all(self.allowed()[:, :-1], axis=1))  # after which classes, or at the start
        bound = np.isin(before, rules) & (codes >= 0)
        return int(bound.sum()) >= max(FEW, 10 * len(self.malformed(codes, lengths)))

    def _mostly_inside(self, codes: Numbers, lengths: Numbers) -> bool:
        """Whether most chunks that follow no other of their type begin with I."""
        before, _ = _neighbours(codes, lengths)
        apart = codes[~self._link[before, codes]]
        return bool(self._are("I")[apart].sum() > self._are("B")[apart].sum())


def scheme_of(
    classes: Sequence[Any], codes: Numbers | None = None, lengths: Numbers | None = None, unseen: Sequence[Any] = ()
) -> Scheme | None:
    """The scheme whose tags these classes are; None if they are not.

    They are where all classes but "O" are a prefix, `-` or `_`, and a type, and some type both begins and goes on; or
    where there is "O" and all others begin, or all go on, as where every chunk has one step, or none follows another of
    its type. Tags may have no types: "B", "I" and "O". Beside "O" and tags of a type that begins and goes on, a few
    classes may be no tags, such as a mistyped "0"; they, and labels that are unseen and no tags, are outside of every
    chunk.

    Names of classes cannot tell IOB1 from BIO: labels can, `(steps,)` with -1 for none. It is IOB1 where most chunks
    that follow no other begin with I; without labels BIO stands for both. Nor can names tell tags without types and
    without "O", as of words cut into characters, from other letters, as of residues that are buried or exposed: labels
    that break the rules are no tags.
    """
    keys = [tag_key(label) for label in classes]
    pairs = {key for key in keys if key}
    chunks = pairs - {("", "")}
    begin, go_on = ({kind for letter, kind in chunks if letter in letters} for letters in ("B", "IE"))
    others = keys.count(None)
    few = "" not in begin & go_on and 2 * others <= len(chunks) < len(pairs)
    begins_and_goes_on = begin & go_on and (few or not others)
    letters = {letter for letter, _ in chunks}
    beside_o = chunks < pairs and letters in ({"B"}, {"I"}, {"B", "I"}) and all(kind for _, kind in chunks)
    if not (begins_and_goes_on or (beside_o and not others)):
        return None
    scheme = _parsed([*classes, *unseen])
    inside = letters == {"I"}
    if codes is not None and lengths is not None:
        if pairs == chunks and {kind for _, kind in chunks} == {""} and not scheme._fits(codes, lengths):
            return None
        inside = inside or scheme._mostly_inside(codes, lengths)
    return replace(scheme, name="IOB1") if scheme.name == "BIO" and inside else scheme


LETTERS = {
    "BIO": ("B", "I", "I", "B"),
    "IOB1": ("I", "I", "I", "I"),
    "BIOES": ("B", "I", "E", "S"),
    "BILOU": ("B", "I", "L", "U"),
}
"""Of each scheme the letters of the first step of a chunk, of one inside, of the last one, and of an only one."""


def no_tags(labels: Sequence[Any]) -> list[Any]:
    """The labels that are no tags of any scheme."""
    return [label for label in labels if not _TAG.fullmatch(str(label))]


def tag_key(label: Any) -> tuple[str, str] | None:
    """What tags have in common that differ in their spelling; None for what is no tag.

    Example:
        >>> tag_key("L-x") == tag_key("e_x"), tag_key("0")
        (True, None)
    """
    match = _TAG.fullmatch(str(label))
    return match and ((match.group(1) or "").upper().translate(_LETTERS), match.group(2) or "")


def convert(tags: Sequence[Sequence[str]], to: str) -> list[list[str]]:
    """The tags of sequences in another scheme; malformed ones count as `conlleval` counts them.

    Args:
        tags: of each sequence those of its steps, of any scheme.
        to: a key of `LETTERS`.

    Raises:
        InputError: something that is no tag, or no such scheme.

    Example:
        >>> convert([["B-city", "I-city", "O", "I-name"], ["O"]], "BIOES")
        [['B-city', 'E-city', 'O', 'S-name'], ['O']]
    """
    if to not in LETTERS:
        raise InputError(f"There is no scheme {to!r}. Use one of: {', '.join(LETTERS)}.")
    if any(isinstance(each, str) for each in tags):
        raise InputError("tags are those of one sequence; give a list of such lists, even of one sequence: [tags].")
    flat = list(itertools.chain.from_iterable(tags))
    if wrong := [each for each in flat if not (isinstance(each, str) and _TAG.fullmatch(each))]:
        raise InputError(f"{wrong[0]!r} is no tag. A tag is O, or a prefix such as B- or I- and a type.")
    classes = sorted({*flat, "O"})
    scheme = _parsed(classes)
    lengths = np.array([len(each) for each in tags], np.int64)
    found = scheme.chunks(np.array([classes.index(each) for each in flat], np.int64), lengths)
    first, inside, last, only = LETTERS[to]
    result, before = ["O"] * len(flat), (-1, -1, -1)
    for sequence, kind, start, end in zip(*(each.tolist() for each in found), strict=True):
        again = to == "IOB1" and before == (sequence, kind, start - 1)  # right after another one of its type
        letters = first + inside * (end - start - 1) + last if end > start else only
        letters = f"B{letters[1:]}" if again else letters
        named = f"-{scheme.types[kind]}" if scheme.types[kind] else ""
        result[start : end + 1] = [letter + named for letter in letters]
        before = sequence, kind, end
    return [result[stop - length : stop] for length, stop in zip(lengths, np.cumsum(lengths), strict=True)]


def _parsed(classes: Sequence[Any]) -> Scheme:
    """The scheme of classes by their letters and types; what is no tag is outside of every chunk."""
    tags = [match.groups("") if match else ("", "") for match in map(_TAG.fullmatch, map(str, classes))]
    spelled = "".join(letter.upper() or "O" for letter, _ in tags)
    letters = spelled.translate(_LETTERS)
    name = "BIO" if set(letters) <= set("BIO") else "BILOU" if set(spelled) <= set("BIOLU") else "BIOES"
    types = tuple(sorted({kind for letter, kind in tags if letter}))
    type_of = tuple(types.index(kind) if letter else -1 for letter, kind in tags)
    return Scheme(name, letters, types, type_of)


def _neighbours(codes: Numbers, lengths: Numbers, first: int | Numbers = -1, last: int = -1) -> tuple[Numbers, Numbers]:
    """The code before and the one after each step; `first` and `last` where there is none."""
    filled = lengths > 0
    ends = np.cumsum(lengths[filled])
    before, after = np.roll(codes, 1), np.roll(codes, -1)
    before[ends - lengths[filled]] = np.broadcast_to(first, lengths.shape)[filled]
    after[ends - 1] = last
    return before, after
