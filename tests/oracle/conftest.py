"""Jobs of these tests end quickly."""

from tests.garbage import frozen_modules as frozen_modules
