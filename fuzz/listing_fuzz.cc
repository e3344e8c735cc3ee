#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "artifacts/aws_profile.h"
#include "artifacts/hub_files.h"
#include "artifacts/s3.h"
#include "artifacts/snapshot_cache.h"
#include "base/error.h"

namespace {

template <class F>
void attempt(F&& f) {
  try {
    f();
  } catch (const tensormill::Error&) {
  }
}

}  // namespace

// What servers and files of credentials say: the hub's list, S3's list, and AWS's INI files.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  attempt([&] {
    std::vector<std::string> names;
    for (const tensormill::HubFile& file : tensormill::parse_model_info(text, "fuzz").files) {
      if (!tensormill::is_safe_path(file.path)) __builtin_trap();
      names.push_back(file.path);
    }
    attempt([&] { tensormill::choose_files(names, "", "fuzz"); });
    attempt([&] { tensormill::choose_files(names, "fp16", "fuzz"); });
  });
  attempt([&] { tensormill::parse_s3_page(text, "fuzz"); });
  tensormill::parse_aws_file(text);
  return 0;
}
