"""Reference code that ships with a checkpoint: a folder with its .py files, which is not part of this repository."""

import importlib
import pathlib
import sys


def load(folder, module):
    """One of the folder's modules; they import each other as a package."""
    folder = pathlib.Path(folder).resolve()
    sys.path.insert(0, str(folder.parent))
    return importlib.import_module(f"{folder.name}.{module}")
