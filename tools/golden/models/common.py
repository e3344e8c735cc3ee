"""Tiny random checkpoints whose every covered flag moves the logits, and what the reference makes of them.

A family's script makes Fixtures(folder, reference), adds variants and finishes; see docs/adding-a-family.md. The
reference is a class with transformers' interface, or a Reference of two functions for any other torch module.
"""

import copy
import json
import pathlib

import torch
from safetensors.torch import save_file

from reference import Reference, round_inputs, transformers_reference

TOLERANCE = 1e-4  # of the largest logit: what the tests allow in f32
HALF_TOLERANCE = 2e-2  # and in bf16 and f16
MARGIN = 100  # tolerances that a covered flag must move the logits by
LENGTHS = (1, 2, 17, 37, 300)  # one token, a pair, less than a cache block, more than one, than a chunk of keys
GREEDY_TOKENS = 32
GREEDY_TRIES = 50  # prompts tried for a continuation whose every choice is clear
SPREAD = 1.0  # least standard deviation of a layer's scores


def draw(vocabulary, length, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, (length,), generator=generator).tolist()


def kept_rows(length):
    """Rows whose results are stored: all of a short prompt, some of a long one."""
    return list(range(length)) if length < 10 else [0, length // 2, length - 2, length - 1]


def exact(values):
    """Rounded to what bf16 and f16 both hold, so that either type differs by its activations and cache alone."""
    rounded = values.to(torch.bfloat16).float()
    assert rounded.abs().max() < 60000
    return torch.where(rounded.abs() < 2.0**-14, torch.zeros_like(rounded), rounded)


def randomize(model, seed, scales):
    """Normal weights; `scales` lists (part of a name, (mean, deviation)), the first match wins."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            mean, deviation = next(v for key, v in scales if key in name)
            parameter.copy_(exact(mean + deviation * torch.randn(parameter.shape, generator=generator)))
    if hasattr(model, "tie_weights"):
        model.tie_weights()
    return model.eval()


def spread_of(attentions):
    """Least over the layers: the mean deviation of the scores that heads give to the keys of the last row. A
    probability's logarithm is its score but for a constant of the row."""
    deviations = []
    for layer in attentions:
        rows = [p[p > 0].log() for p in layer[0, :, -1]]
        deviations.append(torch.stack([row.std() if len(row) > 1 else torch.tensor(0.0) for row in rows]).mean())
    return min(deviations).item()


def clearness(logits):
    """How far the best of one row's logits stands off, relative to the largest."""
    best = logits.topk(2).values
    return ((best[0] - best[1]) / logits.abs().max()).item()


class Fixtures:
    def __init__(self, folder, reference, lengths=LENGTHS, draw=draw):
        """draw(vocabulary, length, seed): a prompt; some models want certain tokens in it."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.reference = reference if isinstance(reference, Reference) else transformers_reference(reference)
        self.lengths, self.draw = lengths, draw
        self.variants = []

    def build(self, config, state=None):
        model = self.reference.build(config)
        if state is not None:
            model.load_state_dict(state)
        return model

    def model(self, config, seed, scales):
        return randomize(self.build(config), seed, scales)

    def run(self, config, state, ids, prompt=None):
        """A fresh model each time: dynamic rope remembers the longest prompt that it has seen."""
        with torch.no_grad():
            return self.reference.run(self.build(config, state), ids, prompt or len(ids))

    def write_weights(self, name, model, prefix_strip="", edit=None):
        """The checkpoint that variants share. A tied head is left out; prefix_strip goes from the start of names;
        edit(state) may return what the file holds instead, where published files differ from the module."""
        state, seen = {}, set()
        for key, value in model.state_dict().items():
            if value.data_ptr() in seen and value.numel() > 0:
                continue
            seen.add(value.data_ptr())
            state[key.removeprefix(prefix_strip)] = value
        state = edit(state) if edit else state
        save_file({k: (v.to(torch.float16) if v.is_floating_point() else v).clone().contiguous()
                   for k, v in state.items()}, self.folder / f"{name}.weights.safetensors")

    def next_logits(self, config, state, prompt, cached):
        """A function that takes the tokens so far, prompt first, and gives the logits of the next."""
        if not cached:
            return lambda ids: self.run(config, state, ids, len(prompt))[0][-1]
        model, past = self.build(config, state), None

        def step(ids):
            nonlocal past
            with torch.no_grad():
                out = model(torch.tensor([ids if past is None else ids[-1:]]), past_key_values=past, use_cache=True)
            past = out.past_key_values
            return out.logits[0, -1]
        return step

    def greedy(self, config, state, prompt, cached):
        """GREEDY_TOKENS tokens and how clear each choice was; None where one is too close to call, or half in the
        half types."""
        step, ids, gaps = self.next_logits(config, state, prompt, cached), list(prompt), []
        while len(gaps) < GREEDY_TOKENS:
            logits = step(ids)
            gaps.append(round(clearness(logits), 5))
            if gaps[-1] <= 5 * TOLERANCE:
                return None
            ids.append(logits.argmax().item())
        if sum(gap > HALF_TOLERANCE for gap in gaps) < GREEDY_TOKENS / 2:
            return None
        return ids[len(prompt):], gaps

    def clear_prompt(self, config, state, length, seed, cached):
        for attempt in range(GREEDY_TRIES):
            prompt = self.draw(config.vocab_size, length, 1000 * seed + attempt)
            result = self.greedy(config, state, prompt, cached)
            if result is not None:
                return prompt, *result
        raise AssertionError("greedy choices are too close")

    def check_wildness(self, name, config, state, prompts, results):
        """What rounded inputs alone do to the results, to be seen before the tests: the cache adds about as much."""
        worst = 0
        for ids, result in zip(prompts, results):
            with torch.no_grad():
                got = self.reference.run(round_inputs(self.build(config, state)), ids, len(ids))
            worst = max([worst] + [((g - r).abs().max() / r.abs().max()).item() for g, r in zip(got[:2], result[:2])])
        print(f"{self.folder.name}/{name}: inputs in bf16 move the results by {worst:.1e}, allowed {HALF_TOLERANCE}")
        assert worst < HALF_TOLERANCE, "scales are too wild: smaller weights or a larger eps"

    def check_spread(self, name, attentions, spread):
        if isinstance(spread, str):
            print(f"{self.folder.name}/{name}: spread of scores not measured: {spread}")
            return
        measured = spread() if spread else spread_of(attentions)
        print(f"{self.folder.name}/{name}: scores spread by {measured:.2f} or more")
        assert measured >= SPREAD, "attention is so even that wrong positions would pass"

    def check_toggles(self, name, prompts, results, toggles):
        for toggle, (config, state, *least) in toggles.items():
            move = 0  # the largest: some flags only show in long prompts
            for ids, (logits, _, _) in zip(prompts[1:], results[1:]):
                other = self.run(config, state, ids)[0]
                move = max(move, ((other - logits).abs().max() / logits.abs().max()).item() / TOLERANCE)
            print(f"{self.folder.name}/{name}: {toggle} moves the logits by {move:.0f} tolerances")
            assert move >= (least[0] if least else MARGIN), f"{toggle} is not covered"

    def add(self, name, config, model, weights, toggles, seed, *, lengths=None, greedy_prompt=2, cached=False,
            spread=None, drop=(), extra=None, spelling=lambda config: config):
        """One variant: `config` with the weights of `model`, written before as `weights`.

        toggles: name -> (config, state[, least]), the other side of each flag, and the least move in tolerances.
        cached: continue greedily with the reference's cache, for ropes that depend on lengths (a class only).
        spread: None, a function that measures the scores' deviation, or a text that says why it can't be.
        drop, extra, spelling: keys to leave out of config.json, keys to add, and e.g. `as_transformers_5`."""
        lengths = lengths or self.lengths
        state = model.state_dict()
        prompts = [self.draw(config.vocab_size, n, 1000 * seed - i - 1) for i, n in enumerate(lengths)]
        prompts[greedy_prompt], tokens, gaps = self.clear_prompt(config, state, lengths[greedy_prompt], seed, cached)
        results = [self.run(config, state, p) for p in prompts]
        self.check_spread(name, results[-2][2], spread)
        self.check_wildness(name, config, state, prompts, results)
        self.check_toggles(name, prompts, results, toggles)
        rows = [kept_rows(n) for n in lengths]
        save_file({"logits": torch.cat([r[0][k] for r, k in zip(results, rows)]).float().contiguous(),
                   "hidden": torch.cat([r[1][k] for r, k in zip(results, rows)]).float().contiguous()},
                  self.folder / f"{name}.expected.safetensors")
        written = json.loads(config.to_json_string(use_diff=True))
        written.update(architectures=[self.reference.name], torch_dtype="float16")
        written.pop("dtype", None)
        written = spelling({k: v for k, v in written.items() if k not in drop} | (extra or {}))
        (self.folder / f"{name}.config.json").write_text(json.dumps(written, indent=1) + "\n")
        self.variants.append({"name": name, "weights": f"{weights}.weights.safetensors", "prompts": prompts,
                              "rows": rows, "greedy_prompt": greedy_prompt, "greedy": tokens, "gaps": gaps})

    def finish(self):
        lines = ",\n".join(json.dumps(v) for v in self.variants)
        (self.folder / "variants.json").write_text(f"[\n{lines}\n]\n")
        total = sum(f.stat().st_size for f in self.folder.iterdir())
        print(f"{self.folder}: {total / 1000:.0f} kB")
        assert total <= 300_000


def as_transformers_5(written):
    """config.json as transformers 5 spells it: `dtype`, and all of rope in `rope_parameters`."""
    written = dict(written)
    written["dtype"] = written.pop("torch_dtype")
    rope = dict(written.pop("rope_scaling", None) or {})
    rope["rope_type"] = rope.pop("type", rope.get("rope_type", "default"))
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in written:
            rope[key] = written.pop(key)
    return written | {"rope_parameters": rope}


def changed(config, **values):
    other = copy.deepcopy(config)
    for key, value in values.items():
        assert hasattr(other, key), key
        setattr(other, key, value)
    return other


def edited(state, part, edit):
    """A copy of the state with edit(tensor) where `part` is in the name; it must be somewhere."""
    assert any(part in name for name in state), part
    return {name: edit(value.clone()) if part in name else value for name, value in state.items()}
