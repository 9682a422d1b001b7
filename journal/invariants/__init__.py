"""The built-in rules on agent runs: a module for each theme, each rule a class that registers itself.

They look at what happened and at no label: what a benchmark or a person said of a run is not theirs to use. Where a
source records too little to tell, they hold.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
