#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "base/error.h"
#include "config/configuration.h"

namespace tensormill {

// A folder of its own, gone with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "config-XXXXXX").string();
    path_ = std::filesystem::canonical(mkdtemp(pattern.data()));
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string str() const { return path_.string(); }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  // A folder that looks like a model; with properties if there are any.
  std::string model(const std::string& name, const std::string& properties = "") const {
    write(name + "/config.json", "{}");
    if (!properties.empty()) write(name + "/serving.properties", properties);
    return *this / name;
  }

 private:
  std::filesystem::path path_;
};

// What is logged while it lives.
class Log {
 public:
  Log() : before_(spdlog::default_logger()) {
    auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(text_);
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", sink));
  }
  ~Log() { spdlog::set_default_logger(before_); }
  std::string str() const { return text_.str(); }

 private:
  std::shared_ptr<spdlog::logger> before_;
  std::ostringstream text_;
};

// The message and kind of the Error that `f` throws.
struct Failure {
  std::string message;
  ErrorKind kind = ErrorKind::kInternal;
};
template <class F>
Failure failure_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return {error.what(), error.kind()};
  }
  ADD_FAILURE() << "no error";
  return {};
}

inline ModelConfig resolve(const std::string& item, const Environment& environment = {},
                           const std::vector<std::pair<std::string, std::string>>& request = {},
                           const std::vector<std::pair<std::string, std::string>>& overrides = {}) {
  return resolve_model(item, Settings(SettingScope::kServer), environment, request, overrides);
}

}  // namespace tensormill
