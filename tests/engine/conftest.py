"""Settings of this folder's property tests: laws are checked, clocks are not."""

from hypothesis import settings

settings.register_profile("no-clock", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("no-clock")
