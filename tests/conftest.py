"""The stack that tests run against: one of their own, or the one that the environment names."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from local.stack import Stack, running_stack
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import Organization, Simulator, User

# No test judges by the clock, those of properties no more than others.
settings.register_profile(
    "timeless", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("timeless")
NEED_OF_A_GIVEN_STACK = ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "GRAPH_API_URL")


LOOP = pytest.StashKey[asyncio.AbstractEventLoop]()


def pytest_configure(config: pytest.Config) -> None:
    """Have an event loop before a handler is imported: Mangum would make one, and nobody would close it."""
    config.stash[LOOP] = asyncio.new_event_loop()
    asyncio.set_event_loop(config.stash[LOOP])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close that loop."""
    config.stash[LOOP].close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the stack: `-m "not stack"` leaves the tests that take no time to set up."""
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.stack)


@pytest.fixture(autouse=True)
def current_loop(pytestconfig: pytest.Config) -> None:
    """Have that loop again where a test's own runner has taken it away."""
    asyncio.set_event_loop(pytestconfig.stash[LOOP])


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The running stack: its variables and its logs."""
    folder = tmp_path_factory.mktemp("stack")
    if os.environ.get("SUPABASE_URL") and os.environ.get("FUNCTIONS_URL"):
        missing = [name for name in NEED_OF_A_GIVEN_STACK if not os.environ.get(name)]
        if missing:
            pytest.exit(
                f"SUPABASE_URL and FUNCTIONS_URL name a running stack, but {', '.join(missing)} is missing."
            )
        yield Stack(folder, dict(os.environ))
        return
    # Tests that need a worker run their own, and kill it.
    environ = {**os.environ, "LOCAL_WORKER": "off"}
    if not environ.get("SUPABASE_URL"):
        # Many projects export this name; tests write wherever it leads.
        environ.pop("DATABASE_URL", None)
    with running_stack(folder, environ) as own:
        yield own


@pytest.fixture(scope="session")
def world(stack: Stack) -> Iterator[World]:
    """Users, organizations and clients of the running stack."""
    world = World(stack.variables)
    if world.simulator.client.get("/health").is_success:
        # Whoever settles has what Meta decides about templates, too.
        world.simulator.patch("/settings", template_review_after=0)
    yield world
    world.close()


@pytest.fixture
def new_user(world: World) -> Callable[[], User]:
    return world.new_user


@pytest.fixture
def new_organization(world: World) -> Callable[..., Organization]:
    return world.new_organization


@pytest.fixture
def simulator(world: World) -> Simulator:
    """The control API of the Graph simulator; needs ours in the place of Meta."""
    if not world.simulator.client.get("/health").is_success:
        pytest.skip("GRAPH_API_URL is not our simulator")
    return world.simulator


@pytest.fixture(scope="module", autouse=True)
def no_jobs_of_others(request: pytest.FixtureRequest) -> None:
    """Take away the jobs and sends that other modules left: a module's own workers do what is its own."""
    mine = [item for item in request.session.items if item.path == request.path]
    if not any("stack" in getattr(item, "fixturenames", ()) for item in mine):
        return
    url = request.getfixturevalue("stack").variables.get("DATABASE_URL")
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("delete from jobs")
            connection.execute("delete from send_queue")


@pytest.fixture(autouse=True)
def no_calls_of_others(request: pytest.FixtureRequest) -> None:
    """Give each test all calls about the platform's account: together they need more than an hour's."""
    if "stack" not in request.fixturenames:
        return
    url = request.getfixturevalue("stack").variables.get("DATABASE_URL")
    if url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("delete from rate_limits where kind = 'management'")


@pytest.fixture(scope="session")
def functions_url(stack: Stack) -> str:
    return stack.variables["FUNCTIONS_URL"]


@pytest.fixture(scope="session")
def graph_url(stack: Stack) -> str:
    return stack.variables["GRAPH_API_URL"]


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A superuser's connection; each statement is its own transaction."""
    url = stack.variables.get("DATABASE_URL")
    if not url:
        pytest.skip("DATABASE_URL is not set")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
