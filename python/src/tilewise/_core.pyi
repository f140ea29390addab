"""The extension: one model, columns of inputs, columns of answers. Private; `tilewise.Model` is the API."""

from typing import Any

__version__: str

class Column:
    """Inputs of one side. Immutable."""

    @staticmethod
    def of_list(items: list[Any]) -> Column:
        """Copies texts (str, None) or records (dict)."""

    @staticmethod
    def of_arrow(schema: object, array: object) -> Column:
        """Takes the capsules of `__arrow_c_array__`; strings are not copied."""

    def __len__(self) -> int: ...

class Answers:
    """Columns as tilewise::AnswerColumns of <tilewise/columns.h> has them; empty where the task has none."""

    @property
    def rows(self) -> int: ...
    @property
    def scores(self) -> memoryview: ...
    @property
    def labels(self) -> memoryview: ...
    @property
    def values(self) -> memoryview: ...
    @property
    def embeddings(self) -> memoryview: ...
    @property
    def logits(self) -> memoryview: ...
    @property
    def ranked_ends(self) -> memoryview: ...
    @property
    def ranked_labels(self) -> memoryview: ...
    @property
    def ranked_scores(self) -> memoryview: ...
    @property
    def depths(self) -> memoryview: ...
    @property
    def truncated(self) -> memoryview: ...
    @property
    def out_of_scope(self) -> memoryview: ...
    @property
    def failures(self) -> list[tuple[int, str, dict[str, str]]]:
        """(row, message, parts of the message) of each row without an answer."""

class Model:
    """Thread-safe; other Python threads run while it answers."""

    def __init__(self, path: str, isa: str, replicas: int, cores_per_replica: int, pin: bool) -> None: ...
    @property
    def tasks(self) -> list[tuple[str, str, str, list[str], int, int, int]]: ...
    @property
    def isa(self) -> str: ...
    @property
    def replicas(self) -> int: ...
    def answer(
        self,
        task: str,
        left: Column,
        right: Column | None,
        *,
        top: int,
        both_orders: bool,
        threshold: float | None,
        logits: bool,
        full_depth: bool,
    ) -> Answers: ...
    def run(self, task: str, ids: Any, mask: Any, types: Any) -> memoryview:
        """Arrays by DLPack or the buffer protocol; sequences x outputs floats that may be written to."""

def compile(
    folder: str,
    output: str,
    backbone: str,
    precision: str,
    calibration: list[tuple[str, Column, Column | None]],
) -> None: ...
