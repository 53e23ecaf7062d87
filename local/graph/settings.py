"""What can be set about the simulator's behaviour, at the start or through the control API. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

RETRY_DELAYS = (0.5, 2.0, 5.0, 15.0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR)
"""After these, every twelve hours until `retry_for`."""

MESSAGE_FIELDS = (
    "messages",
    "message_echoes",
    "calls",
    "history",
    "smb_app_state_sync",
    "smb_message_echoes",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "user_preferences",
)


@dataclass(kw_only=True)
class Settings:
    """All times are simulated seconds, unless a name says otherwise."""

    # Statuses of accepted messages
    sent_after: float = 0.05
    delivered_after: float = 0.15
    read_after: float = 0.5
    auto_read: bool = False
    statuses: list[str] = field(default_factory=lambda: ["sent", "delivered"])
    reverse_statuses: bool = False

    # Deliveries
    retry_delays: list[float] = field(default_factory=lambda: list(RETRY_DELAYS))
    retry_every: float = 12 * _HOUR
    retry_for: float = 7 * _DAY
    delivery_timeout: float = 10.0
    """Real seconds."""
    deliveries_at_once: int = 32
    duplicates: int = 0
    """How many times more each delivery is sent."""
    shuffle_within: float = 0.0
    """Each delivery waits for a random time up to this, so that order is lost."""
    batch_max: int = 1
    batch_within: float = 0.0
    batch_shape: str = "changes"
    """How a batch is put together: `entries`, `changes` or `values` (one list of messages)."""
    override_fields: list[str] = field(default_factory=lambda: list(MESSAGE_FIELDS))
    """Fields that obey a callback of the number or the WABA; all others go to the app's own."""

    # Versions
    newest_version: str = "v26.0"
    oldest_version: str | None = None
    """A call to an older one is served as this one; None: as the calendar of versions says."""

    # Limits
    enforce_limits: bool = True
    enforce_window: bool = True
    throughput: dict[str, int] = field(
        default_factory=lambda: {"STANDARD": 80, "HIGH": 1000, "COEXISTENCE": 20, "NOT_APPLICABLE": 80}
    )
    pair_interval: float = 6.0
    pair_burst: int = 45
    management_calls_per_hour: int = 200
    management_calls_per_hour_registered: int = 5000
    registrations_per_72_hours: int = 10
    code_requests_per_hour: int = 5
    code_guesses: int = 5
    code_lifetime: float = 10 * _MINUTE
    pin_guesses_per_hour: int = 10
    media_url_lifetime: float = 5 * _MINUTE
    media_lifetime: float = 30 * _DAY
    inbound_media_lifetime: float = 7 * _DAY
    oauth_code_lifetime: float = 30.0
    sync_within: float = _DAY

    # Templates
    template_review_after: float = 1.0
    template_review: str = "APPROVED"
    """What the review decides: APPROVED, REJECTED, or PENDING for a decision by the control API."""

    # Media that a message names by link
    fetch_links: bool = False
    """Whether the simulator downloads such links; without it they are believed."""

    # History of a coexistence number
    shares_history: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return all settings."""
        return asdict(self)

    def change(self, changes: dict[str, Any]) -> None:
        """Take over changes; raises ValueError with a sentence about the first that cannot be."""
        known = {member.name: getattr(self, member.name) for member in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"There is no setting {name!r}; the settings are {', '.join(known)}.")
            _check(name, known[name], value)
        for name, value in changes.items():
            setattr(self, name, value)


def _check(name: str, old: object, new: object) -> None:
    is_number = isinstance(new, int | float) and not isinstance(new, bool)
    if isinstance(old, bool):
        fits = isinstance(new, bool)
    elif isinstance(old, int | float):
        fits = is_number and (isinstance(old, float) or isinstance(new, int)) and new >= 0  # type: ignore[operator]
    elif old is None or name == "oldest_version":
        fits = new is None or isinstance(new, str)
    else:
        fits = isinstance(new, type(old))
    if not fits:
        raise ValueError(f"The setting {name!r} cannot be {new!r}.")
