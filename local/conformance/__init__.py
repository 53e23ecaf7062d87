"""A conformance suite for receivers of WhatsApp webhooks: point it at any URL. See docs/conformance.md."""
