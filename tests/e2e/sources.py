"""What the tests of model sources share: models as files, and commands with a clean environment."""

import json
import os
import re
import subprocess
import tempfile
import unittest

from harness import BINARY, CONFIG, TEMPLATE

# Of bytes, so that no tokenizer is needed; large enough to come in several ranges of 1 MiB.
CONFIG_BYTES = json.dumps({**CONFIG, "vocab_size": 256, "hidden_size": 64, "intermediate_size": 1024,
                           "num_attention_heads": 4, "num_key_value_heads": 4,
                           "num_hidden_layers": 4}).encode()


def safetensors():
    """Weights of the model above, all the same small numbers, in f32: about 4 MB."""
    config = json.loads(CONFIG_BYTES)
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {"model.embed_tokens.weight": [config["vocab_size"], width], "model.norm.weight": [width]}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for name in ("q", "k", "v", "o"):
            shapes[f"{at}self_attn.{name}_proj.weight"] = [width, width]
        shapes[at + "mlp.gate_proj.weight"] = shapes[at + "mlp.up_proj.weight"] = [inner, width]
        shapes[at + "mlp.down_proj.weight"] = [width, inner]
        shapes[at + "input_layernorm.weight"] = shapes[at + "post_attention_layernorm.weight"] = [width]
    return filled(shapes)


def filled(shapes):
    """A file of tensors of these shapes in f32, of small numbers."""
    header, offset = {}, 0
    for name, shape in sorted(shapes.items()):
        size = 4
        for extent in shape:
            size *= extent
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pattern = b"".join((0x3c000000 + i * 257).to_bytes(4, "little") for i in range(1009))
    data = (pattern * (offset // len(pattern) + 1))[:offset]
    return len(text).to_bytes(8, "little") + text + data


WEIGHTS = safetensors()
TOKENIZER = json.dumps({
    "version": "1.0", "added_tokens": [], "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                      "use_regex": False},
    "post_processor": None, "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {chr(c): c - 33 for c in range(33, 127)}, "merges": []},
}).encode()
MODEL = {
    "config.json": CONFIG_BYTES,
    "tokenizer.json": TOKENIZER,
    "tokenizer_config.json": json.dumps({"chat_template": TEMPLATE}).encode(),
    "model.safetensors": WEIGHTS,
}


class SourceCase(unittest.TestCase):
    """A folder of its own, and commands that know nothing of the user's environment."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="tm_source_")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.env = {"HOME": self.folder, "TENSORMILL_DOWNLOAD_RANGE_MB": "1",
                    "AWS_EC2_METADATA_DISABLED": "true"}

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items() if not re.match(
            "HF_|HUGGING|TRANSFORMERS_|AWS_|SERVING_|OPTION_|DJL_|XDG_|TENSORMILL_|.*_proxy|.*_PROXY", key)}
        return {**kept, **self.env, **more}

    def run_command(self, *arguments, code=0, **env):
        done = subprocess.run([BINARY, *arguments], env=self.environment(**env), cwd=self.folder,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done

    def start_command(self, *arguments, **env):
        process = subprocess.Popen([BINARY, *arguments], env=self.environment(**env), cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (process.kill(), process.communicate()))
        return process

    def generates(self, model, *arguments, **env):
        """The model runs: its weights are whole."""
        done = self.run_command("generate", model, "--prompt", "abc", "--max-new-tokens", "3",
                                "--threads", "1", "--json", *arguments, **env)
        self.assertEqual(len(json.loads(done.stdout)["tokens"]), 3)
        return done

    def fails(self, *arguments, code=1, **env):
        return self.run_command(*arguments, code=code, **env).stderr

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def files(self, folder):
        """Relative paths of all files and links below a folder."""
        return sorted(os.path.relpath(os.path.join(place, name), folder)
                      for place, _, names in os.walk(folder) for name in names)
