"""The one error that a user sees."""


class TrainingError(Exception):
    """Something that a recipe, its data or its backbone caused: what, where, expected, found, remedy, as tilewise words them."""

    def __init__(self, what, where="", expected="", found="", remedy=""):
        details = [f"{label} {text}" for label, text in (("at", where), ("expected", expected), ("found", found)) if text]
        message = what + (f" ({'; '.join(details)})" if details else "") + (f". {remedy}" if remedy else "")
        super().__init__(message if message.endswith(".") else message + ".")
