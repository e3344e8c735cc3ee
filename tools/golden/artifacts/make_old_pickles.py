#!/usr/bin/env python3
"""Writes into tests/golden/artifacts: a file as torch 0.4 on Python 2 saved it, with storages that are parts of
others, and files with arrays of numpy. What torch.load makes of the first is asserted here.

Needs torch and numpy. Usage: make_old_pickles.py OUT
"""

import collections
import io
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

MAGIC, VERSION = 0x1950a86a20f9469cfc6c, 1001


class Part:
    """Pickles as a tensor on `count` elements from `first` on of the storage `key`."""

    def __init__(self, key, total, first, count, offset, shape, strides):
        part = (f"{key}-{first}", first, count) if count else None
        self.storage = Storage(("storage", torch.FloatStorage, key, "cpu", total, part))
        self.rest = (offset, shape, strides)

    def __reduce__(self):
        return torch._utils._rebuild_tensor, (self.storage, *self.rest)


class Storage:
    def __init__(self, identity):
        self.identity = identity


class Python2Pickler(pickle._Pickler):
    """Strings as Python 2 wrote them: bytes without a type of their own."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_text(self, text):
        data = text.encode()
        self.write(b"U" + struct.pack("<B", len(data)) + data)
        self.memoize(text)

    dispatch[str] = save_text

    def persistent_id(self, item):
        return item.identity if isinstance(item, Storage) else None


def dump(file, value):
    Python2Pickler(file, protocol=2).dump(value)


def parts(out):
    values = torch.arange(10, dtype=torch.float32) / 3
    state = collections.OrderedDict(
        whole=Part("7", 10, 0, 0, 0, (2, 5), (5, 1)), part=Part("7", 10, 3, 4, 0, (4,), (1,)),
        inside=Part("7", 10, 2, 8, 1, (3, 2), (1, 3)))
    file = io.BytesIO()
    for value in (MAGIC, VERSION, {"protocol_version": VERSION, "little_endian": True,
                                   "type_sizes": {"short": 2, "int": 4, "long": 4}}, state, ["7"]):
        dump(file, value)
    file.write(struct.pack("<q", 10) + values.numpy().tobytes())
    (out / "python2_parts.bin").write_bytes(file.getvalue())
    loaded = torch.load(out / "python2_parts.bin", weights_only=False)
    expected = {"whole": values.reshape(2, 5), "part": values[3:7],
                "inside": values[3:].as_strided((3, 2), (1, 3))}
    assert set(loaded) == set(expected)
    for name, value in expected.items():
        assert torch.equal(loaded[name], value), name
    save_file({n: v.contiguous().clone() for n, v in expected.items()}, out / "python2_parts.safetensors")


def refused(file):
    try:
        torch.load(file, weights_only=True)
    except pickle.UnpicklingError:
        return True
    return False


def arrays(out):
    weight = torch.arange(4.0)
    torch.save({"w": weight, "v": weight.numpy()}, out / "numpy_tensor.bin")
    torch.save({"v": weight.numpy()}, out / "numpy_only.bin", pickle_protocol=5)
    torch.save({"model": {"w": weight}, "rng": np.arange(6), "best": np.float64(0.5)}, out / "numpy_beside.bin")
    assert all(refused(out / f"numpy_{name}.bin") for name in ("tensor", "only", "beside"))


def main():
    out = Path(sys.argv[1])
    parts(out)
    arrays(out)


if __name__ == "__main__":
    main()
