"""Re-encrypts everything with the newest key while the system runs. An edge.

It looks only for what another key wrote, and writes back only where nobody wrote meanwhile: so it may be cut
off and started again, or run twice at once, and a token that is renewed at the same moment is not lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared import log
from shared.crypto import CannotDecrypt

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.crypto import KeyRing
    from shared.database import Session

PAGE = 100


@dataclass(kw_only=True)
class Rotation:
    """How far a rotation has come."""

    outdated: dict[str, int]
    rotated: int = 0
    # Written meanwhile by somebody else, and so with the newest key already.
    overtaken: int = 0
    # Rows whose key is not in the ring, by place and id.
    unreadable: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many rows there were to do."""
        return sum(self.outdated.values())


async def rotate_keys(
    service: Session,
    keys: KeyRing,
    *,
    tell: Callable[[Rotation], None] = lambda _rotation: None,
    is_dry_run: bool = False,
) -> Rotation:
    """Re-encrypt page by page, telling the progress after each."""
    counted = await service.rpc("count_outdated_secrets", {"writing_id": keys.writing_id})
    rotation = Rotation(outdated=counted)
    tell(rotation)
    if is_dry_run:
        return rotation
    for place in counted:
        after = None
        while True:
            query = {
                "wanted_place": place,
                "writing_id": keys.writing_id,
                "after": after,
                "most": PAGE,
            }
            rows: list[dict[str, Any]] = await service.rpc("find_outdated_secrets", query)
            if not rows:
                break
            after = rows[-1]["id"]
            swaps = [swap for row in rows if (swap := _reencrypt(keys, row, rotation)) is not None]
            done = await service.rpc("swap_secrets", {"swaps": swaps}) if swaps else 0
            rotation.rotated += done
            rotation.overtaken += len(swaps) - done
            tell(rotation)
    log.info("keys.rotated", rows=rotation.rotated, unreadable=len(rotation.unreadable))
    return rotation


def _reencrypt(keys: KeyRing, row: dict[str, Any], rotation: Rotation) -> dict[str, Any] | None:
    outdated = {name: text for name, text in row["secrets"].items() if keys.needs_rotation(text)}
    # A secret that has become the previous one was encrypted for the column in which it stood.
    sealed_as: dict[str, str] = row["sealed_as"]
    try:
        renewed = {
            name: keys.encrypt(
                keys.decrypt(text, row_id=row["id"], column=sealed_as[name]),
                row_id=row["id"],
                column=sealed_as[name],
            )
            for name, text in outdated.items()
        }
    except CannotDecrypt:
        rotation.unreadable.append(f"{row['place']} {row['id']}")
        return None
    return {"place": row["place"], "id": row["id"], "old": outdated, "new": renewed}
