"""tests/golden/models/stablelm, by transformers 4.57: python make_stablelm.py OUT"""

import sys

from transformers import StableLmConfig, StableLmForCausalLM, StableLmPreTrainedModel

from common import Fixtures, as_transformers_5, edited
from toggles import flags, groups, without

SCALES = [("layernorm.norms", (1.2, 0.4)), ("norm.weight", (1.0, 0.3)), (".bias", (0.0, 0.4)),
          ("embed_tokens", (0.0, 0.8)), ("q_proj", (0.0, 0.3)), ("k_proj", (0.0, 0.3)), ("mlp", (0.0, 0.2)),
          ("lm_head", (0.0, 0.4)), ("", (0.0, 0.3))]

# The reference's first values trip over a LayerNorm without bias; ours replace them anyway.
StableLmPreTrainedModel._init_weights = lambda model, module: None


def main(out):
    fixtures = Fixtures(out, StableLmForCausalLM)
    shape = dict(vocab_size=97, intermediate_size=50, num_hidden_layers=2, max_position_embeddings=512,
                 layer_norm_eps=0.2)

    biased = StableLmConfig(**shape, hidden_size=40, num_attention_heads=5, num_key_value_heads=1, use_qkv_bias=True)
    model = fixtures.model(biased, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("biased", model)
    toggles = without(biased, state, *(f"{part}_proj.bias" for part in "qkv"), "input_layernorm.bias",
                      "post_attention_layernorm.bias", "model.norm.bias")
    toggles |= flags(biased, state, partial_rotary_factor=0.5, layer_norm_eps=1e-5, hidden_act="gelu")
    fixtures.add("biased", biased, model, "biased", toggles, 11)

    parallel = StableLmConfig(**shape, hidden_size=48, num_attention_heads=6, num_key_value_heads=2,
                              qk_layernorm=True, use_parallel_residual=True, partial_rotary_factor=0.75,
                              rope_theta=500.0, tie_word_embeddings=True,
                              rope_scaling={"rope_type": "linear", "factor": 2.0})
    model = fixtures.model(parallel, 2, SCALES)
    state = model.state_dict()
    fixtures.write_weights("parallel", model)
    toggles = flags(parallel, state, partial_rotary_factor=1.0, rope_theta=10000.0, rope_scaling=None)
    toggles |= groups(parallel, state, 8)
    for part in ("q_layernorm.norms.0", "k_layernorm.norms.1"):
        toggles[part] = (parallel, edited(state, part, lambda t: t.flip(0)))
    fixtures.add("parallel", parallel, model, "parallel", toggles, 12, spelling=as_transformers_5)
    fixtures.finish()


main(sys.argv[1])
