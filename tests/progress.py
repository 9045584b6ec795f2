"""While the tests run: what runs, how much is done, how many snippets are left in the background."""

import sys
import time

import pytest

SECONDS = 20  # between two lines
BACKGROUND = pytest.StashKey[list]()  # futures of the snippets and labs


class Progress:
    """Prints a line now and then, at the end of a test."""

    def __init__(self, config: pytest.Config):
        self.config, self.total, self.done, self.told = config, 0, 0, time.monotonic()

    def pytest_collection_finish(self, session):
        self.total = len(session.items)

    def pytest_runtest_logfinish(self, nodeid):
        self.done += 1
        if time.monotonic() - self.told >= SECONDS:
            self.told = time.monotonic()
            futures = self.config.stash.get(BACKGROUND, [])
            left = sum(not future.done() for future in futures)
            print(
                f"\n{self.done} of {self.total} tests, {left} of {len(futures)} snippets and labs still to run; "
                f"now {nodeid.split('::')[0]}",
                file=sys.__stderr__,
                flush=True,
            )
