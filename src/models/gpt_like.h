#pragma once

// What GPT-2 and the decoders after it share: keys of config.json such as n_embd and n_head. A
// family takes the parts that fit and changes the plain values that they return.

#include "models/common_config.h"
#include "models/row_maps.h"
#include "models/spec.h"

namespace tensormill {

// n_embd, vocab_size, n_positions and tie_word_embeddings: one stack, which has no layers and no
// final norm yet. `tied`: what files without the key mean.
TransformerSpec read_gpt_decoder(ConfigReader& config, bool tied);

// n_head: as many keys as queries, scores scaled by (width / heads)^-1/2.
AttentionSpec read_gpt_heads(ConfigReader& config, int32_t width);

// n_inner (absent: 4 * width), with biases and no activation yet.
MlpSpec read_gpt_mlp(ConfigReader& config, int32_t width);

// layer_norm_epsilon.
NormSpec read_gpt_norm(ConfigReader& config);

// n_layer.
int32_t read_gpt_layers(ConfigReader& config);

// Marks keys of such files that change nothing: dropout, heads that sum up a sequence and so on.
void pass_gpt_keys(ConfigReader& config);

// rotary_dim: the first elements of a head turn, neighbours in pairs.
RopeSpec read_neighbours_rope(ConfigReader& config, int32_t head_dim);

}  // namespace tensormill
