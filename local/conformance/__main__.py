"""Run with `python -m local.conformance URL --secret SECRET`."""

from local.conformance.command import main

if __name__ == "__main__":
    raise SystemExit(main())
