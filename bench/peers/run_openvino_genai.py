"""OpenVINO GenAI's LLMPipeline on a model that optimum-intel exports; the KV cache in the type that the
pipeline chooses; int8: 8-bit weights, inputs quantized as its default has it. Its own clock says when first
tokens came."""

import json
import os
import shutil
import subprocess
import sys

import numpy
import openvino
import openvino_genai

import make_checkpoint
import worker

TYPES = {"f32": "f32", "bf16": "bf16", "f16": "f16", "int8": "bf16"}  # what it computes in


def convert(options):
    weights = "int8" if options.format == "int8" else "fp32"
    path = os.path.join(options.cache, f"{os.path.basename(options.model)}.{weights}")
    if not os.path.exists(path):
        shutil.rmtree(path + ".partial", ignore_errors=True)
        tool = os.path.join(os.path.dirname(sys.executable), "optimum-cli")
        subprocess.run([tool, "export", "openvino", "-m", make_checkpoint.checkpoint_of(options),
                        "--task", "text-generation-with-past", "--weight-format", weights,
                        path + ".partial"], check=True)
        os.rename(path + ".partial", path)
    return path


def load(options):
    path = convert(options)
    with open(os.path.join(options.model, "config.json"), encoding="utf-8") as file:
        vocabulary = json.load(file)["vocab_size"]
    pipeline = openvino_genai.LLMPipeline(
        path, "CPU", INFERENCE_PRECISION_HINT=TYPES[options.format],
        INFERENCE_NUM_THREADS=options.threads)
    random = numpy.random.default_rng(2)

    def run(prompt, new, concurrency):
        ids = random.integers(3, vocabulary, (concurrency, prompt), dtype=numpy.int64)
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids),
                                                openvino.Tensor(numpy.ones_like(ids)))
        wanted = openvino_genai.GenerationConfig(max_new_tokens=new, min_new_tokens=new,
                                                 do_sample=False, ignore_eos=True)
        result = pipeline.generate(inputs, wanted)
        if [len(tokens) for tokens in result.tokens] != [new] * concurrency:
            raise RuntimeError("other numbers of tokens than asked for")
        first = result.perf_metrics.get_ttft().mean * 1e-3
        return first, result.perf_metrics.get_generate_duration().mean * 1e-3 - first

    return run


if __name__ == "__main__":
    worker.serve(load)
