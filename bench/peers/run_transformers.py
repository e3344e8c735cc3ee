"""Transformers on PyTorch: eager, with its dynamic cache, as a first program would have it."""

import time

import torch
import transformers

import worker

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


def load(options):
    if options.format not in TYPES:
        raise RuntimeError(f"no {options.format} in PyTorch's own linear layers")
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    kind = TYPES[options.format]
    if options.random:
        config = transformers.AutoConfig.from_pretrained(options.model)
        model = transformers.AutoModelForCausalLM.from_config(config).to(kind)
    else:
        model = transformers.AutoModelForCausalLM.from_pretrained(options.model, torch_dtype=kind)
    model.eval()

    @torch.inference_mode()
    def run(prompt, new, concurrency):
        ids = torch.randint(0, model.config.vocab_size, (concurrency, prompt))
        start = time.perf_counter()
        out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
        first = time.perf_counter()
        for _ in range(new - 1):
            out = model(input_ids=token, past_key_values=out.past_key_values, use_cache=True)
            token = out.logits[:, -1].argmax(-1, keepdim=True)
        return first - start, time.perf_counter() - first

    return run


worker.serve(load)
