"""Ready-made journeys, as files that work: each can be saved as it is, after its segment where it has one."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from patron.schema.common_sentences import NO_EXAMPLE, OTHER_FOLDER, THERE_ALREADY, THERE_IS
from patron.schema.errors import BadJourney, NotFound
from patron.schema.spelling import did_you_mean
from patron.storage.durable_files import write_durably

DAYS = 14
SEGMENT_ENDING = ".segment.toml"
"""How the file of an example's segment ends."""
MESSAGE = "# its message\n"
"""Where the message of a step stands, which is in the language of the shop."""
ENGLISH = "en"


@dataclass(frozen=True)
class JourneyExample:
    """One ready-made journey."""

    about: str
    """One line: what it is for."""
    head: str
    """Trigger and what else it sets, TOML; {end} is two weeks from now."""
    steps: tuple[str, ...]
    """Sections of the file, TOML."""
    segment: tuple[str, str] = ("", "")
    """Name and rule of the segment that it needs; empty without one."""

    @property
    def segment_file(self) -> str:
        """The file of its segment; empty without one."""
        name, rule = self.segment
        return f'# patron segment save FILE, before the journey\nname = "{name}"\n\n[rule]\n{rule}\n' if name else ""


def _wait(**duration: int) -> str:
    [(unit, count)] = duration.items()
    return f'[[steps]]\ndo = "wait"\n{unit} = {count}\n'


def _wait_for(event: str, days: int) -> str:
    return f'[[steps]]\ndo = "wait_for"\nevent = "{event}"\ndays = {days}\nthen = "end"                     # else on\n'


def _send(more: str = "") -> str:
    return f'[[steps]]\ndo = "send"\n{more}{MESSAGE}'


EXAMPLES: Mapping[str, JourneyExample] = {
    "abandoned_cart": JourneyExample(
        "Whoever puts something into the cart and does not order is reminded after an hour, and again after two days.",
        '[trigger]\nevent = "Product Added"\n',
        (
            _wait(hours=1),
            _send(),
            _wait(days=2),
            _send(),
        ),
    ),
    "browse_without_order": JourneyExample(
        "Whoever looks at a product and orders nothing within a day is sent one message.",
        'reenter_after_days = 30\n\n[trigger]\nevent = "Product Viewed"\n',
        (
            _wait(days=1),
            _send(),
        ),
    ),
    "back_in_stock": JourneyExample(
        "Whoever was interested in a product that had run out is sent a message when it is back.",
        'reenter_after_days = 7\n\n[trigger]\nproduct = "back_in_stock"\nwithin_days = 60\n',
        (_send(),),
    ),
    "price_drop": JourneyExample(
        "Whoever was interested in a product is sent a message when its price falls by a tenth or more.",
        'reenter_after_days = 14\n\n[trigger]\nproduct = "price_drop"\nleast_share = 0.1\n',
        (_send(),),
    ),
    "after_first_order": JourneyExample(
        "Two weeks after their first order, customers who have not ordered again are asked how it was.",
        'exit_on = ["Order Refunded", "Order Cancelled"]\n\n[trigger]\nevent = "Order Completed"\nis_first = true\n',
        (
            _wait_for("Order Completed", 14),
            _send(),
        ),
    ),
    "reorder_due": JourneyExample(
        "Customers who order regularly are reminded once their usual time between orders is over.",
        'reenter_after_days = 30\n\n[trigger]\nenters = "order is due"\n',
        (_send(),),
        ("order is due", 'field = "is_order_due"\nop = "=="\nvalue = true'),
    ),
    "churn_alarm": JourneyExample(
        "Customers whose churn probability reaches a half are written to: the most valuable at once, the others later.",
        'reenter_after_days = 90\n\n[trigger]\nenters = "likely to leave"\n',
        (
            '[[steps]]\ndo = "branch"\nrule = { field = "value_decile", op = ">=", value = 8 }\nthen = "message"\n',
            _wait(days=7),
            _send('id = "message"\n'),
        ),
        ("likely to leave", 'field = "churn_probability"\nop = ">="\nvalue = 0.5'),
    ),
    "birthday": JourneyExample(
        "A greeting on the birthday, at nine by the customer's clock, once a year.",
        'exit_on = []\nreenter_after_days = 300\n\n[trigger]\ndate = "birthday"\nhour = 9\n',
        (_send(),),
    ),
    "referral_thanks": JourneyExample(
        "Whoever recommended the shop to somebody is thanked.",
        'exit_on = []\nreenter_after_days = 1\n\n[trigger]\nevent = "Customer Referred"\n',
        (_send(),),
    ),
    "one_off": JourneyExample(
        "A one-off campaign as a journey: everybody who is in the segment when it starts, and nobody later.",
        'exit_on = []\nend = {end:%Y-%m-%dT%H:%M:%S}     # the shop\'s clock\n\n[trigger]\nenters = "all customers"\n'
        "includes_members = true\n",
        (_send(),),
        ("all customers", "all = []"),
    ),
}


def example_of(name: str) -> JourneyExample:
    """A ready-made journey. Raises NotFound."""
    if name not in EXAMPLES:
        todo = did_you_mean(name, EXAMPLES) or THERE_IS(names=", ".join(EXAMPLES))
        raise NotFound(NO_EXAMPLE(name=name), where="--example", todo=todo)
    return EXAMPLES[name]


@cache
def _messages(locale: str) -> Mapping[str, Any]:
    file = resources.files("patron.commands.outreach.journeys") / "journey_messages" / f"{locale}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _with_messages(name: str, steps: tuple[str, ...], locale: str) -> str:
    """The steps of an example, each message in a language."""
    texts = _messages(locale)
    messages = iter(texts["messages"][name])
    sections = []
    for step in steps:
        section = step
        if MESSAGE in step:
            subject, body = next(messages)
            template = f'[steps.template.{locale}]\nsubject = "{subject}"\nformat = "text"\nbody = '
            body = f"{texts['hello']}\n\n{body}\n\n{texts['foot']}"
            section = step.replace(MESSAGE, f"{template}'''\n{body}'''\n")
        sections.append(section)
    return "\n".join(sections)


def journey_text(name: str, now: datetime, locale: str = ENGLISH) -> str:
    """The file of a ready-made journey, its messages in the shop's language; `now` is by its clock. Raises NotFound."""
    example = example_of(name)
    end = (now + timedelta(days=DAYS)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    segment = "".join(f"#   {line}\n" for line in example.segment_file.splitlines() if line)
    needs = f"# It needs this segment, in a file of its own:\n{segment}" if segment else ""
    lines = (
        f"# {name}.toml: patron journey save {name}.toml; plan | approve --as USER | pause | result take its name\n"
        f"# {example.about}\n{needs}"
        f'name = "{name.replace("_", " ")}"\n'
        'channel = "email"\n'
        'topic = "offers"                 # of policy.toml\n'
        "monthly_budget = 100.00          # in the shop's currency\n"
        "holdout_share = 0.1              # who is sent nothing, so that the effect can be measured\n"
        "window_days = 30                 # orders that count for its result\n"
    )
    head = example.head.replace("{end:%Y-%m-%dT%H:%M:%S}", f"{end:%Y-%m-%dT%H:%M:%S}")
    return lines + head + "\n" + _with_messages(name, example.steps, locale)


def write_example(name: str, folder: Path, now: datetime) -> tuple[Path, ...]:
    """Write a ready-made journey, and the segment that it needs, into a folder; return the files in order of saving.

    Raises NotFound, and BadJourney where there are such files already.
    """
    files = {folder / f"{name}{SEGMENT_ENDING}": example_of(name).segment_file}
    files |= {folder / f"{name}.toml": journey_text(name, now)}
    files = {path: text for path, text in files.items() if text}
    for path in files:
        if path.exists():
            raise BadJourney(THERE_ALREADY, where=str(path), todo=OTHER_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        write_durably(path, text.encode())
    return tuple(files)
