"""OpenVINO GenAI's continuous batching, driven as a server would drive it: as many requests under way as asked, the
next one added when one ends. Lines are PROMPT NEW CONCURRENCY REQUESTS; answers have `tensormill bench --url`'s names."""

import json
import os
import time

import numpy
import openvino
import openvino_genai

import run_openvino_genai
import worker


def load(options):
    path = run_openvino_genai.convert(options)
    with open(os.path.join(options.model, "config.json"), encoding="utf-8") as file:
        vocabulary = json.load(file)["vocab_size"]
    schedule = openvino_genai.SchedulerConfig()
    schedule.cache_size = 2  # GB
    schedule.max_num_seqs = 256
    pipeline = openvino_genai.ContinuousBatchingPipeline(
        path, schedule, "CPU", {"INFERENCE_PRECISION_HINT": run_openvino_genai.TYPES[options.format],
                                "INFERENCE_NUM_THREADS": options.threads})
    random = numpy.random.default_rng(2)
    made = 0

    def add(prompt, new):
        nonlocal made
        made += 1
        ids = openvino.Tensor(random.integers(3, vocabulary, (1, prompt), dtype=numpy.int64))
        wanted = openvino_genai.GenerationConfig(max_new_tokens=new, min_new_tokens=new, do_sample=False,
                                                 ignore_eos=True)
        return {"handle": pipeline.add_request(made, ids, wanted), "at": time.perf_counter(), "tokens": 0}

    def row(prompt, new, concurrency, requests):
        first, between, tokens = [], [], 0
        start = time.perf_counter()
        running = [add(prompt, new) for _ in range(min(concurrency, requests))]
        left = requests - len(running)
        while running:
            pipeline.step()
            now = time.perf_counter()
            for one in list(running):
                came = 0
                while one["handle"].can_read():
                    came += sum(len(output.generated_ids) for output in one["handle"].read().values())
                if came:
                    (between if one["tokens"] else first).append(now - one["at"])
                    one["at"] = now
                    one["tokens"] += came
                if one["tokens"] >= new:
                    tokens += one["tokens"]
                    running.remove(one)
                    if left > 0:
                        left -= 1
                        running.append(add(prompt, new))
        spent = time.perf_counter() - start
        if tokens != requests * new:
            raise RuntimeError(f"{tokens} tokens of {requests * new}")
        figures = {"tokens_per_second": tokens / spent, "requests_per_second": requests / spent,
                   "pieces_per_request": new}
        for name, values in (("first_token_ms", first), ("between_ms", between)):
            for share in (50, 99):
                figures[f"{name}_p{share}"] = 1e3 * float(numpy.percentile(values, share))
        return figures

    return row


if __name__ == "__main__":
    worker.serve_rows(load)
