"""The local stack: everything that production has, on one machine."""
