"""``python -m streamsql`` is the command ``streamsql``."""

import sys

from streamsql.repl.app import main

sys.exit(main())
