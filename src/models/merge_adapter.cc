#include "models/merge_adapter.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"
#include "models/merged_tensor.h"
#include "models/stored_names.h"
#include "models/weight_plan.h"

namespace tensormill {
namespace {

class MergedIndex final : public TensorIndex {
 public:
  MergedIndex(std::unique_ptr<TensorIndex> base, Adapter adapter)
      : base_(std::move(base)), adapter_(std::move(adapter)), team_(usable_cores()) {
    for (const NamedTensor& tensor : base_->tensors()) edits_[tensor.name].source = &tensor;
  }

  // How the tensor of this name comes about; a new one has no source yet.
  TensorEdit& edit(const std::string& name) { return edits_[name]; }
  const Adapter& adapter() const { return adapter_; }
  const TensorIndex& base() const { return *base_; }

  void finish() {
    for (const auto& [name, edit] : edits_) {
      NamedTensor tensor = *edit.source;
      tensor.name = name;
      if (edit.replaced != nullptr) tensor.view.shape = edit.replaced->view.shape;
      tensors_.push_back(std::move(tensor));
    }
  }

  const NamedTensor* find(std::string_view name) const override {
    const auto place = std::lower_bound(
        tensors_.begin(), tensors_.end(), name,
        [](const NamedTensor& tensor, std::string_view key) { return tensor.name < key; });
    return place != tensors_.end() && place->name == name ? &*place : nullptr;
  }
  const std::vector<NamedTensor>& tensors() const override { return tensors_; }

  TensorValues read(const NamedTensor& tensor, int64_t first, int64_t count) const override {
    const TensorEdit& edit = edits_.find(tensor.name)->second;
    if (!edit.computes()) {
      if (edit.replaced != nullptr) return {rows_of(edit.replaced->view, first, count), nullptr};
      return base_->read(*edit.source, first, count);
    }
    const std::lock_guard lock(mutex_);
    std::unique_ptr<MergedTensor>& merged = merged_[&edit];
    if (!merged) merged = std::make_unique<MergedTensor>(edit, *base_, team_);
    return merged->read(first, count);
  }
  void release(const NamedTensor& tensor) const override {
    const TensorEdit& edit = edits_.find(tensor.name)->second;
    base_->release(*edit.source);
    const std::lock_guard lock(mutex_);
    merged_.erase(&edit);
  }

 private:
  std::unique_ptr<TensorIndex> base_;
  Adapter adapter_;
  std::map<std::string, TensorEdit, std::less<>> edits_;  // of every tensor
  std::vector<NamedTensor> tensors_;
  mutable ThreadTeam team_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<const TensorEdit*, std::unique_ptr<MergedTensor>> merged_;
};

class Merger {
 public:
  Merger(FamilyModel& model, MergedIndex& merged)
      : model_(model), merged_(merged), stored_(merged.base(), model.names.prefix) {
    ModelWeights shapes = lay_out(model.spec);
    const std::vector<PlannedTensor> plan = plan_weights(model, merged.base(), shapes);
    verify(model, merged.base(), plan);
    for (const PlannedTensor& tensor : plan) {
      // Latent attention takes columns of what isn't stored transposed.
      by_name_.emplace(tensor.name, tensor.transposed && tensor.count == 0);
    }
    for (const NameRow& row : model.names.rows) {
      if (row.role == Role::kEmbedding) embedding_ = row.pattern;
      if (row.role == Role::kHead) head_ = row.pattern;
    }
  }

  void run() {
    const AdapterModule* embedding = nullptr;
    const AdapterModule* head = nullptr;
    bool parts = false;
    for (const auto& [name, module] : config_modules()) {
      if (same(name, embedding_)) {
        embedding = &module;
        embedding_saved_ = config().saves_module(name);
        parts |= module.a != nullptr || config().saves_module(name);
        apply(name, module);
      } else if (model_.spec.head.tied && same(name, head_)) {
        head = &module;
        parts |= module.a != nullptr || config().saves_module(name);
        head_name_ = name;
      } else {
        apply(name, module);
      }
    }
    if (model_.spec.head.tied && parts && !config().ties_weights) part_head(head, embedding);
    resize_vocabulary(embedding);
    merged_.finish();
  }

 private:
  const AdapterConfig& config() const { return merged_.adapter().config; }
  const std::map<std::string, AdapterModule, std::less<>>& config_modules() const {
    return merged_.adapter().modules;
  }
  bool same(std::string_view module, std::string_view row) const {
    return !row.empty() && stored_.names().core(std::string(module) + ".") ==
                               stored_.names().core(std::string(row) + ".");
  }

  [[noreturn]] void fail(const NamedTensor& tensor, const std::string& what) const {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: tensor \"{}\": {}; is the adapter of another "
                "base model than {}?",
                tensor.file, tensor.name, what, merged_.base().tensors().front().file);
  }

  // The base's tensor; null, said in the log: the family doesn't use it.
  const NamedTensor* target(const NamedTensor& tensor, const std::string& name) const {
    const NamedTensor* found = stored_.find(name);
    if (found == nullptr) fail(tensor, fmt::format("the base model has no \"{}\"", name));
    if (by_name_.contains(found->name)) return found;
    spdlog::warn("{}: \"{}\" is left out: this model doesn't use it", tensor.file, tensor.name);
    return nullptr;
  }

  void apply(const std::string& name, const AdapterModule& module) {
    for (const NamedTensor* of_weight : {module.a, module.weight, module.tokens}) {
      if (of_weight == nullptr) continue;
      const NamedTensor* weight = target(*of_weight, name + ".weight");
      if (weight != nullptr) change_weight(name, module, *weight, merged_.edit(weight->name));
      break;
    }
    for (const NamedTensor* of_bias : {module.b_bias, module.bias}) {
      if (of_bias == nullptr) continue;
      const NamedTensor* bias = target(*of_bias, name + ".bias");
      if (bias != nullptr) change_bias(name, module, *bias);
      break;
    }
  }

  void change_weight(const std::string& name, const AdapterModule& module,
                     const NamedTensor& weight, TensorEdit& edit) {
    const bool vocabulary = same(name, embedding_) || same(name, head_);
    std::vector<int64_t> shape = weight.view.shape;
    if (module.weight != nullptr) {
      std::vector<int64_t> own = module.weight->view.shape;
      if (vocabulary && own.size() == 2 && shape.size() == 2) shape[0] = own[0];
      check_shape(*module.weight, own, shape, weight);
      edit.replaced = module.weight;
    }
    if (module.a != nullptr) {
      const auto stored = by_name_.find(weight.name);
      edit.transposed = module.embedding || (stored != by_name_.end() && stored->second);
      edit.a = module.a;
      edit.b = module.b;
      edit.magnitude = module.magnitude;
      edit.scale = config().scale_of(name);
      std::vector<int64_t> own = {module.b->view.shape[0], module.a->view.shape[1]};
      if (edit.transposed) std::swap(own[0], own[1]);
      check_shape(*module.a, own, shape, weight);
    }
    if (module.tokens != nullptr) {
      edit.rows = module.tokens;
      edit.ids = &token_ids(name, module, shape);
      check_shape(*module.tokens, module.tokens->view.shape,
                  {static_cast<int64_t>(edit.ids->size()), shape.at(1)}, weight);
    }
  }

  void change_bias(const std::string& name, const AdapterModule& module, const NamedTensor& bias) {
    TensorEdit& edit = merged_.edit(bias.name);
    edit.replaced = module.bias;
    edit.added = module.b_bias;
    edit.scale = config().scale_of(name);
    for (const NamedTensor* own : {module.bias, module.b_bias}) {
      if (own != nullptr) check_shape(*own, own->view.shape, bias.view.shape, bias);
    }
  }

  void check_shape(const NamedTensor& own, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& expected, const NamedTensor& base) const {
    if (shape == expected) return;
    fail(own, fmt::format("makes [{}], expected [{}] to fit \"{}\"", fmt::join(shape, ", "),
                          fmt::join(expected, ", "), base.name));
  }

  const std::vector<int64_t>& token_ids(const std::string& name, const AdapterModule& module,
                                        const std::vector<int64_t>& shape) const {
    for (const auto& [key, ids] : config().tokens) {
      const bool of_embeddings = key.empty() && same(name, embedding_);
      if (!of_embeddings && !(name == key || name.ends_with("." + key))) continue;
      for (const int64_t id : ids) {
        if (shape.size() == 2 && id < shape[0]) continue;
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: \"trainable_token_indices\": {} is no row of \"{}\"", config().file, id,
                    name);
      }
      return ids;
    }
    fail(*module.tokens,
         fmt::format("{}'s \"trainable_token_indices\" does not name \"{}\"", config().file, name));
  }

  // The head gets a tensor of its own: what the base had for both, and its own changes.
  void part_head(const AdapterModule* head, const AdapterModule* embedding) {
    const NamedTensor* shared = stored_.find(std::string(embedding_) + ".weight");
    const std::string name = std::string(head_) + ".weight";
    const NamedTensor* stored = stored_.find(name);
    TensorEdit& edit = merged_.edit(stored != nullptr ? stored->name : name);
    edit.source = shared;
    // Saved beside the adapter, not trained: still the one for both.
    if (embedding != nullptr && !embedding_saved_) edit.replaced = embedding->weight;
    if (head != nullptr) change_weight(head_name_, *head, *shared, edit);
    model_.spec.head.tied = false;
    spdlog::info("{}: embeddings and head have weights of their own with this adapter",
                 config().file);
  }

  // Tokens that were added for training come with embeddings for them.
  void resize_vocabulary(const AdapterModule* embedding) {
    if (embedding == nullptr || embedding->weight == nullptr) return;
    EmbeddingSpec& spec = model_.spec.stacks.front().embedding;
    const int64_t rows = embedding->weight->view.shape.at(0);
    if (rows == spec.vocabulary) return;
    spdlog::info("{}: a vocabulary of {} instead of {}", embedding->weight->file, rows,
                 spec.vocabulary);
    spec.vocabulary = static_cast<int32_t>(rows);
  }

  FamilyModel& model_;
  MergedIndex& merged_;
  const StoredNames stored_;
  std::map<std::string, bool, std::less<>> by_name_;  // the base's: whether it's stored transposed
  std::string_view embedding_, head_;
  std::string head_name_;
  bool embedding_saved_ = false;  // trained whole, by modules_to_save
};

}  // namespace

std::unique_ptr<TensorIndex> merge_adapter(FamilyModel& model, std::unique_ptr<TensorIndex> base,
                                           Adapter adapter) {
  auto merged = std::make_unique<MergedIndex>(std::move(base), std::move(adapter));
  Merger(model, *merged).run();
  return merged;
}

}  // namespace tensormill
