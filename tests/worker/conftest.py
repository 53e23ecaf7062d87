"""A stack of its own for what workers do: nobody else's jobs are in it, and only the test's workers."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from functions.worker import shift
from local.stack import Stack, running_stack
from tests.endpoint import Endpoint
from tests.offices import Office, open_office
from tests.worker.entries import ENTRIES, entries_of
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    import psycopg

    from shared.jobs import JobFunction

    Connection = psycopg.Connection[tuple[Any, ...]]

WorkOff = Callable[..., Awaitable[None]]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    environ = {**os.environ, "LOCAL_WORKER": "off"}
    environ.pop("DATABASE_URL", None)
    with running_stack(tmp_path_factory.mktemp("worker-stack"), environ) as own:
        yield own


@pytest.fixture(scope="session")
def world(stack: Stack) -> Iterator[World]:
    world = World(stack.variables)
    yield world
    world.close()


@pytest.fixture
def office(world: World, database: Connection) -> Office:
    """A connected organization."""
    return open_office(world, database)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let each test go by the entries that are chosen for it."""
    if "work_off" in metafunc.fixturenames:
        chosen = entries_of(
            metafunc.definition.nodeid, every=getattr(metafunc.module, "BY_EVERY_ENTRY", False)
        )
        metafunc.parametrize("work_off", chosen, indirect=True)
    if "entry" in metafunc.fixturenames:
        metafunc.parametrize("entry", entries_of())


@pytest.fixture
def work_off(
    request: pytest.FixtureRequest, stack: Stack, database: Connection, monkeypatch: pytest.MonkeyPatch
) -> WorkOff:
    """Let a worker do what is due, by one of its entries, with another Meta if one is given."""
    enter = ENTRIES[request.param]
    environ = {name: text for name, text in stack.variables.items() if name != "DATABASE_URL"}

    async def work(
        jobs: Mapping[str, JobFunction] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        **variables: str,
    ) -> None:
        if jobs is not None:
            monkeypatch.setattr(shift, "JOBS", jobs)
        await enter({**environ, **variables}, transport, database)

    # What another test left waiting is none of this one's business.
    database.execute("delete from jobs")
    return work


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An organization's own server."""
    with Endpoint() as own:
        yield own
