"""tilewise: BERT-class encoders on the matrix and vector units of server processors.

    import tilewise

    with tilewise.open("model.tw") as model:
        model.predict("intent", ["where is my parcel"])[0].label
        model.score("duplicate", {"title": "red mug"}, {"title": "mug, red"})

Answers are those of the `tilewise` command line, bit for bit.
"""

from tilewise._core import __version__
from tilewise.answers import LabelScore, Prediction, Predictions
from tilewise.compiling import compile
from tilewise.errors import (
    Error,
    InputOutputError,
    InternalError,
    InvalidArgumentError,
    InvalidInputError,
    MachineError,
    NotFoundError,
    RowError,
    UnknownNameError,
    UnsupportedError,
    WrongTypeError,
)
from tilewise.model import Model, Task, open

__all__ = [
    "Error",
    "InputOutputError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidInputError",
    "LabelScore",
    "MachineError",
    "Model",
    "NotFoundError",
    "Prediction",
    "Predictions",
    "RowError",
    "Task",
    "UnknownNameError",
    "UnsupportedError",
    "WrongTypeError",
    "__version__",
    "compile",
    "open",
]
