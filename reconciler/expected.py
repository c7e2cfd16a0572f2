"""The error that a user can do something about: its text says what is wrong and how to go on.

Every room's own errors of that sort are kinds of it, so that a verb ends with the sentence and not with a traceback.
Whatever is not is a bug.
"""


class ExpectedError(Exception):
    """Something cannot go on; the text is for the user. It is one line, whatever stands in it; `below` are others."""

    def __init__(self, text: str, *below: str) -> None:
        super().__init__("\n".join((text, *below)))
        self.lines = (text, *below)
