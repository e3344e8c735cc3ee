"""tests/golden/models/mistral, by transformers 4.57: python make_mistral.py OUT"""

import sys

from transformers import MistralConfig, MistralForCausalLM

from common import Fixtures, as_transformers_5, changed
from toggles import flags, groups, pairs

SCALES = [("norm", (1.0, 0.3)), ("embed_tokens", (0.0, 1.0)), ("q_proj", (0.0, 0.22)), ("k_proj", (0.0, 0.22)),
          ("mlp", (0.0, 0.2)), ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]


def main(out):
    fixtures = Fixtures(out, MistralForCausalLM)
    shape = dict(vocab_size=97, hidden_size=36, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 rms_norm_eps=0.2)

    window = MistralConfig(**shape, num_attention_heads=6, num_key_value_heads=3, sliding_window=7)
    model = fixtures.model(window, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("window", model)
    fixtures.add("window", window, model, "window", {
        "one key more": (changed(window, sliding_window=8), state),
        "one key less": (changed(window, sliding_window=6), state),
        **flags(window, state, sliding_window=None, rms_norm_eps=1e-6, rope_theta=500.0, hidden_act="gelu"),
        **groups(window, state, 6), **pairs(window, state, 6, 6)}, 111)

    # A window longer than a chunk of keys, and blocks that it leaves in their middle.
    long = changed(window, sliding_window=261)
    fixtures.add("long", long, model, "window", flags(long, state, sliding_window=None) | {
        "one key less": (changed(long, sliding_window=260), state)}, 112, lengths=(1, 2, 17, 37, 300, 560))

    apart = MistralConfig(**shape, num_attention_heads=5, num_key_value_heads=1, head_dim=10, sliding_window=None,
                          rope_theta=1e6, tie_word_embeddings=True)
    model = fixtures.model(apart, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("apart", model)
    fixtures.add("apart", apart, model, "apart",
                 flags(apart, state, sliding_window=7, rope_theta=500.0) | pairs(apart, state, 10, 10), 113,
                 spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
