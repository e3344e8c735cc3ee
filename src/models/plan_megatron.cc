#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

#include "base/error.h"
#include "models/convert_megatron.h"

namespace tensormill {
namespace {

constexpr std::string_view kLayer = "{L}", kLayers = "layers.";
constexpr int64_t kMaxLayers = 1 << 16;

// A tensor's name in the checkpoint, taken apart.
struct Place {
  const MegatronRow* row = nullptr;
  int64_t layer = 0;
  bool weight = true;
};

const MegatronPrefix* prefix_of(std::string_view name, std::span<const MegatronPrefix> prefixes) {
  const auto found = std::find_if(prefixes.begin(), prefixes.end(),
                                  [&](const auto& item) { return name.starts_with(item.prefix); });
  return found == prefixes.end() ? nullptr : &*found;
}

std::string with_layer(std::string_view pattern, int64_t layer, bool weight) {
  std::string name(pattern);
  if (const size_t place = name.find(kLayer); place != std::string::npos) {
    name.replace(place, kLayer.size(), std::to_string(layer));
  }
  return name + (weight ? ".weight" : ".bias");
}

MegatronSplit split_of(const MegatronRow& row, bool weight) {
  return !weight && row.split == MegatronSplit::kColumns ? MegatronSplit::kNone : row.split;
}

class Planner {
 public:
  explicit Planner(const MegatronCheckpoint& checkpoint)
      : checkpoint_(checkpoint), family_(megatron_family()) {}

  MegatronPlan run() {
    for (size_t stage = 0; stage < checkpoint_.pipeline_ranks; ++stage) add_stage(stage);
    sizes_.layers = first_layer_;
    check_missing();
    for (const auto& [key, tensor] : tensors_) note(tensor);
    for (const auto& [key, tensor] : tensors_) check(tensor);
    MegatronPlan plan{&checkpoint_, sizes_, {}};
    for (auto& [key, tensor] : tensors_) plan.tensors.push_back(std::move(tensor));
    std::sort(plan.tensors.begin(), plan.tensors.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    return plan;
  }

 private:
  Place place_of(std::string_view full, const std::string& origin) const {
    Place place;
    std::string name(full);
    place.weight = name.ends_with(".weight");
    if (place.weight || name.ends_with(".bias")) name.resize(name.rfind('.'));
    const auto respell = [&] {
      const MegatronPrefix* spelling = prefix_of(name, family_.spellings);
      if (spelling != nullptr) name.replace(0, spelling->prefix.size(), spelling->meaning);
    };
    respell();
    if (name.starts_with(kLayers)) {
      const char* begin = name.data() + kLayers.size();
      const auto [end, error] = std::from_chars(begin, name.data() + name.size(), place.layer);
      if (error == std::errc() && place.layer >= 0 && place.layer < kMaxLayers) {
        name.replace(kLayers.size(), static_cast<size_t>(end - begin), kLayer);
      }
      respell();
    }
    for (const MegatronRow& row : family_.rows) {
      if (row.megatron == name && (place.weight || (row.bias && full.ends_with(".bias")))) {
        place.row = &row;
        return place;
      }
    }
    const MegatronPrefix* other = prefix_of(full, family_.others);
    throw_error(ErrorKind::kUnsupported,
                "{}: tensor \"{}\" is not one that {} of Megatron-LM is known to have{}{}", origin,
                full, family_.name, other == nullptr ? "" : ": it belongs to ",
                other == nullptr ? "" : other->meaning);
  }

  void add_stage(size_t stage) {
    const MegatronRank& first = checkpoint_.rank(stage, 0);
    int64_t layers = 0;
    for (const NamedTensor& tensor : first.model->tensors()) {
      if (prefix_of(tensor.name, family_.skipped) != nullptr) continue;
      const Place place = place_of(tensor.name, first.origin);
      const bool layered = place.row->megatron.find(kLayer) != std::string_view::npos;
      if (layered) layers = std::max(layers, place.layer + 1);
      const int64_t layer = layered ? first_layer_ + place.layer : 0;
      add(stage, tensor, place, layer);
    }
    for (size_t i = 1; i < checkpoint_.tensor_ranks; ++i) check_same_names(stage, i);
    first_layer_ += layers;
  }

  void add(size_t stage, const NamedTensor& tensor, const Place& place, int64_t layer) {
    MegatronTensor result;
    result.name = with_layer(place.row->name, layer, place.weight);
    result.source = tensor.name;
    result.split = split_of(*place.row, place.weight);
    result.transposed = place.row->transposed && place.weight;
    result.row_size = place.row->rows;
    if (place.weight) result.column_size = place.row->columns;
    const size_t rank = result.column_size == MegatronSize::kNone ? 1 : 2;
    for (size_t i = 0; i < checkpoint_.tensor_ranks; ++i) {
      const MegatronRank& owner = checkpoint_.rank(stage, i);
      const NamedTensor* part = owner.model->find(tensor.name);
      if (part == nullptr) {
        throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" of {} is missing", owner.origin,
                    tensor.name, checkpoint_.rank(stage, 0).origin);
      }
      const std::vector<int64_t>& shape = part->view.shape;
      if (shape.size() != rank || shape[0] < 1 || shape.back() < 1 || !is_float(part->view.type)) {
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: tensor \"{}\": shape [{}] of {}, expected a {} of floats", owner.origin,
                    tensor.name, fmt::join(shape, ", "), dtype_name(part->view.type),
                    rank == 1 ? "vector" : "matrix");
      }
      if (shape != tensor.view.shape || part->view.type != tensor.view.type) {
        throw_error(ErrorKind::kArtifactInvalid,
                    "{}: tensor \"{}\" is {} [{}], but {} [{}] in {}: shards of one tensor agree",
                    owner.origin, tensor.name, dtype_name(part->view.type), fmt::join(shape, ", "),
                    dtype_name(tensor.view.type), fmt::join(tensor.view.shape, ", "),
                    checkpoint_.rank(stage, 0).origin);
      }
      result.parts.push_back({part, owner.model.get()});
    }
    if (result.split == MegatronSplit::kNone) result.parts.resize(1);
    const auto parts = static_cast<int64_t>(result.parts.size());
    const bool by_columns = result.split == MegatronSplit::kColumns;
    result.rows = tensor.view.shape[0] * (by_columns ? 1 : parts);
    if (rank == 2) result.columns = tensor.view.shape[1] * (by_columns ? parts : 1);
    const std::string name = result.name;
    if (!tensors_.emplace(name, std::move(result)).second) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" is there twice",
                  checkpoint_.rank(stage, 0).origin, tensor.name);
    }
  }

  void check_same_names(size_t stage, size_t tensor_rank) const {
    const MegatronRank &first = checkpoint_.rank(stage, 0),
                       &other = checkpoint_.rank(stage, tensor_rank);
    for (const NamedTensor& tensor : other.model->tensors()) {
      if (first.model->find(tensor.name) == nullptr) {
        throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" of {} is missing", first.origin,
                    tensor.name, other.origin);
      }
    }
  }

  void check_missing() const {
    if (sizes_.layers == 0) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: no tensors of layers", checkpoint_.origin);
    }
    for (const MegatronRow& row : family_.rows) {
      const bool layered = row.megatron.find(kLayer) != std::string_view::npos;
      for (int64_t layer = 0; layer < (layered ? sizes_.layers : 1); ++layer) {
        for (const bool weight : {true, false}) {
          if (!weight && !row.bias) continue;
          if (tensors_.count(with_layer(row.name, layer, weight)) != 0) continue;
          throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" is missing{}",
                      checkpoint_.origin, with_layer(row.megatron, layer, weight),
                      layered && checkpoint_.pipeline_ranks > 1
                          ? " (layers are counted over all pipeline ranks)"
                          : "");
        }
      }
    }
  }

  // Sizes as those tensors have them that alone tell.
  void note(const MegatronTensor& tensor) {
    if (tensor.row_size == MegatronSize::kVocabulary) {
      sizes_.padded = tensor.rows;
      sizes_.width = tensor.columns;
    }
    if (tensor.row_size == MegatronSize::kPositions) sizes_.positions = tensor.rows;
    if (tensor.row_size == MegatronSize::kInner) sizes_.inner = tensor.rows;
  }

  int64_t expected(MegatronSize size) const {
    switch (size) {
      case MegatronSize::kWidth:
        return sizes_.width;
      case MegatronSize::kInner:
        return sizes_.inner;
      case MegatronSize::kQkv:
        return 3 * sizes_.width;
      case MegatronSize::kVocabulary:
        return sizes_.padded;
      case MegatronSize::kPositions:
        return sizes_.positions;
      case MegatronSize::kNone:
        break;
    }
    return 1;
  }

  void check(const MegatronTensor& tensor) const {
    const int64_t rows = expected(tensor.row_size), columns = expected(tensor.column_size);
    if (tensor.rows != rows || tensor.columns != columns) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: tensor \"{}\" ({}): {} x {} over all ranks, expected {} x {}",
                  checkpoint_.origin, tensor.source, tensor.name, tensor.rows, tensor.columns, rows,
                  columns);
    }
  }

  const MegatronCheckpoint& checkpoint_;
  const MegatronFamily& family_;
  MegatronSizes sizes_;
  int64_t first_layer_ = 0;
  std::map<std::string, MegatronTensor> tensors_;
};

}  // namespace

MegatronPlan plan_megatron(const MegatronCheckpoint& checkpoint) {
  return Planner(checkpoint).run();
}

}  // namespace tensormill
