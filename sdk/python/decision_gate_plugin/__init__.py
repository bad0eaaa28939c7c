"""Everything that a plugin of Decision Gate Host in Python imports.

    from decision_gate_plugin import Plugin, answer, serve

    class Tickets:
        contract = {...}
        def __init__(self, config): ...
        def query(self, query, about): return answer("done")

    serve(Plugin(name="evidence-tickets", version="1.0.0", evidence=Tickets))

From the import on, what the program prints goes to standard error: the host reads standard output.
"""

from . import stdio as _stdio  # first: it takes standard output over before anything of the author's can print

from .config import Attribute, Block
from .evidence import About, Query, Result, Time, answer, failure, no_answer
from .fault import Fault
from .numbers import Number
from .process import Plugin, serve

__all__ = [
    "About", "Attribute", "Block", "Fault", "Number", "Plugin", "Query", "Result", "Time", "answer", "failure", "no_answer", "serve",
]
