"""ONNX Runtime GenAI on a model that its own builder makes."""

import json
import os
import shutil
import subprocess
import sys
import time

import numpy
import onnxruntime_genai

import make_checkpoint
import worker


def load(options):
    if options.format != "f32":
        raise RuntimeError(f"its builder makes no {options.format} for CPUs")
    path = os.path.join(options.cache, f"{os.path.basename(options.model)}.{options.format}")
    if not os.path.exists(path):
        shutil.rmtree(path + ".partial", ignore_errors=True)
        subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", "-i",
                        make_checkpoint.checkpoint_of(options), "-o", path + ".partial", "-p", "fp32",
                        "-e", "cpu", "-c", options.cache], check=True)
        os.rename(path + ".partial", path)
    with open(os.path.join(options.model, "config.json"), encoding="utf-8") as file:
        vocabulary = json.load(file)["vocab_size"]
    config = onnxruntime_genai.Config(path)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {
        "intra_op_num_threads": options.threads, "inter_op_num_threads": 1}}}}))
    model = onnxruntime_genai.Model(config)
    random = numpy.random.default_rng(2)

    def run(prompt, new, concurrency):
        params = onnxruntime_genai.GeneratorParams(model)
        params.set_search_options(max_length=prompt + new, min_length=prompt + new,
                                  batch_size=concurrency, do_sample=False)
        generator = onnxruntime_genai.Generator(model, params)
        prompts = random.integers(3, vocabulary, (concurrency, prompt), dtype=numpy.int32)
        start = time.perf_counter()
        generator.append_tokens(prompts)
        generator.generate_next_token()
        first = time.perf_counter()
        for _ in range(new - 1):
            generator.generate_next_token()
        end = time.perf_counter()
        if len(generator.get_sequence(concurrency - 1)) != prompt + new:
            raise RuntimeError("other numbers of tokens than asked for")
        return first - start, end - first

    return run


worker.serve(load)
