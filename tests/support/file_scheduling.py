"""Which worker of pytest-xdist runs a test: whole files and groups go to one, so that it makes what they share once."""

from xdist.scheduler.loadgroup import LoadGroupScheduling


class FileScheduling(LoadGroupScheduling):
    """Hand out groups of tests, and all other tests by file."""

    def _split_scope(self, nodeid: str) -> str:
        """The name of a test's group, or its file."""
        return super()._split_scope(nodeid).partition("::")[0]
