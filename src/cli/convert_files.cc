#include "cli/convert_files.h"

#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/log.h"

namespace tensormill {
namespace {

struct DTypeName {
  const char *name, *torch;
  DType type;
};
constexpr DTypeName kDTypes[] = {
    {"f32", "float32", DType::kF32},     {"fp32", "float32", DType::kF32},
    {"float32", "float32", DType::kF32}, {"f16", "float16", DType::kF16},
    {"fp16", "float16", DType::kF16},    {"float16", "float16", DType::kF16},
    {"bf16", "bfloat16", DType::kBF16},  {"bfloat16", "bfloat16", DType::kBF16}};

}  // namespace

std::optional<DType> parse_target_type(const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (const DTypeName& row : kDTypes) {
    if (name == row.name) return row.type;
  }
  throw_error(ErrorKind::kBadRequest, "--dtype \"{}\": expected f32, f16 or bf16", name);
}

const char* torch_name(DType type) {
  for (const DTypeName& row : kDTypes) {
    if (row.type == type) return row.torch;
  }
  throw_error(ErrorKind::kInternal, "{} is no target of a conversion", dtype_name(type));
}

void write_json(const std::filesystem::path& file, const OrderedJson& json, int indent) {
  std::string text;
  try {
    text = json.dump(indent);
  } catch (const nlohmann::json::exception&) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: a text in it is no valid UTF-8",
                file.filename().string());
  }
  std::ofstream stream(file, std::ios::binary);
  stream << text << '\n';
  stream.close();
  if (!stream) throw_error(ErrorKind::kInternal, "{}: could not be written", file.string());
}

// A line that moves on a terminal; one line at the end elsewhere.
Progress weights_progress() {
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return [terminal](uint64_t done, uint64_t total) {
    constexpr double kMiB = 1 << 20;
    if (terminal) {
      fmt::print(stderr, "\rweights {:.0f} of {:.0f} MiB{}", static_cast<double>(done) / kMiB,
                 static_cast<double>(total) / kMiB, done == total ? "\n" : "");
    } else if (done == total) {
      spdlog::info("weights written: {:.0f} MiB", static_cast<double>(total) / kMiB);
    }
  };
}

}  // namespace tensormill
