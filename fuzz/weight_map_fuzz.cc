#include "artifacts/weight_map.h"
#include "base/error.h"
#include "base/json.h"

// An index of shards: every tensor of a file is known by that file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const tensormill::Json json =
        tensormill::parse_json({reinterpret_cast<const char*>(data), size}, "input");
    const tensormill::WeightMap map = tensormill::parse_weight_map(json, "input");
    for (const auto& [file, tensors] : map.files) {
      for (const std::string& tensor : tensors) {
        if (map.file_of.at(tensor) != file) __builtin_trap();
      }
    }
  } catch (const tensormill::Error&) {
  }
  return 0;
}
