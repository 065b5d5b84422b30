"""The pages that the navigation lists: their group, address, icon, key and the right that opens them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class NavigationItem:
    """One page; its text is `nav.` and its code."""

    code: str
    path: str
    icon: str
    """Name of a picture in `static/icons.svg`."""
    key: str
    """What opens the page when it is typed after `g`."""
    area: str
    action: str = "read"


@dataclass(frozen=True)
class NavigationGroup:
    """Pages under one heading, which is `nav_group.` and the code; without a code there is none."""

    code: str
    items: tuple[NavigationItem, ...]


NAVIGATION = (
    NavigationGroup(
        "",
        (
            NavigationItem("today", "/", "today", "t", "overview"),
            NavigationItem("overview", "/overview", "overview", "o", "overview"),
            NavigationItem("brief", "/brief", "brief", "b", "overview"),
        ),
    ),
    NavigationGroup(
        "customers",
        (
            NavigationItem("customers", "/customers", "customers", "c", "customers"),
            NavigationItem("watch_list", "/watch-list", "watch", "w", "customers"),
            NavigationItem("tasks", "/tasks", "task", "k", "customers"),
            NavigationItem("segments", "/segments", "segments", "s", "segments"),
        ),
    ),
    NavigationGroup(
        "engage",
        (
            NavigationItem("campaigns", "/campaigns", "campaigns", "m", "campaigns"),
            NavigationItem("journeys", "/journeys", "journeys", "j", "campaigns"),
            NavigationItem("offers", "/offers", "offers", "f", "offers"),
            NavigationItem("recommendations", "/recommendations", "recommendations", "r", "recommendations"),
            NavigationItem("decisions", "/decisions", "decisions", "d", "offers"),
        ),
    ),
    NavigationGroup(
        "evidence",
        (
            NavigationItem("experiments", "/experiments", "experiments", "x", "experiments"),
            NavigationItem("retention", "/retention", "retention", "n", "overview"),
            NavigationItem("models", "/models", "models", "l", "models"),
        ),
    ),
    NavigationGroup(
        "data",
        (
            NavigationItem("explore", "/explore", "explore", "e", "questions"),
            NavigationItem("data_quality", "/data-quality", "quality", "q", "data"),
            NavigationItem("ingestion", "/ingestion", "ingestion", "i", "data"),
            NavigationItem("runs", "/runs", "runs", "u", "runs"),
        ),
    ),
    NavigationGroup(
        "govern",
        (
            NavigationItem("privacy_desk", "/privacy", "privacy", "p", "privacy"),
            NavigationItem("audit_log", "/audit", "audit", "a", "audit"),
            NavigationItem("settings", "/settings", "settings", "y", "settings"),
        ),
    ),
)


def listed_pages(paths: Collection[str]) -> dict[str, str]:
    """Addresses of the navigation's pages that are among these paths, by their code, in its order."""
    return {item.code: item.path for group in NAVIGATION for item in group.items if item.path in paths}


def open_groups(paths: Collection[str], is_allowed: Callable[[NavigationItem], bool]) -> tuple[NavigationGroup, ...]:
    """Groups with the items that exist and may be opened; a group without any is left out."""
    groups = (
        replace(group, items=tuple(item for item in group.items if item.path in paths and is_allowed(item)))
        for group in NAVIGATION
    )
    return tuple(group for group in groups if group.items)
