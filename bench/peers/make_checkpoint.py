"""Writes a Transformers checkpoint with random weights, with a tokenizer of as many words as the model has
tokens: converters ask for both."""

import os
import shutil

import tokenizers
import torch
import transformers


def make(folder, path):
    partial = path + ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    config = transformers.AutoConfig.from_pretrained(folder)
    torch.manual_seed(1)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(partial)
    words = {f"t{i}": i for i in range(config.vocab_size)}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="t0"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, bos_token="t1", eos_token="t2",
                                         unk_token="t0").save_pretrained(partial)
    os.rename(partial, path)


def checkpoint_of(options):
    """The model's folder, or one made for its shape."""
    if not options.random:
        return options.model
    path = os.path.join(options.cache, os.path.basename(options.model))
    if not os.path.exists(path):
        make(options.model, path)
    return path
