"""Message templates: creation, review, listing, change, deletion. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.edges.numbers import waba_and_app_health
from local.graph.errors import nonexisting_field, required
from local.graph.graph import NODE_TYPES, edge
from local.graph.paging import page
from local.graph.state import Template
from local.graph.template_text import check_category, check_language, check_name, invalid, normalize

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Waba

MOST_TEMPLATES = 250
_TOO_MANY, _EXISTS, _NOT_FOUND = 2388019, 2388024, 2593002

FIELDS = (
    "name",
    "previous_category",
    "parameter_format",
    "components",
    "language",
    "status",
    "category",
    "message_send_ttl_seconds",
    "id",
)
_MORE_FIELDS = (
    "rejected_reason",
    "quality_score",
    "health_status",
    "correct_category",
    "sub_category",
    "library_template_name",
    "cta_url_link_tracking_opted_out",
    "degrees_of_freedom_spec",
    "created_time",
    "last_updated_time",
)


def show_template(
    simulator: Simulator, call: Call, template: Template, asked: list[str] | None
) -> dict[str, Any]:
    """Return the fields that were asked for; fields without a value are left out, the id never is."""
    shown: dict[str, Any] = {}
    for name in asked or FIELDS:
        if name not in FIELDS and name not in _MORE_FIELDS:
            raise nonexisting_field(name, NODE_TYPES["template"])
        value = _field(simulator, call, template, name)
        if value is not None:
            shown[name] = value
    shown.setdefault("id", template.id)
    return shown


def _field(simulator: Simulator, call: Call, template: Template, name: str) -> Any:
    if name == "quality_score":
        return {"score": template.quality_score, "date": int(template.created_at)}
    if name == "health_status":
        return _health(simulator, call, template)
    return getattr(template, name, None)


def _health(simulator: Simulator, call: Call, template: Template) -> dict[str, Any]:
    entity: dict[str, Any] = {"entity_type": "MESSAGE_TEMPLATE", "id": template.id}
    if template.status == "APPROVED":
        entity["can_send_message"] = "AVAILABLE"
    else:
        entity["can_send_message"] = "BLOCKED"
        entity["can_receive_call_sip"] = "AVAILABLE"
        entity["errors"] = [
            {
                "error_code": 141002,
                "error_description": "Message templates can only be sent out if they are approved.",
                "possible_solution": "Edit or appeal the message template review decision.",
            }
        ]
    return {
        "can_send_message": entity["can_send_message"],
        "entities": [entity, *waba_and_app_health(simulator, call, template.waba_id)],
    }


@edge("waba", "message_templates", "GET")
def list_templates(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """List templates, filtered by name, status, category, language or content."""
    found = [template for template in simulator.state.templates_of(waba.id) if _is_wanted(call, template)]
    asked = call.fields()
    listed = page(
        call,
        found,
        lambda template: show_template(simulator, call, template, asked),
        simulator.base_url,
    )
    if call.query.get("summary"):
        listed["summary"] = {
            "total_count": len(found),
            "message_template_count": len(simulator.state.templates_of(waba.id)),
            "message_template_limit": MOST_TEMPLATES,
            "are_translations_complete": True,
        }
    return listed


def _is_wanted(call: Call, template: Template) -> bool:
    for name in ("name", "status", "category", "language"):
        wanted = call.query.get(name)
        if wanted is None:
            continue
        options = [str(one) for one in wanted] if isinstance(wanted, list) else str(wanted).split(",")
        if getattr(template, name) not in options:
            return False
    wanted = call.query.get("name_or_content") or call.query.get("content")
    return not wanted or str(wanted) in template.name or str(wanted) in str(template.components)


@edge("waba", "message_templates", "POST")
def create_template(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Create a template and give it to the review."""
    name, language, category = call.need("name"), call.need("language"), call.need("category").upper()
    check_name(name)
    check_language(language)
    check_category(category)
    components = normalize(call.get("components"), category)
    existing = simulator.state.templates_of(waba.id)
    if any(template.name == name and template.language == language for template in existing):
        raise invalid(
            _EXISTS,
            "Content in This Language Already Exists",
            f"There is already {language} content for this template. You can create a new template and try "
            "again.",
        )
    if len(existing) >= MOST_TEMPLATES:
        raise invalid(_TOO_MANY, "Template limit exceeded", "This account already has 250 templates.")
    ttl = call.get("message_send_ttl_seconds")
    template = Template(
        id=simulator.ids.object_id(),
        waba_id=waba.id,
        name=name,
        language=language,
        category=category,
        components=components,
        parameter_format=str(call.get("parameter_format") or "POSITIONAL").upper(),
        message_send_ttl_seconds=int(ttl) if ttl is not None else None,
        created_at=simulator.clock.now(),
    )
    simulator.state.templates[template.id] = template
    _plan_review(simulator, template)
    simulator.changed()
    return {"id": template.id, "status": template.status, "category": template.category}


def _plan_review(simulator: Simulator, template: Template) -> None:
    decision = simulator.settings.template_review
    if decision != "PENDING":
        simulator.plan(
            simulator.settings.template_review_after, lambda: _decide(simulator, template, decision)
        )


def _decide(simulator: Simulator, template: Template, decision: str) -> None:
    if template.status == "PENDING" and template.id in simulator.state.templates:
        review(simulator, template, decision, "INVALID_FORMAT" if decision == "REJECTED" else None)


def review(simulator: Simulator, template: Template, event: str, reason: str | None = None) -> None:
    """Let the review decide (APPROVED, REJECTED, PAUSED, DISABLED, FLAGGED …) and tell the business."""
    template.status = event
    template.rejected_reason = reason or "NONE"
    value: dict[str, Any] = {
        "event": event,
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "reason": reason or "NONE",
        "message_template_category": template.category,
    }
    simulator.publish(simulator.state.wabas[template.waba_id], "message_template_status_update", value)
    simulator.changed()


def recategorize(simulator: Simulator, template: Template, category: str) -> None:
    """Move a template into another category and tell the business."""
    value = {
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
        "previous_category": template.category,
        "new_category": category,
    }
    template.previous_category, template.category = template.category, category
    simulator.publish(simulator.state.wabas[template.waba_id], "template_category_update", value)
    simulator.changed()


def rate(simulator: Simulator, template: Template, score: str) -> None:
    """Change the quality of a template and tell the business."""
    value = {
        "previous_quality_score": template.quality_score,
        "new_quality_score": score,
        "message_template_id": int(template.id),
        "message_template_name": template.name,
        "message_template_language": template.language,
    }
    template.quality_score = score
    simulator.publish(simulator.state.wabas[template.waba_id], "message_template_quality_update", value)
    simulator.changed()


@edge("waba", "message_templates", "DELETE")
def delete_template(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Delete all languages of a name, or the one that `hsm_id` names."""
    template_id = call.text("hsm_id")
    name = call.text("name")
    if name is None and template_id is None:
        raise required("name")
    gone = [
        template
        for template in simulator.state.templates_of(waba.id)
        if (name is None or template.name == name) and (template_id is None or template.id == template_id)
    ]
    if not gone:
        raise invalid(
            _NOT_FOUND,
            "Message Template Not Found",
            f"The message template {name} wasn't found for this account.",
        )
    for template in gone:
        del simulator.state.templates[template.id]
    simulator.changed()
    return {"success": True}


@edge("template", "node", "GET")
def get_template(simulator: Simulator, call: Call, template: Template) -> dict[str, Any]:
    """Show a template."""
    return show_template(simulator, call, template, call.fields())


@edge("template", "node", "POST")
def change_template(simulator: Simulator, call: Call, template: Template) -> dict[str, Any]:
    """Change a template, which brings it back to the review."""
    category = call.text("category")
    if category is not None:
        check_category(category.upper())
        template.category = category.upper()
    if call.get("components") is not None:
        template.components = normalize(call.get("components"), template.category)
    template.status = "PENDING"
    _plan_review(simulator, template)
    simulator.changed()
    return {"success": True}


@edge("template", "node", "DELETE")
def delete_one_template(simulator: Simulator, _call: Call, template: Template) -> dict[str, Any]:
    """Delete one language of a template."""
    del simulator.state.templates[template.id]
    simulator.changed()
    return {"success": True}
