"""tests/golden/models/reformer, by transformers 4.57: python make_reformer.py OUT

Buckets are discrete: a query that points almost as well to another direction would move with the last bits of any
arithmetic. So the queries are made to point clearly: some coordinates of a token's embedding are its code, and
query_key maps them to the rotations that the reference draws, everything else to where these don't look.
"""

import copy
import sys

import torch
from transformers import ReformerConfig, ReformerModelWithLMHead, logging

from common import MARGIN, Fixtures, changed, draw, edited, exact, spread_of
from reference import Reference, reading_head

logging.set_verbosity_error()
OWN_SEED = 20200113  # what tensormill draws with where a checkpoint has no hash_seed, plus the layer
CODE = 8  # coordinates of a token's code
SCALES = [("layer_norm.weight", (1.0, 0.3)), ("layer_norm.bias", (0.0, 0.3)), ("word_embeddings", (0.0, 1.0)),
          ("position_embeddings", (0.0, 0.5)), ("query_key", (0.0, 0.5)), ("query", (0.0, 0.35)), ("key", (0.0, 0.35)),
          ("value", (0.0, 0.25)), ("attention.output", (0.0, 0.3)), ("lm_head.bias", (0.0, 0.4)), ("bias", (0.0, 0.3)),
          ("lm_head", (0.0, 0.3)), ("", (0.0, 0.25))]


def hashed(model):
    layers = [layer.attention.self_attention for layer in model.reformer.encoder.layers]
    return [layer for layer in layers if hasattr(layer, "query_key")]


def make(config):
    model = ReformerModelWithLMHead(copy.deepcopy(config)).float().eval()
    for i, layer in enumerate(hashed(model)):
        if config.hash_seed is None:
            layer.hash_seed = OWN_SEED + i
    return model


def run(model, ids, prompt):
    """As generate() without a cache does: where num_buckets is derived, the first step that hashes fixes it."""
    for length in range(prompt, len(ids)):
        if all(layer.num_buckets is not None for layer in hashed(model)):
            break
        model(torch.tensor([ids[:length]]), use_cache=False)
    out, hidden = reading_head(model.lm_head.decoder, lambda: model(
        torch.tensor([ids]), output_attentions=True, use_cache=False))
    return out.logits[0], hidden, out.attentions


def codes(vocabulary, seed):
    """Two signed directions of two for each token, one longer than the other: clear in any of the factors used."""
    generator = torch.Generator().manual_seed(seed)
    code = torch.zeros(vocabulary, CODE)
    for half in (0, CODE // 2):
        long = torch.randint(0, 2, (vocabulary,), generator=generator)
        for pair in range(2):
            which = torch.randint(0, 2, (vocabulary,), generator=generator)
            sign = torch.randint(0, 2, (vocabulary,), generator=generator) * 2 - 1
            code[torch.arange(vocabulary), half + 2 * pair + which] = sign * torch.where(long == pair, 3.5, 1.75)
    return code


def clear_buckets(model, columns):
    """columns: for each number of columns that rotations may be drawn with, the coordinates whose sum each follows."""
    state = model.state_dict()
    with torch.no_grad():
        embedding = state["reformer.embeddings.word_embeddings.weight"]
        embedding[:, :CODE] = codes(embedding.shape[0], 5)
        for name, value in state.items():
            if "position_embeddings" in name and value.shape[-1] == embedding.shape[1]:
                value[..., :CODE] *= 0.2
            elif "position_embeddings.weights.0" in name:
                value[..., :CODE] *= 0.2
            elif "attention.layer_norm.weight" in name:
                value[:CODE] = 1
            elif "attention.layer_norm.bias" in name:
                value[:CODE] *= 0.1
            elif "output.dense" in name:
                value[:CODE] *= 0.1
        for layer in hashed(model):
            heads, dim = layer.num_attention_heads, layer.attention_head_size
            drawn, wanted = [], []
            for count, coordinates in columns:
                torch.manual_seed(layer.hash_seed)
                rotations = torch.randn(heads, dim, layer.num_hashes, count)
                drawn.append(rotations.flatten(2))
                wanted += coordinates
            for head, rotations in enumerate(torch.cat(drawn, -1)):
                weight = layer.query_key.weight[head * dim:(head + 1) * dim]
                dual = torch.linalg.pinv(rotations).T
                kept = weight - dual @ (rotations.T @ weight)
                code = torch.zeros(len(wanted), weight.shape[1])
                for row, coordinates in zip(code, wanted):
                    row[list(coordinates)] = 1.0
                weight.copy_(kept + dual @ code)
        for parameter in model.parameters():
            parameter.copy_(exact(parameter))
    return model


def toggles_of(config, state, **flags):
    toggles = {name: (changed(config, **{name: value}), state) for name, value in flags.items()}
    for part in ("attention.layer_norm.bias", "feed_forward.layer_norm.bias", "encoder.layer_norm.bias",
                 "dense.dense.bias", "feed_forward.output.dense.bias", "lm_head.bias"):
        where = ("lm_head.bias", "lm_head.decoder.bias") if part == "lm_head.bias" else (part,)
        other = state
        for name in where:
            other = edited(other, name, torch.zeros_like)
        toggles[part] = (config, other)
    return toggles


def main(out):
    fixtures = Fixtures(out, Reference(make, run, "ReformerModelWithLMHead"))
    shape = dict(vocab_size=61, hidden_size=44, num_attention_heads=3, attention_head_size=8, feed_forward_size=35,
                 layer_norm_eps=0.1, is_decoder=True, hidden_act="relu", pad_token_id=3)

    def scores(config, state):
        """In whole attention: other shapes mix queries and rounds."""
        return lambda: spread_of(fixtures.run(config, state, draw(config.vocab_size, 5, 77))[2])

    # Both kinds on one grid of 24, several rounds and factors, each layer's own rotations.
    mixed = ReformerConfig(**shape, attn_layers=["lsh", "local", "lsh"], lsh_attn_chunk_length=8, local_attn_chunk_length=6,
                           num_hashes=2, num_buckets=[2, 4], axial_pos_shape=[5, 24], axial_pos_embds_dim=[30, 14],
                           max_position_embeddings=119, hash_seed=None)
    model = clear_buckets(fixtures.model(mixed, 1, SCALES), [(3, [(0, 1), (2,), (3,), (4, 5), (6,), (7,)])])
    state = model.state_dict()
    fixtures.write_weights("mixed", model)
    toggles = toggles_of(mixed, state, lsh_num_chunks_before=0, local_num_chunks_before=0, num_hashes=1, num_buckets=4,
                         lsh_attn_chunk_length=6, local_attn_chunk_length=8, hidden_act="gelu", layer_norm_eps=1e-12,
                         hash_seed=3)
    for axis in (0, 1):
        name = f"position_embeddings.weights.{axis}"
        toggles[name] = (mixed, edited(state, name, lambda t, a=axis: t.roll(1, a)))
    fixtures.add("mixed", mixed, model, "mixed", toggles, 31, lengths=(1, 5, 17, 48, 91), spread=scores(mixed, state))

    # Numbers of buckets derived from the length: 4, 8, and 4 x 4; the ring of chunks shorter than the steps back.
    lone = ReformerConfig(**{**shape, "hidden_act": "gelu_new"}, attn_layers=["lsh", "lsh"], lsh_attn_chunk_length=4,
                          lsh_num_chunks_before=2, num_hashes=1, num_buckets=None, axial_pos_embds=False,
                          max_position_embeddings=64, hash_seed=11)
    model = clear_buckets(fixtures.model(lone, 2, SCALES), [(2, [(0,), (1,)]), (4, [(4,), (5,), (6,), (7,)])])
    state = model.state_dict()
    fixtures.write_weights("hashed", model, edit=lambda s: {k.replace("lm_head.bias", "lm_head.decoder.bias"): v
                                                            for k, v in s.items()})
    toggles = toggles_of(lone, state, lsh_num_chunks_before=1, lsh_attn_chunk_length=5, hidden_act="relu", hash_seed=12,
                         num_buckets=8, num_hashes=2)
    fixtures.add("hashed", lone, model, "hashed", toggles, 32, lengths=(1, 7, 17, 38, 56), spread=scores(lone, state))

    local = ReformerConfig(**shape, attn_layers=["local", "local"], local_attn_chunk_length=5, local_num_chunks_before=2,
                           axial_pos_shape=[7, 10], axial_pos_embds_dim=[20, 24], max_position_embeddings=70)
    model = fixtures.model(local, 3, SCALES)
    state = model.state_dict()
    fixtures.write_weights("local", model)
    toggles = toggles_of(local, state, local_num_chunks_before=1, local_attn_chunk_length=6)
    fixtures.add("local", local, model, "local", toggles, 33, lengths=(1, 5, 17, 9, 60), spread=scores(local, state))
    fixtures.finish()


main(sys.argv[1])
