"""What is deployed: one folder per function; they never import each other.

Here stands what must be said first: a package is loaded before all that its modules import.
"""

import os

from shared import collector

collector.wait()
# None is wanted, and looking for some reads the metadata of every package.
# https://docs.pydantic.dev/latest/concepts/plugins/#disabling-plugins
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
