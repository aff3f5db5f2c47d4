"""The one exception for what a user gave and can mend. Everything else that is raised is a fault of ours and keeps its traceback."""


class InputError(ValueError):
    """An input cannot be used. The message is one line: what was expected, what came, what to do.

    Scripts print it on stderr and end with exit status `status` (cli.py).
    """

    def __init__(self, message, status=2):
        super().__init__(message)
        self.status = status
