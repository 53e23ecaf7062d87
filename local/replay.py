"""`make replay`: the worker's replay, on what the environment names or on the local stack."""

from __future__ import annotations

import os
import sys

from functions.worker.replay import main
from local.stack import find

if __name__ == "__main__":
    environ = dict(os.environ)
    stack = find()
    if stack is not None and "SUPABASE_URL" not in environ:
        environ |= stack.variables
    sys.exit(main(environ=environ))
