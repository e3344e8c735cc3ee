#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "models/megatron_family.h"

namespace tensormill {
namespace {

using Size = MegatronSize;
using Split = MegatronSplit;

constexpr MegatronRow kRows[] = {
    {"embedding.word_embeddings", "transformer.wte", Size::kVocabulary, Size::kWidth, Split::kRows,
     false, false},
    {"embedding.position_embeddings", "transformer.wpe", Size::kPositions, Size::kWidth,
     Split::kNone, false, false},
    {"layers.{L}.input_layernorm", "transformer.h.{L}.ln_1", Size::kWidth},
    {"layers.{L}.attention.query_key_value", "transformer.h.{L}.attn.c_attn", Size::kQkv,
     Size::kWidth, Split::kQueryKeyValue, true},
    {"layers.{L}.attention.dense", "transformer.h.{L}.attn.c_proj", Size::kWidth, Size::kWidth,
     Split::kColumns, true},
    {"layers.{L}.post_attention_layernorm", "transformer.h.{L}.ln_2", Size::kWidth},
    {"layers.{L}.mlp.dense_h_to_4h", "transformer.h.{L}.mlp.c_fc", Size::kInner, Size::kWidth,
     Split::kRows, true},
    {"layers.{L}.mlp.dense_4h_to_h", "transformer.h.{L}.mlp.c_proj", Size::kWidth, Size::kInner,
     Split::kColumns, true},
    {"final_layernorm", "transformer.ln_f", Size::kWidth},
};
constexpr MegatronPrefix kSpellings[] = {{"language_model.transformer.", ""},
                                         {"language_model.encoder.", ""},
                                         {"language_model.embedding.", "embedding."},
                                         {"layers.{L}.self_attention.", "layers.{L}.attention."}};
// The last pipeline rank's copy of the embedding.
constexpr MegatronPrefix kSkipped[] = {{"word_embeddings_for_head.", "the tied head"}};
constexpr MegatronPrefix kOthers[] = {
    {"language_model.decoder.", "a T5 model"},
    {"language_model.pooler.", "a BERT model"},
    {"language_model.embedding.tokentype_embeddings.", "a BERT model"},
    {"lm_head.", "a BERT or T5 model"},
    {"binary_head.", "a BERT model"},
    {"language_model.output_layer.", "a model whose head isn't tied to its embedding"},
    {"decoder.", "a model of Megatron Core, whose names are others"},
    {"embedding.", "a model of Megatron Core, whose names are others"}};

// Arguments that would change the computation, with the values that don't.
struct Expected {
  const char* key;
  PlainValue value;
};
const Expected kExpected[] = {{"swiglu", false},
                              {"squared_relu", false},
                              {"glu_activation", nullptr},
                              {"normalization", std::string("LayerNorm")},
                              {"apply_layernorm_1p", false},
                              {"apply_residual_connection_post_layernorm", false},
                              {"position_embedding_type", std::string("learned_absolute")},
                              {"add_position_embedding", true},
                              {"use_rotary_position_embeddings", false},
                              {"group_query_attention", false},
                              {"untie_embeddings_and_output_weights", false},
                              {"add_bias_linear", true},
                              {"num_experts", nullptr},
                              {"num_layers_per_virtual_pipeline_stage", nullptr},
                              {"virtual_pipeline_model_parallel_size", nullptr}};

void check_arguments(const MegatronCheckpoint& checkpoint) {
  for (const Expected& row : kExpected) {
    const PlainValue* value = checkpoint.arg(row.key);
    if (value == nullptr || std::holds_alternative<std::nullptr_t>(*value)) continue;
    if (to_text(*value) != to_text(row.value)) {
      throw_error(ErrorKind::kUnsupported, "{}: args.{} is {}, expected {}", checkpoint.origin,
                  row.key, to_text(*value), to_text(row.value));
    }
  }
}

std::optional<int64_t> argument(const MegatronCheckpoint& checkpoint, const char* key) {
  const PlainValue* value = checkpoint.arg(key);
  if (value == nullptr || std::holds_alternative<std::nullptr_t>(*value)) return std::nullopt;
  if (const auto* number = std::get_if<int64_t>(value)) return *number;
  throw_error(ErrorKind::kArtifactInvalid, "{}: args.{} is {}, expected an integer",
              checkpoint.origin, key, to_text(*value));
}

// Null where the file beside the checkpoint lacks the key.
std::optional<int64_t> beside(const MegatronHints& hints, const char* key) {
  const Json::const_iterator found = hints.config->find(key);
  if (found == hints.config->end() || found->is_null()) return std::nullopt;
  if (found->is_number_integer()) return found->get<int64_t>();
  throw_error(ErrorKind::kArtifactInvalid, "config.json: \"{}\": expected an integer", key);
}

// One size as the tensors, the arguments and config.json have it.
struct SizeNames {
  const char *argument, *key;
  int64_t MegatronSizes::*size;
};
constexpr SizeNames kSizes[] = {
    {"hidden_size", "n_embd", &MegatronSizes::width},
    {"num_layers", "n_layer", &MegatronSizes::layers},
    {"max_position_embeddings", "n_positions", &MegatronSizes::positions},
    {"ffn_hidden_size", "n_inner", &MegatronSizes::inner}};

void check_sizes(const MegatronCheckpoint& checkpoint, const MegatronHints& hints,
                 const MegatronSizes& sizes) {
  const auto check = [&](const char* where, const char* key, std::optional<int64_t> said,
                         int64_t found) {
    if (said.value_or(found) != found) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: {}{} is {}, but the tensors have {}",
                  checkpoint.origin, where, key, *said, found);
    }
  };
  for (const SizeNames& row : kSizes) {
    check("args.", row.argument, argument(checkpoint, row.argument), sizes.*row.size);
    if (hints.config == nullptr) continue;
    check("config.json beside it: ", row.key, beside(hints, row.key), sizes.*row.size);
  }
  check("args.", "padded_vocab_size", argument(checkpoint, "padded_vocab_size"), sizes.padded);
}

int64_t find_heads(const MegatronCheckpoint& checkpoint, const MegatronHints& hints,
                   const MegatronSizes& sizes) {
  const std::optional<int64_t> said = argument(checkpoint, "num_attention_heads"),
                               file = hints.config != nullptr ? beside(hints, "n_head") : said,
                               given = hints.heads > 0 ? std::optional(hints.heads) : said;
  const std::optional<int64_t> heads = said ? said : given ? given : file;
  if (!heads) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: the number of attention heads is unknown: the file has no \"args\", and no "
                "config.json with \"n_head\" lies beside it: give --heads N",
                checkpoint.origin);
  }
  if (given.value_or(*heads) != *heads || (!hints.heads && file.value_or(*heads) != *heads)) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: args.num_attention_heads is {}, but --heads or config.json says otherwise",
                checkpoint.origin, *heads);
  }
  if (*heads < 1 || sizes.width % *heads != 0) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: {} heads don't divide the width {}",
                checkpoint.origin, *heads, sizes.width);
  }
  const std::optional<int64_t> size = argument(checkpoint, "kv_channels");
  if (size && *size != sizes.width / *heads) {
    throw_error(ErrorKind::kUnsupported, "{}: args.kv_channels is {}, expected {}: width by heads",
                checkpoint.origin, *size, sizes.width / *heads);
  }
  return *heads;
}

// Rows beyond it only pad the embedding.
int64_t find_vocabulary(const MegatronCheckpoint& checkpoint, const MegatronHints& hints,
                        const MegatronSizes& sizes) {
  std::optional<int64_t> size = argument(checkpoint, "orig_vocab_size");
  if (!size && hints.config != nullptr) size = beside(hints, "vocab_size");
  if (size && (*size < 1 || *size > sizes.padded)) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: a vocabulary of {} tokens, but the embedding has {} rows", checkpoint.origin,
                *size, sizes.padded);
  }
  return size.value_or(sizes.padded);
}

// The earliest files have no arguments; their activation was the tanh form.
const char* find_activation(const MegatronCheckpoint& checkpoint) {
  if (!checkpoint.has_args) return "gelu_new";
  const auto flag = [&](const char* key) {
    const PlainValue* value = checkpoint.arg(key);
    const bool* set = value == nullptr ? nullptr : std::get_if<bool>(value);
    if (set == nullptr) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: args.{}, which decides the activation, is {}, expected True or False; a "
                  "config.json beside it may say \"activation_function\"",
                  checkpoint.origin, key, value == nullptr ? "missing" : to_text(*value));
    }
    return *set;
  };
  if (flag("bias_gelu_fusion")) return "gelu_fast";
  return flag("openai_gelu") ? "gelu_new" : "gelu";
}

double find_epsilon(const MegatronCheckpoint& checkpoint) {
  for (const char* key : {"layernorm_epsilon", "norm_epsilon"}) {
    const PlainValue* value = checkpoint.arg(key);
    if (value == nullptr || std::holds_alternative<std::nullptr_t>(*value)) continue;
    if (const auto* number = std::get_if<double>(value)) return *number;
    throw_error(ErrorKind::kArtifactInvalid, "{}: args.{} is {}, expected a number",
                checkpoint.origin, key, to_text(*value));
  }
  return 1e-5;
}

OrderedJson config(const MegatronCheckpoint& checkpoint, const MegatronHints& hints,
                   MegatronSizes& sizes) {
  OrderedJson result = OrderedJson::object();
  if (hints.config != nullptr) {
    for (const auto& [key, value] : hints.config->items()) result[key] = value;
    if (result.contains("model_type") && result["model_type"] != "gpt2") {
      throw_error(ErrorKind::kUnsupported, "{}: the config.json beside it is that of another model",
                  checkpoint.origin);
    }
  }
  check_arguments(checkpoint);
  check_sizes(checkpoint, hints, sizes);
  sizes.heads = find_heads(checkpoint, hints, sizes);
  sizes.vocabulary = find_vocabulary(checkpoint, hints, sizes);
  result["architectures"] = {"GPT2LMHeadModel"};
  result["model_type"] = "gpt2";
  result["vocab_size"] = sizes.vocabulary;
  result["n_positions"] = sizes.positions;
  result["n_embd"] = sizes.width;
  result["n_inner"] = sizes.inner;
  result["n_layer"] = sizes.layers;
  result["n_head"] = sizes.heads;
  result["tie_word_embeddings"] = true;
  if (!result.contains("activation_function")) {
    result["activation_function"] = find_activation(checkpoint);
  }
  if (!result.contains("layer_norm_epsilon")) {
    result["layer_norm_epsilon"] = find_epsilon(checkpoint);
  }
  // Tools that write this argument put the end of text last, as the tokenizer has it.
  if (!result.contains("eos_token_id") && argument(checkpoint, "orig_vocab_size")) {
    result["bos_token_id"] = result["eos_token_id"] = sizes.vocabulary - 1;
  }
  return result;
}

constexpr MegatronFamily kFamily = {"GPT-2", kRows, kSpellings, kSkipped, kOthers, config};

}  // namespace

const MegatronFamily& megatron_family() {
  return kFamily;
}

}  // namespace tensormill
