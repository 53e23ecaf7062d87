"""Start with `python -m local.graph`."""

from local.graph.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
