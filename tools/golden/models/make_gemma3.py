"""tests/golden/models/gemma3, by transformers 4.57: python make_gemma3.py OUT

The reference is the text model: without images the whole model runs it as it is."""

import sys

import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from common import Fixtures
from toggles import flags

# Embeddings are multiplied by the square root of the width, norms by 1 + weight.
SCALES = [("q_norm", (0.3, 0.3)), ("k_norm", (0.3, 0.3)), ("norm", (-0.2, 0.3)), ("embed_tokens", (0.0, 0.15)),
          ("q_proj", (0.0, 0.3)), ("k_proj", (0.0, 0.3)), ("mlp", (0.0, 0.2)), ("", (0.0, 0.3))]


def under_text_config(written):
    """As the whole model's file: keys that its class sets anyway are left out."""
    text = {key: written[key] for key in (
        "hidden_size", "intermediate_size", "num_hidden_layers", "rope_scaling", "sliding_window", "head_dim",
        "query_pre_attn_scalar", "vocab_size", "max_position_embeddings", "rms_norm_eps", "sliding_window_pattern")}
    return {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "boi_token_index": 90,
            "eoi_token_index": 91, "image_token_index": 92, "eos_token_id": [1, 6], "initializer_range": 0.02,
            "mm_tokens_per_image": 4, "torch_dtype": written["torch_dtype"],
            "text_config": text | {"model_type": "gemma3_text"},
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 8}}


def whole_model(state):
    named = {f"language_model.{key}": value for key, value in state.items()}
    return named | {"vision_tower.vision_model.embeddings.patch_embedding.bias": torch.zeros(8),
                    "multi_modal_projector.mm_soft_emb_norm.weight": torch.zeros(8)}


def main(out):
    fixtures = Fixtures(out, Gemma3ForCausalLM)
    config = Gemma3TextConfig(vocab_size=97, intermediate_size=50, hidden_size=36, num_hidden_layers=2, head_dim=6,
                              query_pre_attn_scalar=5, sliding_window=21, sliding_window_pattern=2,
                              max_position_embeddings=512, rms_norm_eps=0.2,
                              rope_scaling={"rope_type": "linear", "factor": 4.0})
    model = fixtures.model(config, 1, SCALES)
    state = model.state_dict()
    fixtures.write_weights("text", model, edit=whole_model)
    toggles = flags(config, state, rope_scaling=None, rope_theta=100.0, rope_local_base_freq=300.0, sliding_window=22)
    fixtures.add("text", config, model, "text", toggles, 11, spelling=under_text_config)
    fixtures.finish()


main(sys.argv[1])
