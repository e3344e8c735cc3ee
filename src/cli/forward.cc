#include <charconv>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/safetensors_writer.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/load_model.h"
#include "models/host_batch.h"

namespace tensormill {
namespace {

// "1,2,3;4,5" as sequences of ids.
std::vector<std::vector<int32_t>> parse_ids(std::string_view text) {
  std::vector<std::vector<int32_t>> sequences(1);
  const char* at = text.data();
  const char* end = at + text.size();
  while (true) {
    int32_t id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (next != end && *next != ',' && *next != ';')) {
      throw_error(ErrorKind::kBadRequest,
                  "--ids {}: no token id at character {}, expected 1,2,3 or 1,2;3,4", text,
                  at - text.data() + 1);
    }
    sequences.back().push_back(id);
    if (next == end) return sequences;
    if (*next == ';') sequences.emplace_back();
    at = next + 1;
  }
}

void write(const std::string& file, const ModelInfo& info, const AllRows& all) {
  SafetensorsWriter writer(file, {{"logits", DType::kF32, {all.rows, info.vocabulary}},
                                  {"hidden", DType::kF32, {all.rows, info.head_width}}});
  for (const SafetensorsWriter::Entry& entry : writer.entries()) {
    const std::vector<float>& values = entry.name == "logits" ? all.logits : all.hidden;
    writer.write(values.data(), values.size() * sizeof(float));
  }
  writer.finish();
}

}  // namespace

CommandRunner declare_forward(CLI::App& app) {
  struct Options {
    CommonOptions common;
    std::string model, ids, out;
    int32_t chunk = 512;
    bool random_weights = false;
  };
  const auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model,
                 "a folder, an archive, org/name of the hub or s3://bucket/prefix")
      ->required();
  app.add_option("--ids", options->ids, "token ids, 1,2,3[;4,5]: one sequence or several")
      ->required();
  app.add_option("--out", options->out,
                 "safetensors file to write: float32 logits [tokens, vocabulary] and hidden "
                 "[tokens, hidden], sequences in order")
      ->required();
  app.add_option("--chunk", options->chunk, "tokens of one step; results don't depend on it")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_flag("--random-weights", options->random_weights, "needs only config.json");
  options->common.declare(app);
  return [options] {
    const std::vector<std::vector<int32_t>> sequences = parse_ids(options->ids);
    const LoadedModel loaded = load_model(options->model, options->common, options->random_weights);
    write(options->out, loaded.model->info(),
          run_sequences(*loaded.model, sequences, options->chunk));
    return 0;
  };
}

}  // namespace tensormill
