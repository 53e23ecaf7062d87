"""The login dialog: a person consents, and the app gets a code; and the script that opens it as a popup.

https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow
"""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from local.graph import phones
from local.graph.calls import Answer
from local.graph.graph import root
from local.graph.state import MANAGEMENT, MESSAGING, Code

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import App, Waba

_COEXISTENCE = "whatsapp_business_app_onboarding"
_KEPT = (
    "client_id",
    "redirect_uri",
    "state",
    "config_id",
    "scope",
    "display",
    "extras",
    "response_type",
)


@root("dialog/oauth", "GET", "POST")
def dialog(simulator: Simulator, call: Call, _node: None) -> Answer:
    """Show the consent page, or act on what the person chose."""
    app = simulator.state.apps.get(str(call.get("client_id", "")))
    if app is None:
        return _page(
            "Identificador de app no válido", "<p>The parameter client_id names no app.</p>", status=400
        )
    redirect = call.text("redirect_uri")
    if redirect is not None and app.redirect_uris and redirect not in app.redirect_uris:
        return _page(
            "URL bloqueada", "<p>This redirect_uri is not in the app's list of redirect URIs.</p>", status=400
        )
    if redirect is None and call.get("display") != "popup":
        return _page("Falta redirect_uri", "<p>The parameter redirect_uri is required.</p>", status=400)
    if call.method == "GET":
        return _consent(simulator, call, app)
    if call.get("choice") != "allow":
        return _leave(call, {"error": "access_denied"})
    return _allow(simulator, call, app)


def _allow(simulator: Simulator, call: Call, app: App) -> Answer:
    waba_id = call.text("waba_id")
    waba = simulator.state.wabas.get(waba_id or "")
    if waba is None:
        signed = sign_up(
            simulator,
            app_id=app.id,
            name=call.text("name") or "Mi negocio",
            phone_number=call.text("phone_number"),
            coexistence=_is_coexistence(call),
            redirect_uri=call.text("redirect_uri"),
        )
    else:
        code = issue_code(simulator, app.id, [waba.id], redirect_uri=call.text("redirect_uri"))
        signed = {"code": code.value, "message": _message(simulator, waba, coexistence=_is_coexistence(call))}
    return _leave(call, {"code": signed["code"]}, signed["message"])


def issue_code(
    simulator: Simulator,
    app_id: str,
    waba_ids: list[str] | None,
    *,
    redirect_uri: str | None = None,
    scopes: list[str] | None = None,
    expires_in: int | None = None,
) -> Code:
    """Make an authorization code: good once, for thirty seconds."""
    code = Code(
        value="AQ" + simulator.ids.letters(180),
        app_id=app_id,
        redirect_uri=redirect_uri,
        waba_ids=waba_ids,
        scopes=scopes or [MANAGEMENT, MESSAGING, "public_profile"],
        issued_at=simulator.clock.now(),
        expires_in=expires_in,
    )
    simulator.state.codes[code.value] = code
    simulator.changed()
    return code


def sign_up(simulator: Simulator, **wanted: Any) -> dict[str, Any]:
    """Do all that a business does in the embedded signup; answer the code and the window's message."""
    app_id = str(wanted.pop("app_id", None) or simulator.platform_app.id)
    redirect_uri, expires_in = wanted.pop("redirect_uri", None), wanted.pop("expires_in", None)
    is_coexistence = bool(wanted.pop("coexistence", False))
    phone = phones.digits_of(str(wanted.pop("phone_number", None) or ""))
    made = simulator.create_business(
        app_id=app_id,
        phone_number=phone or None,
        coexistence=is_coexistence,
        registered=is_coexistence,
        **wanted,
    )
    del simulator.state.tokens[made.pop("access_token")]
    waba = simulator.state.wabas[made["waba_id"]]
    code = issue_code(simulator, app_id, [waba.id], redirect_uri=redirect_uri, expires_in=expires_in)
    message = _message(simulator, waba, coexistence=is_coexistence)
    return {**made, "code": code.value, "message": message}


def _message(simulator: Simulator, waba: Waba, *, coexistence: bool) -> dict[str, Any]:
    """Return what the signup's window posts to its opener."""
    data: dict[str, Any] = {"waba_id": waba.id, "business_id": waba.business_id}
    numbers = simulator.state.numbers_of(waba.id)
    if coexistence:
        return {
            "type": "WA_EMBEDDED_SIGNUP",
            "event": "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING",
            "version": "3",
            "data": {"waba_id": waba.id},
        }
    if not numbers:
        return {"type": "WA_EMBEDDED_SIGNUP", "event": "FINISH_ONLY_WABA", "version": "3", "data": data}
    data = {"phone_number_id": numbers[-1].id, **data}
    return {"type": "WA_EMBEDDED_SIGNUP", "event": "FINISH", "version": "3", "data": data}


def _is_coexistence(call: Call) -> bool:
    extras = call.get("extras")
    if isinstance(extras, str):
        try:
            extras = json.loads(extras)
        except ValueError:
            return False
    return isinstance(extras, dict) and extras.get("featureType") == _COEXISTENCE


def _leave(call: Call, result: dict[str, str], message: dict[str, Any] | None = None) -> Answer:
    """Go back to the app: by redirect, or by messages from the popup."""
    redirect = call.text("redirect_uri")
    if redirect is None or call.get("display") == "popup":
        return _popup_end(result, message or _cancelled())
    if "error" in result:
        result = {
            "error": "access_denied",
            "error_code": "200",
            "error_description": "Permissions error",
            "error_reason": "user_denied",
        }
    state = call.text("state")
    if state is not None:
        result = {**result, "state": state}
    parts = urlsplit(redirect)
    query = "&".join(part for part in (parts.query, urlencode(result)) if part)
    target = urlunsplit((parts.scheme, parts.netloc, parts.path, query, "_=_"))
    return Answer(status=302, headers=[(b"location", target.encode()), (b"cache-control", b"no-store")])


def _cancelled() -> dict[str, Any]:
    return {"type": "WA_EMBEDDED_SIGNUP", "event": "CANCEL", "data": {"current_step": "PHONE_NUMBER_SETUP"}}


def _popup_end(result: dict[str, str], message: dict[str, Any]) -> Answer:
    told = json.dumps([json.dumps(message), {"simulatorLogin": result}]).replace("<", "\\u003c")
    script = (
        f"for (const message of {told}) window.opener && window.opener.postMessage(message, '*');"
        "window.close();"
    )
    return _page("Listo", "<p>Puedes cerrar esta ventana.</p>", script=script)


def _consent(simulator: Simulator, call: Call, app: App) -> Answer:
    kept = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(_as_text(call.get(name)))}">'
        for name in _KEPT
        if call.get(name) not in (None, "")
    )
    existing = "".join(
        f'<label><input type="radio" name="waba_id" value="{waba.id}"> {html.escape(waba.name)}'
        f" <small>{html.escape(_numbers_of(simulator, waba))}</small></label>"
        for waba in simulator.state.wabas.values()
    )
    return _page(
        f"Conectar con {app.name}",
        f"""<p><b>{html.escape(app.name)}</b> podrá gestionar tu cuenta de WhatsApp Business
        y enviar mensajes en su nombre.</p>
        <form method="post">{kept}
        <fieldset><legend>¿Qué cuenta?</legend>
        <label><input type="radio" name="waba_id" value="" checked> Una cuenta nueva</label>
        <div class="new"><label>Nombre <input name="name" value="Panadería Demo"></label>
        <label>Número <input name="phone_number" value="+1 555 010 {simulator.ids.digits(4)}"></label></div>
        {existing}</fieldset>
        <p class="end"><button name="choice" value="deny">Cancelar</button>
        <button name="choice" value="allow" class="main">Continuar</button></p></form>""",
    )


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _numbers_of(simulator: Simulator, waba: Waba) -> str:
    return ", ".join(number.display_phone_number for number in simulator.state.numbers_of(waba.id))


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;background:#f0f2f5;color:#1c1e21;margin:0}
main{max-width:28rem;margin:3rem auto;background:#fff;border-radius:12px;padding:1.5rem 2rem;
box-shadow:0 1px 4px rgba(0,0,0,.2)}h1{font-size:1.3rem}fieldset{border:1px solid #ccd0d5;border-radius:8px}
label{display:block;margin:.4rem 0}.new{margin-left:1.6rem}small{color:#606770}
.end{text-align:right}button{font:inherit;padding:.5rem 1.2rem;border:0;border-radius:6px;cursor:pointer}
.main{background:#1877f2;color:#fff}input:not([type=radio]){font:inherit;width:100%;box-sizing:border-box}
"""


def _page(title: str, content: str, *, status: int = 200, script: str = "") -> Answer:
    scripts = f"<script>{script}</script>" if script else ""
    text = (
        f'<!doctype html><html lang="es"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<main><h1>{html.escape(title)}</h1>{content}</main>{scripts}</html>"
    )
    return Answer(
        status=status,
        content=text.encode(),
        headers=[(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store")],
    )


_SDK = """
// Stands in for Meta's JavaScript SDK: FB.init and FB.login, as the embedded signup uses them.
(() => {
  const base = new URL(document.currentScript.src).origin;
  let settings = {};
  window.FB = {
    init(wanted) { settings = wanted; },
    login(done, options = {}) {
      const query = new URLSearchParams({
        client_id: settings.appId, display: 'popup', response_type: options.response_type || 'code',
        config_id: options.config_id || '', extras: JSON.stringify(options.extras || {}),
      });
      const popup = window.open(`${base}/${settings.version || 'v26.0'}/dialog/oauth?${query}`,
        'login', 'width=560,height=720');
      let isOver = false;
      const finish = (answer) => {
        if (isOver) return;
        isOver = true;
        window.removeEventListener('message', listen);
        clearInterval(watch);
        done(answer);
      };
      const listen = (event) => {
        if (event.source !== popup || !event.data || !event.data.simulatorLogin) return;
        const { code } = event.data.simulatorLogin;
        const authResponse = code ? { code } : null;
        finish({ status: code ? 'connected' : 'unknown', authResponse });
      };
      const watch = setInterval(() => {
        if (popup && popup.closed) setTimeout(() => finish({ status: 'unknown', authResponse: null }), 500);
      }, 500);
      window.addEventListener('message', listen);
    },
  };
  if (window.fbAsyncInit) window.fbAsyncInit();
})();
"""


@root("favicon.ico", "GET")
def no_icon(_simulator: Simulator, _call: Call, _node: None) -> Answer:
    """Answer what every browser asks for."""
    return Answer(status=204)


@root("en_US/sdk.js", "GET")
def sdk(_simulator: Simulator, _call: Call, _node: None) -> Answer:
    """Give the script that stands in for Meta's SDK."""
    return _script()


def _script() -> Answer:
    return Answer(
        content=_SDK.encode(), headers=[(b"content-type", b"application/javascript; charset=utf-8")]
    )


@root("es_LA/sdk.js", "GET")
def sdk_in_spanish(_simulator: Simulator, _call: Call, _node: None) -> Answer:
    """Give the same script under the Spanish address."""
    return _script()
