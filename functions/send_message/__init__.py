"""Sends messages: one at once, or a batch at the number's own pace."""
