"""llama.cpp's or ik_llama.cpp's own llama-batched-bench, started for each row: flash attention, weights in memory, a
context that is as large as the row needs. It picks no tokens: they are made up on its side."""

import os
import subprocess

import worker

TWICE = 512  # rows of up to so many prompt tokens are run twice; the second counts


def load(options):
    program = worker.find_program(options.programs, "llama-batched-bench")
    path = os.path.join(options.cache, f"{os.path.basename(options.model)}.{options.format}.gguf")
    if not os.path.exists(path):
        import make_gguf  # its packages are needed for this alone

        make_gguf.make(options.model, options.random, options.format, path)

    def run(prompt, new, concurrency):
        times = 2 if prompt * concurrency <= TWICE else 1
        context = concurrency * ((prompt + new + 255) // 256 * 256)
        threads = str(options.threads)
        done = subprocess.run(
            [program, "-m", path, "-c", str(context), "-b", "2048", "-ub", "512", "-npp", str(prompt),
             "-ntg", str(new), "-npl", ",".join([str(concurrency)] * times), "-t", threads, "-tb", threads,
             "-fa", "on", *options.flag],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            preexec_fn=worker.end_with_parent)
        said = done.stdout + done.stderr
        rows = [line.split("|")[1:-1] for line in said.splitlines() if line.startswith("|")]
        rows = [row for row in rows if len(row) == 10 and row[0].strip().isdigit()]
        if done.returncode != 0 or len(rows) != times:
            raise RuntimeError(f"{os.path.basename(program)} ended with {done.returncode}: {said[-200:]}")
        # PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG, ...: the rates have more digits than the times
        prefill, decode = float(rows[-1][5]), float(rows[-1][7])
        return prompt * concurrency / prefill, (new - 1) * concurrency / decode

    return run


worker.serve(load)
