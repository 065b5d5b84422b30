"""A person at the console: one language, one screen, and an eye on every page they come to."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from patron.interfaces.i18n.translations import Words, words

PATIENCE = 90_000
"""How long a person waits for a page, milliseconds: a run may go on next to a test."""
NATURAL = {"en": "en-GB", "zh_CN": "zh-CN"}
RAW_TEXT = """() => { const out = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const skip = 'script, style, code, pre, kbd, textarea, datalist, option, svg, .secret, [lang]:not(html), [data-raw]';
  while (walk.nextNode()) { const one = walk.currentNode, at = one.parentElement, text = one.data.trim();
    if (text && !at.closest(skip) && at.checkVisibility()) out.push(text); }
  return out; }"""
"""Texts that are seen, without code and what names its own language."""
PARTS = "[...document.querySelectorAll('h2, form')].map(e => e.id).join()"
"""What is on a page: another form of the same address is looked at, too."""
EXAMINE = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
  .map(one => `${one.id}: ${one.nodes[0].html.slice(0, 200)}`)"""
"""What axe finds, without all that it found in order."""
ENGLISH = re.compile(r"[A-Za-z][a-z']+(?:[ ,]+[A-Za-z']{2,}){2,}")
"""Three English words in a row, which no Chinese page says by itself."""
CHINESE = re.compile(r"[\u4e00-\u9fff]+")
KEY = re.compile(r"\b[a-z]+(?:_[a-z]+)*(?:\.[a-z]+(?:_[a-z]+)*)+\b")


@dataclass(frozen=True)
class Screen:
    """What a person sits at."""

    width: int
    height: int
    has_touch: bool


SCREENS = {"desktop": Screen(1400, 900, has_touch=False), "phone": Screen(390, 844, has_touch=True)}
DARK = {("en", "phone"), ("zh_CN", "desktop")}
"""Who prefers dark: each language and each screen is seen both ways."""
COMBINATIONS = tuple((locale, screen) for locale in NATURAL for screen in SCREENS)
USUAL = (("en", "desktop"), ("zh_CN", "phone"))
"""Combinations of a usual run of the tests; `PATRON_TEST_BROWSER=all` walks every one."""


@dataclass
class Walk:
    """One person's browser. Controls are named by the keys of their texts, so that a task reads the same everywhere."""

    locale: str
    screen: str
    page: Any
    t: Words
    complaints: list[str] = field(default_factory=list)
    spoken: set[str] = field(default_factory=set)
    """Words of the shop and its people, which may stand on a page of any language."""
    origins: set[str] = field(default_factory=set)
    examined: set[tuple[str, str]] = field(default_factory=set)
    """Pages that everybody can use, as `violations` found: by address and by what is on them."""
    is_elsewhere: Callable[[str], bool] = lambda _path: False
    """Whether another test examines the page of a path so; its refusals are examined all the same."""
    status: int = 200

    @property
    def tag(self) -> str:
        """What tells this walk's names from another's."""
        return f"{self.locale[:2]}-{self.screen}"

    @property
    def is_phone(self) -> bool:
        return SCREENS[self.screen].has_touch

    def say(self, *texts: str) -> str:
        """Name something with words of the shop's own; the first is returned."""
        self.spoken.update(texts)
        return texts[0]

    # Ways to a page -------------------------------------------------------------------------------------------

    def open(self, address: str, *, refused: int = 0) -> None:
        """Type an address; `refused` is the status of a page that says no."""
        if address.startswith("/"):
            here = urlsplit(self.page.url)
            address = f"{here.scheme}://{here.netloc}{address}"
        self.origins.add("{0.scheme}://{0.netloc}".format(urlsplit(address)))
        with self._leaving(refused):
            self.page.goto(address)

    def navigate(self, code: str) -> None:
        """Choose a page in the navigation, which a phone opens first."""
        if self.is_phone:
            self.page.get_by_role("button", name=self.t("nav.open")).tap()
        with self._leaving():
            menu = self.page.get_by_role("navigation", name=self.t("nav.label"))
            self.touch(menu.get_by_role("link", name=self.t(f"nav.{code}"), exact=True))

    def follow(self, key: str, *, within: Any = None, **values: object) -> None:
        """Follow the first link that is named by a text."""
        self.touch_link(self.t(key, **values), within=within)

    def touch_link(self, name: str | re.Pattern[str], *, within: Any = None) -> None:
        """Follow the first link that the shop named, such as a campaign."""
        place = within or self.page.get_by_role("main")
        exact = {} if isinstance(name, re.Pattern) else {"exact": True}
        with self._leaving():
            self.touch(place.get_by_role("link", name=name, **exact).first)

    def press(self, key: str, *, within: Any = None, refused: int = 0, **values: object) -> None:
        """Press the first button that is named by a text."""
        with self._leaving(refused):
            self.touch((within or self.page).get_by_role("button", name=self.t(key, **values), exact=True).first)

    def press_here(self, key: str, *, within: Any = None, **values: object) -> None:
        """Press a button that changes or asks something on the page itself."""
        self.touch((within or self.page).get_by_role("button", name=self.t(key, **values), exact=True).first)

    def sign_out(self, name: str) -> None:
        """Leave by the menu of one's name."""
        self.touch(self.page.get_by_label(self.t("nav.user", name=name)))
        self.press("nav.sign_out")

    def confirm(self) -> None:
        """Answer the question of the page."""
        with self._leaving():
            self.touch(self.page.locator("#confirm").get_by_role("button", name=self.t("action.confirm")))

    def unfold(self, key: str, *, within: Any = None, **values: object) -> None:
        """Open what a text folds away."""
        place = within or self.page.get_by_role("main")
        self.touch(place.locator("summary").filter(has_text=self.t(key, **values)).first)

    # Forms ----------------------------------------------------------------------------------------------------

    def fill(self, key: str, text: str, *, within: Any = None, **values: object) -> None:
        """Write into the first field that a text labels."""
        self.labelled(key, within=within, **values).fill(text)

    def choose(self, key: str, option: str, *, within: Any = None, **values: object) -> None:
        """Choose by what is read."""
        self.labelled(key, within=within, **values).select_option(label=option)

    def choose_value(self, key: str, option: str, *, within: Any = None, **values: object) -> None:
        """Choose by a code that stands for it, such as the name of a column."""
        self.labelled(key, within=within, **values).select_option(value=option)

    def tick(self, key: str, *, within: Any = None) -> None:
        """Tick a box."""
        self.labelled(key, within=within).check()

    def untick(self, key: str, *, within: Any = None) -> None:
        """Take the tick from a box."""
        self.labelled(key, within=within).uncheck()

    def labelled(self, key: str, *, within: Any = None, **values: object) -> Any:
        """The first field that is seen and that a text labels."""
        place, name = within or self.page.get_by_role("main"), self.t(key, **values)
        # why: the text of a label around a list of options is that of every option, too; parts of pages are labelled
        both = place.get_by_label(name, exact=True).or_(place.get_by_role("combobox", name=name, exact=True))
        return both.and_(self.page.locator("input, select, textarea")).filter(visible=True).first

    # What is seen ---------------------------------------------------------------------------------------------

    def read(self, key: str, **values: object) -> None:
        """Read a text on the page; it has to be there before one's patience ends."""
        self.wait_for(self.t(key, **values))

    def wait_for(self, text: str | re.Pattern[str]) -> None:
        """Wait until a text is seen."""
        self.page.get_by_role("main").get_by_text(text).filter(visible=True).first.wait_for()

    def wait_for_job(self) -> None:
        """Wait on its page until work in the background is over, and look at what came of it."""
        self.page.locator("#job:not([data-poll])").wait_for(timeout=4 * PATIENCE)
        self.look()

    @property
    def text(self) -> str:
        """The text of the page as it is read."""
        return self.page.get_by_role("main").inner_text()

    @property
    def heading(self) -> str:
        """The first heading of the page."""
        return self.page.get_by_role("heading", level=1).first.inner_text()

    def section(self, key: str, **values: object) -> Any:
        """The part of the page under a heading."""
        return self.page.get_by_role("region", name=self.t(key, **values), exact=True)

    def row(self, name: str) -> Any:
        """The first row of a table with a text in it."""
        return self.page.get_by_role("row").filter(has_text=name).first

    def touch(self, control: Any) -> None:
        """Click, or tap with a finger."""
        control.tap() if self.is_phone else control.click()

    @contextmanager
    def _leaving(self, refused: int = 0) -> Iterator[None]:
        """Do something that leads to another page, and look at it."""
        self.status = 200
        with self.page.expect_navigation(wait_until="load"):
            yield
        assert self.status == (refused or 200), f"{self.page.url} answered {self.status}"
        self.look()

    def look(self) -> None:
        """Look at the page as it is: quiet, at home, as wide as the screen, for everybody, in one language."""
        where = f"{urlsplit(self.page.url).path} ({self.tag})"
        assert self.complaints == [], f"{where} complains: {self.complaints}"
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= SCREENS[self.screen].width, f"{where} is {width} pixels wide"
        strange = list(self._strange_texts())
        assert strange == [], f"{where} says in another language: {strange}"
        path = urlsplit(self.page.url).path
        shape = (re.sub(r"/[0-9a-f]{8,}|/[^/]*(%20|\d)[^/]*", "/…", path), self.page.evaluate(PARTS))
        is_ours = self.status != 200 or not self.is_elsewhere(path)
        if is_ours and shape not in self.examined:
            self.examined.add(shape)
            found = violations(self.page)
            assert found == [], f"{where} keeps somebody out: {found}"

    def _strange_texts(self) -> Iterator[str]:
        known = words("en").texts
        for text in self.page.evaluate(RAW_TEXT):
            own = text
            for spoken in sorted(self.spoken, key=len, reverse=True):
                own = own.replace(spoken, "·")
            if any(key in known for key in KEY.findall(own)):
                yield f"a key: {text}"
            if (ENGLISH if self.locale == "zh_CN" else CHINESE).search(own):
                yield text


def bring_axe(context: Any) -> None:
    """Let every page of a browser's context have axe from the start, where each is examined: sent once, not by page."""
    from axe_playwright_python.base import AXE_SCRIPT  # noqa: PLC0415 - needs the browser

    context.add_init_script(script=AXE_SCRIPT)


def violations(page: Any) -> list[str]:
    """What keeps somebody from using a page, by axe."""
    from axe_playwright_python.base import AXE_SCRIPT  # noqa: PLC0415 - needs the browser

    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    return page.evaluate(EXAMINE)


@contextmanager
def walking(
    browser: Any, locale: str, screen: str, is_elsewhere: Callable[[str], bool] = lambda _path: False
) -> Iterator[Walk]:
    """A person with a browser of their own: cookies of nobody else."""
    size = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": size.width, "height": size.height},
        has_touch=size.has_touch,
        is_mobile=size.has_touch,
        locale=NATURAL[locale],
        color_scheme="dark" if (locale, screen) in DARK else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    walk = Walk(locale, screen, context.new_page(), words(locale), is_elsewhere=is_elsewhere)
    listen(walk)
    try:
        yield walk
    finally:
        context.close()


def listen(walk: Walk) -> None:
    """Write down what a browser would tell its developers only."""
    page = walk.page

    def heard(message: Any) -> None:
        is_status = message.text.startswith("Failed to load resource") and message.location["url"] == page.url
        if message.type == "error" and not is_status:  # the status of a page itself is asserted
            walk.complaints.append(f"{message.text} {message.location['url']}")

    def asked(request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https"} and f"{parts.scheme}://{parts.netloc}" not in walk.origins:
            walk.complaints.append(f"asked a stranger: {request.url}")

    def answered(response: Any) -> None:
        if response.request.is_navigation_request() and response.frame == page.main_frame and response.status != 303:
            walk.status = response.status

    page.on("console", heard)
    page.on("pageerror", lambda error: walk.complaints.append(str(error)))
    page.on("request", asked)
    page.on("response", answered)
