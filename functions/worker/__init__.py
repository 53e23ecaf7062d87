"""Does what follows: sends that wait, media, bots, what was delivered to a queue."""
