"""The proofs: through the real entry points, against the local stack."""
