"""What an evaluation comes to, in words: the same on a page, in a terminal and in JSON."""

from __future__ import annotations

from bothways.errors import counted, part_words
from bothways.metrics import Evaluation, Importance, title
from bothways.metrics.evaluation import TELLING
from bothways.metrics.importance import REACH

FEW_SEQUENCES = 20  # with fewer sequences intervals are too narrow
NAMED = 5  # this many classes are named in a sentence


def baseline_words(name: str, per: str = "step") -> str:
    """What a baseline does, in a few words; `per` is what has a label."""
    words = {
        "majority": "most frequent label",
        "most_frequent_per_value": f"most frequent label per {'main ' if per == 'sequence' else ''}value",
        "one_step": f"regression on {'mean' if per == 'sequence' else 'single'} steps",
        "neighbor_regression": "regression on nearby steps",
        "nearby_n_grams": "n-grams around each step",
        "trees": "trees on nearby steps",
        "forest": "random trees on parts",
        "n_grams": "n-grams",
    }
    return words.get(name, name.replace("_", " "))


def verdict(evaluation: Evaluation) -> str:
    """Whether a model is worth anything, in a few sentences."""
    of = evaluation
    key = of.decisive
    value = float(getattr(of, key))
    own = f"Its {title(key)} is {value:.3f}"
    if key in of.intervals:
        own += f" ({of.intervals[key].low:.3f} to {of.intervals[key].high:.3f})"
    if not of.baselines:
        return f"The model was compared with no baseline. {own}."
    name, best = max(of.baselines.items(), key=lambda item: float(getattr(item[1], key)))
    simple = float(getattr(best, key))
    own += f"; that of the best baseline ({baseline_words(name, of.per)}) is {simple:.3f}"
    if of.resampled < TELLING:
        word = "is ahead of every baseline" if value > simple else "does not beat the best baseline"
        few = f"{of.resampled} sequences" if best.ahead else "a single sequence"
        said = f"The model {word} here. {own}. How certain that is, {few} cannot tell."
    else:
        low, high = best.ahead[key].low, best.ahead[key].high
        how = f"; on other sequences the model may be {abs(low):.3f} behind or {abs(high):.3f} ahead."
        if max(abs(low), abs(high)) < 0.0005:  # which would be shown as 0.000
            how = ": here the two are alike."
        known = {"train": "from which it learned", "valid": "by which it was chosen"}.get(of.split)
        part = f"On the {of.split} part, {known}, the model is ahead of every baseline"
        ahead = part if known else "The model beats every baseline"
        said = {
            "better": f"{ahead}. {own}, which is {low:.3f} to {high:.3f} less.",
            "worse": f"The model is worse than a simple one: use {baseline_words(name, of.per)} instead. {own}, "
            f"{-high:.3f} to {-low:.3f} more.",
            "unclear": f"The model does not clearly beat the baselines. {own}{how}",
        }[of.standing]
    name, most = max(of.baselines.items(), key=lambda item: item[1].accuracy)
    if of.standing != "worse" and most.accuracy >= of.accuracy:
        word = "worse" if of.beside(most, "accuracy") == "worse" else "no better"
        other = f"{most.accuracy:.1%} for the {baseline_words(name, of.per)}"
        said += f" By accuracy it is {word}: {of.accuracy:.1%}, and {other}."
    return said


def warnings(evaluation: Evaluation) -> tuple[str, ...]:
    """What to know before believing any score, in sentences."""
    of, said = evaluation, []
    if of.split == "train":
        said.append("The model learned from the train part: its scores there are too high.")
    if of.split == "valid" and of.baselines:
        said.append(
            "The valid part chose the model, but of the baselines at most their thresholds, and so flatters the model."
        )
    if not of.intervals:
        said.append("Only one sequence has labels: it cannot tell how far the scores may be off.")
    elif of.resampled < FEW_SEQUENCES:
        said.append(f"Only {of.resampled} sequences have labels: the intervals are rough, and rather too narrow.")
    if of.unseen:
        labels = counted(sum(of.classes[label].support for label in of.unseen), of.per)
        said.append(f"Training has no label {_named(of.unseen)}: {labels} here cannot be right, and F1 is 0.")
    absent = tuple(label for label, scores in of.classes.items() if not scores.support)
    if absent:
        what = "its F1 is 0 and lowers" if len(absent) == 1 else "their F1 is 0 and lowers"
        said.append(f"No {of.per} here has the label {_named(absent)}, so {what} the macro F1.")
    if of.unlabeled:
        word = "has no label and does" if of.unlabeled == 1 else "have no label and do"
        said.append(f"{counted(of.unlabeled, of.per)} {word} not count.")
    asked = None if of.alarms is None else of.alarms.asked_false_alarm_rate
    rate = of.intervals.get("false_alarm_rate")
    if asked is not None and rate is not None and rate.low > asked:
        said.append(
            "There are more false alarms than were asked for. The threshold held on the valid part, so "
            f"{part_words(of.split)} is not like it."
        )
    return tuple(said)


def importance_words(importance: Importance) -> str:
    """How it was measured what labels rest on, in a few sentences."""
    place = "another sequence" if importance.sequences > 1 else "another place"
    said = (
        f"Measured on {counted(importance.sequences, 'sequence')}, "
        f"where {title(importance.score)} is {importance.value:.3f}. "
        f"Without a column: its values are those of {place}."
    )
    if importance.sides:
        said += (
            f" Without the past or the future: so are those of all columns, up to {REACH} steps before or after a "
            f"step; what falls is the macro F1 of steps that are read with these neighbours alone, "
            f"which is {importance.sides_macro_f1:.3f}."
        )
    said += " Columns that say the same stand in for each other, so that each may look unimportant."
    if importance.left_out:
        said += f" Not measured: {counted(len(importance.left_out), 'column')} with less effect on the probabilities."
    return said


def _named(labels: tuple[object, ...]) -> str:
    more = f" or {len(labels) - NAMED} more" if len(labels) > NAMED else ""
    return ", ".join(repr(str(label)) for label in labels[:NAMED]) + more
