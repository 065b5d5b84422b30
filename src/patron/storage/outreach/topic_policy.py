"""Topics that messages belong to: the sections [topics.NAME] of policy.toml, and what customers choose from."""

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from patron.schema.sentences import Sentence

SMALL_NAMES = Sentence("small_names", "needs names in small letters, digits and _; fix {names}")
NAMES_OF_LINE = Sentence("names_of_line", "needs names of one line")

NAME = re.compile("[a-z][a-z0-9_]{0,39}")


class Topic(BaseModel):
    """A kind of message that a customer can leave without leaving all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: str = Field(min_length=1, max_length=100)
    """Its name in English, as customers read it."""
    zh_CN: str = Field(default="", max_length=100)  # noqa: N815 - the name of the language
    """Its name in Chinese; empty: the English one."""

    @model_validator(mode="after")
    def _is_one_line(self) -> Self:
        if not (self.en.isprintable() and self.zh_CN.isprintable()):
            raise ValueError(NAMES_OF_LINE)
        return self

    def name(self, locale: str) -> str:
        """Its name in a language."""
        return (self.zh_CN if locale.startswith("zh") else "") or self.en


DEFAULT_TOPICS = {
    "offers": Topic(en="Offers and discounts", zh_CN="优惠与折扣"),
    "news": Topic(en="News", zh_CN="新品与资讯"),
}


def require_topic_names(topics: dict[str, Topic]) -> dict[str, Topic]:
    """The topics themselves. Raises ValueError for a name that is no purpose of consent."""
    wrong = sorted(name for name in topics if not NAME.fullmatch(name))
    if wrong:
        raise ValueError(SMALL_NAMES(names=", ".join(wrong)))
    return topics
