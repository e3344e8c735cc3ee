#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/host_choice.h"
#include "kernels/table.h"
#include "tensor/device.h"

namespace tensormill {

// A device whose kernels are the CPU's and choose tokens too. What it downloads is there when
// somebody has waited for it, not before; what it records runs when it is replayed.
class FakeDevice : public Device {
 public:
  // The CPU's kernels with a choice of tokens.
  static const KernelTable& kernels() {
    static const KernelTable table = [] {
      KernelTable cpu = *cpu_kernels("auto");
      cpu.sample = choose_on_host;
      cpu.sample_scratch = [](int32_t, int32_t) { return size_t{64}; };
      return cpu;
    }();
    return table;
  }

  int64_t bytes = int64_t{1} << 30;  // that it has
  bool records = true;
  bool fails_to_record = false;
  int64_t recorded = 0, replayed = 0, uploaded = 0;

  const std::string& name() const override { return name_; }
  bool on_host() const override { return false; }
  int64_t total() const override { return bytes; }
  int64_t available() const override { return bytes - taken_; }
  void* take(size_t size) override {
    if (static_cast<int64_t>(size) > available()) return nullptr;
    taken_ += static_cast<int64_t>(size);
    return host_device().take(size);
  }
  void give(void* data, size_t size) noexcept override {
    taken_ -= static_cast<int64_t>(size);
    host_device().give(data, size);
  }
  void* take_staging(size_t size) override { return host_device().take(size); }
  void give_staging(void* data, size_t size) noexcept override { host_device().give(data, size); }

  void upload(void* to, const void* from, size_t size) override {
    uploaded += static_cast<int64_t>(size);
    std::memcpy(to, from, size);
  }
  void upload_staged(void* to, const void* from, size_t size) override { upload(to, from, size); }
  void download(void* to, const void* from, size_t size) override {
    std::memset(to, 0xAB, size);
    const auto* values = static_cast<const char*>(from);
    pending_.push_back({to, {values, values + size}});
  }
  void wait() override { bring(pending_.size()); }
  void mark(int which) override { marks_.at(static_cast<size_t>(which)) = pending_.size(); }
  void wait_for(int which) override { bring(marks_.at(static_cast<size_t>(which))); }
  std::unique_ptr<Recording> record(const std::function<void()>& enqueue) override {
    if (fails_to_record) throw_error(ErrorKind::kInternal, "nothing can be recorded");
    if (!records) return nullptr;
    ++recorded;
    return std::make_unique<Tape>(*this, enqueue);
  }

 private:
  struct Copy {
    void* to;
    std::vector<char> values;
  };
  class Tape : public Recording {
   public:
    Tape(FakeDevice& device, std::function<void()> work)
        : device_(device), work_(std::move(work)) {}
    void replay() override {
      ++device_.replayed;
      work_();
    }

   private:
    FakeDevice& device_;
    std::function<void()> work_;
  };
  void bring(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      std::memcpy(pending_[i].to, pending_[i].values.data(), pending_[i].values.size());
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
    for (size_t& mark : marks_) mark -= std::min(mark, count);
  }

  std::string name_ = "fake:0";
  int64_t taken_ = 0;
  std::vector<Copy> pending_;
  std::array<size_t, 2> marks_{};
};

}  // namespace tensormill
