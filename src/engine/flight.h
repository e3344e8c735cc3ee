#pragma once

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "engine/active_request.h"
#include "engine/scheduler.h"

namespace tensormill {

// A step under way.
struct Flight {
  std::vector<StepItem> items;
  std::vector<ActiveRequest*> choosing;  // [logit rows]; null: ended since
  std::vector<int32_t> host_rows;        // those of them that the host chooses for
  std::string error;                     // why it could not be launched; else empty
  std::chrono::steady_clock::time_point begin{};
  bool open = false;  // the next step can be launched before this one's results are known
};

// The steps under way, two at most, the oldest first.
class Flights {
 public:
  explicit Flights(int32_t max_sequences) {
    for (Flight& flight : ring_) {
      flight.items.reserve(static_cast<size_t>(max_sequences));
      flight.choosing.reserve(static_cast<size_t>(max_sequences));
      flight.host_rows.reserve(static_cast<size_t>(max_sequences));
    }
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Flight& front() { return ring_[first_]; }
  Flight& back() { return ring_[(first_ + size_ - 1) % ring_.size()]; }

  Flight& push(std::span<const StepItem> items) {
    Flight& flight = ring_[(first_ + size_++) % ring_.size()];
    flight.items.assign(items.begin(), items.end());
    flight.choosing.clear();
    flight.host_rows.clear();
    flight.error.clear();
    flight.open = false;
    return flight;
  }
  void pop() {
    first_ = (first_ + 1) % ring_.size();
    --size_;
  }
  // The request has ended: what comes for it is dropped.
  void forget(const ActiveRequest* request) {
    for (Flight& flight : ring_) {
      for (StepItem& item : flight.items) {
        if (item.sequence == request) item.sequence = nullptr;
      }
      for (ActiveRequest*& choosing : flight.choosing) {
        if (choosing == request) choosing = nullptr;
      }
    }
  }

 private:
  std::array<Flight, 2> ring_;
  size_t first_ = 0, size_ = 0;
};

}  // namespace tensormill
