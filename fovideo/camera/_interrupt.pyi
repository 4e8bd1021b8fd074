from av.container import InputContainer

def can_interrupt(container: InputContainer) -> bool:
    """Whether `container` is laid out as expected, so that `interrupt` may be called on it.

    It must be open, opened with a timeout for opening, and not being read by another thread.
    """

def interrupt(container: InputContainer) -> None:
    """Make the read that blocks in `container`, and all later ones, fail.

    REQUIRED: can_interrupt(container) was true. Thread-safe. What libavformat raises then depends on where it was:
    av.error.ExitError, or the end of the stream.
    """
