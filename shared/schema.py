"""What the migrations create for the functions to use: the doctor looks for each. No I/O.

`tests/database/test_catalog.py` compares these with a database that has all of sql/.
"""

from __future__ import annotations

TABLES = (
    "audit_entries", "bot_rules", "bots", "chats", "connection_syncs", "contact_aliases", "contacts",
    "event_endpoints", "former_phones", "idempotency_keys", "job_schedules", "jobs", "member_invitations",
    "message_batches", "message_media", "message_receipts", "message_templates", "messages", "notices",
    "oauth_states", "organization_members", "organizations", "outbound_events", "rate_limits",
    "retention_periods", "send_permits", "send_queue", "template_names", "webhook_events",
    "webhook_problems", "whatsapp_integrations", "whatsapp_registrations", "whatsapp_verifications",
)  # fmt: skip
FUNCTIONS = (
    "accept_invitation", "add_event_endpoint", "advance_connection", "advance_verification", "begin_batch",
    "begin_bot_turn", "begin_connection", "begin_event_delivery", "begin_media", "begin_read",
    "begin_registration", "begin_retry", "begin_send", "begin_signup", "begin_sync", "begin_verification",
    "cancel_batch", "claim_jobs", "claim_sends", "claim_template_name", "count_jobs",
    "count_others_on_waba", "count_outdated_secrets", "decline_invitation", "disconnect_integration",
    "drop_jobs", "end_attempt", "end_registration", "examine_database", "find_chats", "find_media",
    "find_outdated_secrets", "find_signup_token", "find_stale_platform_tokens", "find_webhook_endpoint",
    "finish_bot_turn", "finish_event_delivery", "finish_jobs", "finish_media", "finish_sends",
    "finish_signup", "finish_sync", "forget_templates", "get_batch", "invite_member", "is_asking_sync",
    "is_number_still_proven", "keep_refreshed_token", "keep_signup_token", "keep_templates", "learn_number",
    "leave_organization", "list_early_events", "list_jobs", "list_members", "list_my_invitations",
    "list_webhook_events", "mark_integration_error", "measure_work", "my_connection", "owns_template",
    "plan_refreshes", "receive_signup_code", "release_sends", "remove_event_endpoint", "renew_bot_secret",
    "renew_event_secret", "renew_jobs", "replay_events", "retry_in_other_form", "retry_jobs",
    "reveal_secret", "revive_token_refreshes", "save_bot", "set_chat_bot", "settle_guess", "settle_sends",
    "start_sends", "store_delivery", "swap_secrets", "sweep", "take_guess", "take_management_calls",
    "take_signup", "tell_owner", "withdraw_invitation",
)  # fmt: skip
