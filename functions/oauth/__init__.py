"""Connects an organization's own number."""
