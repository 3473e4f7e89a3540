"""What can go wrong, as one tree.

    BothwaysError
    ├── InputError              an argument or array has the wrong value, shape or dtype (a ValueError)
    ├── DataError               a table cannot be used; names the file, and the row and column where known
    ├── ModelFileError          a model file is missing, damaged or not ours
    └── MissingDependencyError  an optional package is not installed (an ImportError)

Every message says what came, what is needed and what to do, in one or two lines. The command line
prints it and exits with 2.
"""

from __future__ import annotations


class BothwaysError(Exception):
    """Whatever bothways raises on purpose.

    Example:
        >>> issubclass(DataError, BothwaysError)
        True
    """


class InputError(BothwaysError, ValueError):
    """An argument or array has the wrong value, shape or dtype.

    Example:
        >>> issubclass(InputError, ValueError)
        True
    """


class DataError(BothwaysError):
    """A table cannot be used: the message names the file, and the row and column where known.

    Example:
        >>> raise DataError("flows.csv: no column 'lable'. Did you mean 'label'?")
        Traceback (most recent call last):
        bothways.errors.DataError: flows.csv: no column 'lable'. Did you mean 'label'?
    """


class ModelFileError(BothwaysError):
    """A model file is missing, damaged, or was not written by bothways.

    Example:
        >>> issubclass(ModelFileError, BothwaysError)
        True
    """


class MissingDependencyError(BothwaysError, ImportError):
    """An optional package is needed and not installed; the message says how to install it.

    Example:
        >>> issubclass(MissingDependencyError, ImportError)
        True
    """
