#pragma once

// What many decoders share: the usual keys of config.json, layers that norm before attention and
// before a gated MLP, and the usual names of tensors. A family takes the parts that fit and changes
// the plain values that they return.

#include <vector>

#include "models/common_config.h"
#include "models/names.h"
#include "models/spec.h"

namespace tensormill {

// hidden_size, vocab_size, max_position_embeddings and tie_word_embeddings: one stack, which has no
// layers and no final norm yet. `positions` and `tied`: what files without the key mean.
TransformerSpec read_decoder(ConfigReader& config, int32_t positions, bool tied = false);

// num_hidden_layers.
int32_t read_layer_count(ConfigReader& config);

// rms_norm_eps. `eps`: what files without the key mean.
NormSpec read_rms_norm(ConfigReader& config, float eps = 1e-6F);

// layer_norm_eps. `shift`: the norm has a bias.
NormSpec read_layer_norm(ConfigReader& config, bool shift, float eps = 1e-5F);

// num_attention_heads, num_key_value_heads (absent: one for each head) and head_dim (absent:
// `usual_dim`, or width / heads where that is 0). Scores are scaled by head_dim^-1/2. No biases,
// positions or window yet.
AttentionSpec read_heads(ConfigReader& config, int32_t width, int32_t usual_dim = 0);

// intermediate_size and hidden_act: down(activation(gate) * up) without biases.
MlpSpec read_gated_mlp(ConfigReader& config, const char* activation = "silu");

// sliding_window: keys that a query sees, its own included; 0 (all) for null. `usual`: what files
// without the key mean.
int32_t read_window(ConfigReader& config, int32_t usual = 0);

// Windows of the layers as layer_types names them: `window` for "sliding_attention", 0 (all keys)
// for "full_attention"; `usual`, one for each layer, where the key is absent. Errors: kUnsupported
// for other types, kArtifactInvalid for another number of layers or a window of 0.
std::vector<int32_t> read_layer_windows(ConfigReader& config, int32_t window,
                                        std::vector<int32_t> usual);

// Every `period`-th layer sees all keys, the others `window`.
std::vector<int32_t> interleaved_windows(int32_t layers, int32_t window, int32_t period);

// Windows of so many layers by use_sliding_window, sliding_window and max_window_layers: those from
// max_window_layers on slide. layer_types says otherwise where it is there.
std::vector<int32_t> read_late_windows(ConfigReader& config, int32_t layers);

// x += attention(norm(x)), then x += mlp(norm(x)).
std::vector<BranchSpec> pre_norm_layer(const AttentionSpec& attention, const MlpSpec& mlp,
                                       const NormSpec& norm);

// x += attention(norm(x)) + mlp(norm(x)), one norm for both.
std::vector<BranchSpec> parallel_layer(const AttentionSpec& attention, const MlpSpec& mlp,
                                       const NormSpec& norm);

// One layer for each of `windows`, with weights of its own; equal windows share a kind.
void add_layers(StackSpec& stack, const std::vector<BranchSpec>& layer,
                const std::vector<int32_t>& windows);

// "model.layers.{L}.self_attn.q_proj" and so on: branch 0 is the attention, branch 1 the MLP, each
// with a norm before it. Norms that the spec has not, of queries and keys too, are passed over.
Names usual_names();

// The same with norms after the branches too: post_attention_layernorm, and before and after the
// MLP pre_feedforward_layernorm and post_feedforward_layernorm.
Names sandwich_names();

}  // namespace tensormill
