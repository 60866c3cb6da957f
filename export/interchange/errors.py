"""What cannot be said in an interchange format, or is not understood in one."""

from pynn_models.errors import SnnSsmError


class InterchangeError(SnnSsmError):
    """A network that NIR cannot say, or a file or graph that is no network; names the node."""
