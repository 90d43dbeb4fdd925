"""Accept and keep: rules, idempotency, linking and the shared commit."""
