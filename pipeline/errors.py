"""Errors that a user can mend."""


class UserError(ValueError):
    """Bad input. The message names the field or file, the value given, and what is allowed.

    The entry scripts print it as one message, without a traceback, and exit with 2.
    """
