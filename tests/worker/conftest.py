"""A stack of its own for what workers do: nobody else's jobs are in it, and only the test's workers."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from functions.worker.handler import NEED
from functions.worker.job_queue import JobQueue
from functions.worker.shift import JOBS
from local.stack import Stack, running_stack
from shared.web import Resources
from tests.endpoint import Endpoint
from tests.offices import Office, open_office
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    import psycopg

    from shared.jobs import JobFunction

    Connection = psycopg.Connection[tuple[Any, ...]]

WorkOff = Callable[..., Awaitable[int]]


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


@pytest.fixture
def work_off(stack: Stack, database: Connection) -> WorkOff:
    """Do all jobs that are due, in this process, with another Meta if one is given."""

    async def work(
        functions: Mapping[str, JobFunction] = JOBS,
        transport: httpx.AsyncBaseTransport | None = None,
        **keywords: Any,
    ) -> int:
        environ = {name: text for name, text in stack.variables.items() if name != "DATABASE_URL"}
        resources = Resources(environ, NEED, transport)
        try:
            return await JobQueue(resources, functions, **keywords).run(seconds=30, is_patient=False)
        finally:
            await resources.close()

    # What another test left waiting is none of this one's business.
    database.execute("delete from jobs")
    return work


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An organization's own server."""
    with Endpoint() as own:
        yield own
