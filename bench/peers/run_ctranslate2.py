"""CTranslate2's generator on a model that its own converter makes from a Transformers model."""

import os
import shutil
import time

import ctranslate2
import numpy
import torch
import transformers
from ctranslate2.converters import TransformersConverter

import worker

TYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "int8": "int8"}


class Names:
    """In a tokenizer's place: token i is called t<i>."""
    bos_token, eos_token, unk_token, pad_token = "t1", "t2", "t0", None

    def __init__(self, size):
        self.size = size

    def get_vocab(self):
        return {f"t{i}": i for i in range(self.size)}


class Converter(TransformersConverter):
    def __init__(self, folder, random):
        super().__init__(folder)
        self.random = random
        self.size = transformers.AutoConfig.from_pretrained(folder).vocab_size

    def load_model(self, model_class, model_name_or_path, **kwargs):
        if not self.random:
            return super().load_model(model_class, model_name_or_path, **kwargs)
        torch.manual_seed(1)
        return model_class(kwargs["config"]).eval()

    def load_tokenizer(self, tokenizer_class, model_name_or_path, **kwargs):
        return Names(self.size)


def load(options):
    kind = TYPES[options.format]
    there = ctranslate2.get_supported_compute_types("cpu")
    if kind not in there:
        raise RuntimeError(f"on this CPU there are {', '.join(sorted(there))}")
    folder = os.path.join(options.cache, f"{os.path.basename(options.model)}.{options.format}")
    converter = Converter(options.model, options.random)
    if not os.path.exists(folder):
        shutil.rmtree(folder + ".partial", ignore_errors=True)
        converter.convert(folder + ".partial", quantization=kind)
        os.rename(folder + ".partial", folder)
    generator = ctranslate2.Generator(folder, device="cpu", compute_type=kind,
                                      intra_threads=options.threads, inter_threads=1)
    random = numpy.random.default_rng(2)

    def run(prompt, new, concurrency):
        prompts = [[f"t{i}" for i in random.integers(3, converter.size, prompt)]
                   for _ in range(concurrency)]
        times = []

        def came(step):
            if step.step == 0:
                times.append(time.perf_counter())
            return False

        start = time.perf_counter()
        results = generator.generate_batch(
            prompts, max_length=new, min_length=new, sampling_topk=1, beam_size=1,
            include_prompt_in_result=False, callback=came)
        end = time.perf_counter()
        if [len(result.sequences_ids[0]) for result in results] != [new] * concurrency:
            raise RuntimeError("other numbers of tokens than asked for")
        return times[-1] - start, end - times[-1]

    return run


worker.serve(load)
