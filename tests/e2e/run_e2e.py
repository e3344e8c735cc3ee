#!/usr/bin/env python3
"""Boots the real program on tiny models and looks at every byte of its replies.

usage: run_e2e.py TENSORMILL [MODULE | MODULE.Class.test ...]      all modules without names
Needs Python's standard library alone. TENSORMILL is the program; modules are test_*.py beside this.
"""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    os.environ["TENSORMILL_BINARY"] = os.path.abspath(sys.argv[1])
    sys.path.insert(0, HERE)
    names = sys.argv[2:] or sorted(name[:-3] for name in os.listdir(HERE)
                                   if name.startswith("test_") and name.endswith(".py"))
    suite = unittest.defaultTestLoader.loadTestsFromNames(names)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
