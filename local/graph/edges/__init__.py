"""The edges of the Graph; importing this package registers them."""

from local.graph.edges import messages, numbers, tokens, wabas

__all__ = ["messages", "numbers", "tokens", "wabas"]
