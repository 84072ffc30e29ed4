"""Signals that land while a thread waits."""

__all__ = ["interrupt_behind"]


def interrupt_behind(error: RuntimeError) -> BaseException:
    """Return what a signal handler raised, such as KeyboardInterrupt, instead of the error it caused.

    gRPC and concurrent.futures wait on condition variables. An exception that a signal raises while such a
    wait ends leaves the lock released; leaving the `with` block around it then fails with "cannot release
    un-acquired lock". https://github.com/python/cpython/issues/118433 has an example.

    Args:
        error: What the wait raised. It is returned as it is if no interrupt is behind it.
    """
    cause = error.__context__
    return error if cause is None or isinstance(cause, Exception) else cause
