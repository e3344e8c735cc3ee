#pragma once

#include <unistd.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "../device.h"
#include "artifacts/tensor_index.h"
#include "base/json.h"
#include "models/model.h"

namespace tensormill {

// A model folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "tensormill_models_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

 private:
  std::filesystem::path path_;
};

// A name for a test: letters, digits and underscores.
inline std::string test_text(std::string text) {
  for (char& c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return text;
}

// One checkpoint of golden/models/<family> and what the reference computes with it.
struct Variant {
  std::string family, name, weights;
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<int32_t>> rows;  // of each prompt, whose results are known
  int32_t greedy_prompt = 0;
  std::vector<int32_t> greedy;  // tokens that continue it
  std::vector<float> gaps;      // how far each stood off the next best, of the largest logit

  std::filesystem::path golden() const {
    return std::filesystem::path(TENSORMILL_GOLDEN) / "models" / family;
  }
  // `change` may edit config.json first.
  template <class Change>
  void make_folder(const TemporaryFolder& folder, Change&& change) const {
    Json config = read_json_file(golden() / (name + ".config.json"));
    change(config);
    folder.write("config.json", config.dump());
    std::filesystem::copy_file(golden() / weights, folder.path() / "model.safetensors");
    const auto tokens = golden() / (name + ".added_tokens.json");
    if (std::filesystem::exists(tokens)) {
      std::filesystem::copy_file(tokens, folder.path() / "added_tokens.json");
    }
  }
  std::unique_ptr<Model> load(const LoadOptions& options) const {
    const TemporaryFolder folder;
    make_folder(folder, [](Json&) {});
    return Model::load(folder.path(), options);
  }
};

// For the names of tests.
inline void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.family << "/" << variant.name;
}

// Of one family; none where it has no fixtures.
inline std::vector<Variant> variants_of(const std::string& family) {
  std::vector<Variant> all;
  const auto file = std::filesystem::path(TENSORMILL_GOLDEN) / "models" / family / "variants.json";
  if (!std::filesystem::exists(file)) return all;
  for (const Json& item : read_json_file(file)) {
    all.push_back({family, item.at("name"), item.at("weights"), item.at("prompts"), item.at("rows"),
                   item.at("greedy_prompt"), item.at("greedy"), item.at("gaps")});
  }
  return all;
}

inline std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (const std::string& family : supported_model_types()) {
    for (Variant& variant : variants_of(family)) all.push_back(std::move(variant));
  }
  return all;
}

inline Variant find_variant(const std::string& family, const std::string& name) {
  for (Variant& variant : variants()) {
    if (variant.family == family && variant.name == name) return variant;
  }
  throw std::runtime_error("no fixture " + family + "/" + name);
}

inline LoadOptions load_options(WeightFormat format) {
  LoadOptions options;
  options.format = format;
  run_on_test_device(options, nullptr);
  return options;
}

}  // namespace tensormill
