#pragma once

#include "models/common_config.h"
#include "models/names.h"

namespace tensormill {

// Attention over a latent by num_attention_heads, q_lora_rank, kv_lora_rank, qk_nope_head_dim,
// qk_rope_head_dim, v_head_dim, attention_bias and the keys of rope. The norms of short rows are
// root mean square with an eps of 1e-6, which no key says.
AttentionSpec read_latent_attention(ConfigReader& config, int32_t max_positions);

// "model.layers.{L}.self_attn.kv_a_proj_with_mqa" and so on, with usual_names() for the rest.
Names latent_names(const AttentionSpec& attention);

}  // namespace tensormill
