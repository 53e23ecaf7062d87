"""The edges of the Graph; importing this package registers them."""

from local.graph.edges import (
    apps,
    coexistence,
    dialog,
    extras,
    login,
    media,
    messages,
    numbers,
    profile,
    registration,
    templates,
    tokens,
    wabas,
)

__all__ = [
    "apps",
    "coexistence",
    "dialog",
    "extras",
    "login",
    "media",
    "messages",
    "numbers",
    "profile",
    "registration",
    "templates",
    "tokens",
    "wabas",
]
