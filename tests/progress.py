"""While the tests run: what runs, how much is done, how many snippets are left in the background."""

import sys
import threading

import pytest

SECONDS = 20  # between two lines
BACKGROUND = pytest.StashKey[list]()  # futures of the snippets and labs


class Progress:
    """Prints a line now and then, also while a test waits for the background."""

    def __init__(self, config: pytest.Config):
        self.config, self.total, self.done, self.now = config, 0, 0, ""
        self.over = threading.Event()

    def pytest_collection_finish(self, session):
        self.total = len(session.items)
        threading.Thread(target=self._tell, daemon=True).start()

    def pytest_runtest_logstart(self, nodeid):
        self.now = nodeid.split("::")[0]

    def pytest_runtest_logfinish(self):
        self.done += 1

    def pytest_sessionfinish(self):
        self.over.set()

    def _tell(self):
        while not self.over.wait(SECONDS):
            futures = self.config.stash.get(BACKGROUND, [])
            left = sum(not future.done() for future in futures)
            print(
                f"\n{self.done} of {self.total} tests, {left} of {len(futures)} snippets and labs still to run; "
                f"now {self.now}",
                file=sys.__stderr__,
                flush=True,
            )
