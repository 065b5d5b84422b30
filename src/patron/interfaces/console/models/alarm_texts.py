"""What an alarm says, and what to do, in the reader's language."""

from patron.answers.models.model_alarms import ModelAlarm
from patron.answers.models.models import UNITS
from patron.interfaces.i18n.formats import Formats
from patron.interfaces.i18n.translations import Words
from patron.schema.data.data_sources import AMOUNT


def alarm_sentence(alarm: ModelAlarm, words: Words, formats: Formats) -> str:
    """What changed, by how much, since when."""
    is_data = alarm.kind == "data"
    name = words.feature(alarm.subject) if is_data else words.code("question", alarm.subject)
    before, now = (formats.by_unit(_unit(alarm), value) for value in (alarm.before, alarm.now))
    values = {"name": name, "before": before, "now": now, "date": formats.date(alarm.since)}
    if alarm.kind == "calibration":
        return words("alarm.calibration", **values)
    if alarm.part == "level":
        values["level"] = words.level(alarm.subject, alarm.level) if alarm.level else words("alarm.other_levels")
    if alarm.part == "size" and before == now:
        return words("alarm.size_other", **values)
    change = "rose" if (alarm.now or 0.0) > (alarm.before or 0.0) else "fell"
    return words(f"alarm.{alarm.part if is_data else 'scores'}_{change}", **values)


def alarm_help(alarm: ModelAlarm, words: Words) -> str:
    """What to do."""
    return words(f"alarm_help.{alarm.source or alarm.kind}")


def _unit(alarm: ModelAlarm) -> str:
    if alarm.kind != "data":
        return UNITS.get(alarm.subject, "number")
    if alarm.part != "size":
        return "share"
    return "money" if AMOUNT in alarm.subject.split("_") else "number"
