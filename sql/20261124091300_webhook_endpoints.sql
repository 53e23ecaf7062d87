-- What the webhook must know before it can tell whether a delivery for an organization's own app is genuine.

create function public.find_webhook_endpoint(integration uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'has_own_app', i.has_own_app, 'app_secret', i.app_secret, 'webhook_verify_token', i.webhook_verify_token
    )
    from public.whatsapp_integrations as i
    where i.id = integration
$$;
revoke execute on function public.find_webhook_endpoint from public, anon, authenticated;
grant execute on function public.find_webhook_endpoint to service_role;
