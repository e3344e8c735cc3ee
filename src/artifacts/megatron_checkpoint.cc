#include "artifacts/megatron_checkpoint.h"

#include <algorithm>

#include "artifacts/megatron_ranks.h"
#include "base/error.h"

namespace tensormill {
namespace {

// Arguments in which all ranks must agree.
constexpr const char* kShared[] = {"hidden_size",         "num_layers",
                                   "num_attention_heads", "ffn_hidden_size",
                                   "padded_vocab_size",   "max_position_embeddings",
                                   "orig_vocab_size",     "tensor_model_parallel_size",
                                   "model_parallel_size", "pipeline_model_parallel_size"};

double read_version(const TorchTree& tree, const std::string& origin) {
  const PlainValue value = tree.plain("checkpoint_version", int64_t{0});  // the first had none
  double version = -1;
  if (const auto* number = std::get_if<double>(&value)) version = *number;
  if (const auto* number = std::get_if<int64_t>(&value)) version = static_cast<double>(*number);
  if (version != 0 && version != 1 && version != 2 && version != 3) {
    throw_error(ErrorKind::kUnsupported,
                "{}: \"checkpoint_version\" is {}, expected none, 0, 1, 2 or 3", origin,
                to_text(value));
  }
  return version;
}

std::unique_ptr<TensorIndex> read_model(TorchTree& tree, const std::string& origin) {
  std::string keys;
  for (const std::string& key : tree.keys()) keys += (keys.empty() ? "" : ", ") + key;
  if (!tree.has("model")) {
    throw_error(tree.has("model0") ? ErrorKind::kUnsupported : ErrorKind::kArtifactInvalid,
                "{}: expected a checkpoint of Megatron-LM, with the key \"model\"; it has: {}{}",
                origin, keys.substr(0, 200),
                tree.has("model0") ? " (an interleaved pipeline)" : "");
  }
  TensorFile file = tree.tensors("model");
  if (file.tensors.empty()) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"model\" holds no tensors", origin);
  }
  return make_tensor_index(std::move(file));
}

void check_agreement(const MegatronCheckpoint& all, const std::string& origin, double version,
                     const PlainValues& args) {
  if (version != all.version) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: \"checkpoint_version\" is {}, but {} in {}: ranks of one checkpoint agree",
                origin, version, all.version, all.ranks[0].origin);
  }
  for (const char* key : kShared) {
    const auto here = args.find(key), there = all.args.find(key);
    const std::string value = here == args.end() ? "missing" : to_text(here->second);
    const std::string first = there == all.args.end() ? "missing" : to_text(there->second);
    if (value != first) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: args.{} is {}, but {} in {}: ranks of one checkpoint agree", origin, key,
                  value, first, all.ranks[0].origin);
    }
  }
}

// What the arguments say of the number of ranks.
void check_ranks(const MegatronCheckpoint& all) {
  const auto check = [&](const char* key, size_t found, const char* what) {
    const PlainValue* value = all.arg(key);
    if (value == nullptr || std::holds_alternative<std::nullptr_t>(*value)) return;
    const auto* expected = std::get_if<int64_t>(value);
    if (expected == nullptr || *expected != static_cast<int64_t>(found)) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: args.{} is {}, but {} {} rank(s) are there: expected the folder of all of "
                  "them, mp_rank_00 and its like",
                  all.origin, key, to_text(*value), found, what);
    }
  };
  const char* tensor = all.arg("tensor_model_parallel_size") != nullptr
                           ? "tensor_model_parallel_size"
                           : "model_parallel_size";
  check(tensor, all.tensor_ranks, "tensor");
  check("pipeline_model_parallel_size", all.pipeline_ranks, "pipeline");
}

}  // namespace

const PlainValue* MegatronCheckpoint::arg(std::string_view name) const {
  const auto found = args.find(name);
  return found == args.end() ? nullptr : &found->second;
}

MegatronCheckpoint open_megatron_checkpoint(const std::filesystem::path& path) {
  MegatronRanks found = find_megatron_ranks(path);
  MegatronCheckpoint result;
  result.origin = path.string();
  result.beside = std::move(found.beside);
  result.tensor_ranks = found.tensor_ranks;
  result.pipeline_ranks = found.pipeline_ranks;
  for (const MegatronRanks::File& file : found.files) {
    TorchTree tree = file.open();
    const std::string origin = found.files.size() == 1 ? path.string() : file.name;
    const double version = read_version(tree, origin);
    PlainValues args = tree.attributes("args");
    if (result.ranks.empty()) {
      result.version = version;
      result.has_args = !args.empty();
      result.args = std::move(args);
    } else {
      check_agreement(result, origin, version, args);
    }
    result.ranks.push_back({origin, read_model(tree, origin)});
  }
  check_ranks(result);
  return result;
}

}  // namespace tensormill
