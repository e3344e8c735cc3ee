"""llama.cpp through the C functions of llama-cpp-python: a batch of all sequences at each step, as its own
batched bench has it, and a context that is as large as a row needs."""

import ctypes
import os
import time

import llama_cpp
import numpy

import make_gguf
import worker

LOG = llama_cpp.llama_log_callback(lambda level, text, data: None)


def batch_of(tokens, places, sequences, wanted):
    batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
    batch.n_tokens = len(tokens)
    for i, token in enumerate(tokens):
        batch.token[i] = token
        batch.pos[i] = places[i]
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = sequences[i]
        batch.logits[i] = wanted[i]
    return batch


class Row:
    """A context for rows of one size; made once, since making it is no part of a request."""

    def __init__(self, model, threads, prompt, new, concurrency):
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = concurrency * ((prompt + new + 255) // 256 * 256)
        params.n_batch = 2048
        params.n_seq_max = concurrency
        params.n_threads = params.n_threads_batch = threads
        self.context = llama_cpp.llama_init_from_model(model, params)
        if not self.context:
            raise RuntimeError("llama_init_from_model failed")
        self.size = prompt, new, concurrency
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))

    def decode(self, batch):
        code = llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_batch_free(batch)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code}")

    def best(self, row):
        logits = llama_cpp.llama_get_logits_ith(self.context, row)
        values = numpy.ctypeslib.as_array(logits, shape=(self.vocabulary,))
        return int(values.argmax())

    def run(self, random):
        prompt, new, concurrency = self.size
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        prompts = random.integers(0, self.vocabulary, (concurrency, prompt)).tolist()
        tokens = []
        # Whole sequences together, as many as a batch holds.
        group = max(1, 2048 // prompt)
        prepared = []
        for begin in range(0, concurrency, group):
            numbers = range(begin, min(begin + group, concurrency))
            prepared.append((len(numbers), batch_of(
                [token for s in numbers for token in prompts[s]],
                [place for _ in numbers for place in range(prompt)],
                [s for s in numbers for _ in range(prompt)],
                [place + 1 == prompt for _ in numbers for place in range(prompt)])))
        start = time.perf_counter()
        for count, batch in prepared:
            self.decode(batch)
            tokens += [self.best((i + 1) * prompt - 1) for i in range(count)]
        first = time.perf_counter()
        for step in range(new - 1):
            self.decode(batch_of(tokens, [prompt + step] * concurrency, list(range(concurrency)),
                                 [True] * concurrency))
            tokens = [self.best(i) for i in range(concurrency)]
        return first - start, time.perf_counter() - first


def load(options):
    path = os.path.join(options.cache, f"{os.path.basename(options.model)}.{options.format}.gguf")
    if not os.path.exists(path):
        make_gguf.make(options.model, options.random, options.format, path)
    llama_cpp.llama_log_set(LOG, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.use_mmap = False
    model = llama_cpp.llama_model_load_from_file(path.encode(), params)
    if not model:
        raise RuntimeError(f"{path}: could not be loaded")
    random = numpy.random.default_rng(2)
    rows = {}

    def run(*size):
        if size not in rows:
            rows[size] = Row(model, options.threads, *size)
        return rows[size].run(random)

    return run


worker.serve(load)
