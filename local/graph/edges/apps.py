"""The app node: its webhook subscription, and files uploaded for profiles and templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.errors import GraphError, documented, required
from local.graph.graph import edge
from local.graph.state import ALL_FIELDS, Upload

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import App


@edge("app", "node", "GET", scope=None, usage="", is_counted=False)
def get_app(_simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Show the app."""
    known = {"link": f"https://www.facebook.com/games/?app_id={app.id}", "name": app.name, "id": app.id}
    asked = call.fields() or list(known)
    return {**{name: known[name] for name in asked if name in known}, "id": app.id}


@edge("app", "subscriptions", "GET", scope=None, usage="", is_counted=False)
def list_subscriptions(_simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Show the callback of the app."""
    _need_app_token(call, app)
    if not app.callback_url:
        return {"data": []}
    fields = [{"name": name, "version": app.webhook_version} for name in app.fields]
    subscription = {
        "object": "whatsapp_business_account",
        "callback_url": app.callback_url,
        "active": True,
        "fields": fields,
    }
    return {"data": [subscription]}


@edge("app", "subscriptions", "POST", scope=None, usage="", is_counted=False)
async def subscribe(simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Set the callback of the app and its fields; the callback must answer the handshake."""
    _need_app_token(call, app)
    if call.need("object") != "whatsapp_business_account":
        raise GraphError(100, "(#100) Param object must be one of {whatsapp_business_account}")
    url, verify_token = call.need("callback_url"), call.need("verify_token")
    wanted = call.get("fields", [])
    names = wanted if isinstance(wanted, list) else [name.strip() for name in str(wanted).split(",")]
    names = [str(name) for name in names if name]
    for name in names:
        if name not in ALL_FIELDS:
            raise GraphError(100, f"(#100) Param fields[0] must be one of {{{', '.join(ALL_FIELDS)}}}")
    wrong = await simulator.shake_hands(url, verify_token)
    if wrong is not None:
        raise documented(
            2200, message=f"(#2200) Callback verification failed with the following errors: {wrong}"
        )
    app.callback_url, app.verify_token = url, verify_token
    if names:
        app.fields = names
    simulator.changed()
    return {"success": True}


@edge("app", "subscriptions", "DELETE", scope=None, usage="", is_counted=False)
def unsubscribe(simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Take the callback or some fields away."""
    _need_app_token(call, app)
    names = call.get("fields")
    if names:
        gone = names if isinstance(names, list) else str(names).split(",")
        app.fields = [name for name in app.fields if name not in gone]
    else:
        app.callback_url = None
    simulator.changed()
    return {"success": True}


def _need_app_token(call: Call, app: App) -> None:
    if call.token.type != "APP" or call.token.app_id != app.id:
        raise GraphError(15, "(#15) This method must be called with an app access_token.")


@edge("app", "uploads", "POST", scope=None, usage="", is_counted=False)
def begin_upload(simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Begin a resumable upload."""
    try:
        length = int(call.need("file_length"))
    except ValueError:
        raise GraphError(100, "(#100) Param file_length must be an integer") from None
    upload = Upload(
        id=f"upload:{simulator.ids.letters(40)}",
        app_id=app.id,
        mime_type=call.need("file_type"),
        length=length,
        name=call.text("file_name"),
    )
    simulator.state.uploads[upload.id] = upload
    simulator.changed()
    return {"id": upload.id}


@edge("upload", "node", "POST", scope=None, usage="", is_counted=False)
def continue_upload(simulator: Simulator, call: Call, upload: Upload) -> dict[str, Any]:
    """Take bytes; when all are there, a handle stands for the file."""
    offset = call.headers.get("file_offset", "0")
    if not call.raw:
        raise required("file")
    if not offset.isdigit() or int(offset) != len(upload.content):
        raise GraphError(100, "(#100) Invalid file_offset")
    upload.content += call.raw
    if len(upload.content) < upload.length:
        return {"id": upload.id}
    upload.handle = f"4::{simulator.ids.letters(80)}"
    simulator.changed()
    return {"h": upload.handle}


@edge("upload", "node", "GET", scope=None, usage="", is_counted=False)
def get_upload(_simulator: Simulator, _call: Call, upload: Upload) -> dict[str, Any]:
    """Tell how far an upload came."""
    return {"id": upload.id, "file_offset": len(upload.content)}
