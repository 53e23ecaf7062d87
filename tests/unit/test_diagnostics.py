"""The doctor's words: every cause is told in both languages, and has been produced in a test."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from shared.diagnostics import (
    CAUSES,
    LINKS,
    NEEDS,
    OK,
    SKIPPED,
    Report,
    failed,
    judge_health,
    judge_jobs,
    warn,
)

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT.parent / "docs" / "troubleshooting.md").read_text()
SOURCES = [*ROOT.glob("stack/test_connect_diagnostics.py"), *ROOT.glob("stack/test_connect_doctor.py")]
# What a cause's sentence may ask for.
FIELDS = {
    name
    for words in CAUSES.values()
    for text in words[:2]
    for _, name, _, _ in string.Formatter().parse(text)
    if name
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_is_produced_on_the_running_stack(cause: str) -> None:
    assert any(f'"{cause}"' in source.read_text() for source in SOURCES)


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_says_the_same_in_both_languages(cause: str) -> None:
    words = CAUSES[cause]

    fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in words[:2]]

    assert fields[0] == fields[1]
    assert all(text.endswith(".") for text in words)


@pytest.mark.parametrize("cause", CAUSES)
def test_the_help_of_each_cause_leads_to_one_heading_of_the_guide(cause: str) -> None:
    help_ = failed(cause, **dict.fromkeys(FIELDS, 1)).to_json("database", "en")["help"]

    assert re.findall(r"^#+ (\w+)$", GUIDE, re.MULTILINE).count(help_) == 1


def test_the_guide_says_of_each_cause_what_the_doctor_says_and_what_to_do_in_both_languages() -> None:
    told = GUIDE.partition("## What the doctor finds\n")[2].partition("\n## ")[0]
    sections = dict(re.findall(r"^### (\w+)\n\n(.*?)(?=\n### |\Z)", told, re.MULTILINE | re.DOTALL))

    # Two causes are errors of the functions too: their headings stand among those.
    assert set(sections) == set(CAUSES) - {"meta_refused", "not_connected"}
    for cause, section in sections.items():
        quoted, *advice = section.strip().split("\n\n")
        assert quoted == f"> {CAUSES[cause].en}\n>\n> {CAUSES[cause].es}"
        assert len(advice) == 2


def test_a_link_needs_only_links_that_stand_before_it_or_are_asked_before() -> None:
    assert set(NEEDS) <= set(LINKS)
    assert all(need in LINKS for needs in NEEDS.values() for need in needs)


def test_what_hangs_on_a_broken_link_is_not_asked() -> None:
    report = Report(findings={"token": failed("token_expired")})

    assert not report.is_sound("scopes")


def test_a_warning_breaks_no_chain() -> None:
    report = Report(findings={"token": warn("token_ends_soon", date="2026-12-01")})

    assert report.is_sound("scopes")


def test_the_one_cause_is_the_first_of_the_worst() -> None:
    report = Report(
        findings={
            "jobs": failed("jobs_late", count=3),
            "token": failed("token_expired"),
            "graph": warn("version_ended", asked="v1", served="v2"),
            "scopes": SKIPPED,
            "settings": OK,
        }
    )

    told = report.to_json("en")

    assert (told["status"], told["cause"]) == ("failed", "token_expired")
    assert [check["id"] for check in told["checks"]] == ["settings", "graph", "token", "scopes", "jobs"]


def test_nothing_asked_is_nothing_broken() -> None:
    assert Report().to_json("es") == {"status": "ok", "cause": None, "checks": []}


@pytest.mark.parametrize("health", [None, "x", {}, {"entities": None}, {"entities": ["x", {}]}], ids=str)
def test_no_health_that_meta_may_send_makes_the_doctor_fall(health: object) -> None:
    assert judge_health(health) == OK


def test_late_jobs_matter_more_than_dead_ones() -> None:
    assert judge_jobs({"jobs_late": 1, "jobs_dead": 5}).cause == "jobs_late"
