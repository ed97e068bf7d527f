"""Orders and services. Nothing in here knows of Airflow."""

import os
import sys

# Of Arrow's allocators the one that gives the most back: with the others a task takes 20 to 60 MB more, for no gain in
# time. Arrow looks here as it is imported, which is after this. https://arrow.apache.org/docs/cpp/env_vars.html
if sys.platform == "linux":  # where each of its builds has it
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
