#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

class ModelRegistry;

// Counters and gauges of /server/metrics. Thread-safe; written once a request, never once a token.
class Metrics {
 public:
  // Response_2XX, Response_4XX, Response_5XX by the outcome of an inference call.
  void count_response(int status);
  // QueueTime: until the first token; RequestLatency: until the last byte.
  void queue_time(const std::string& model, std::chrono::microseconds time);
  void request_latency(const std::string& model, std::chrono::microseconds time);
  void count(std::string_view name, const std::string& label, const std::string& value);
  void gauge(std::string_view name, const std::string& label, const std::string& value,
             double number);

  // The Prometheus text; `names`: only these, without the suffix _total (empty: all).
  std::string render(const ModelRegistry& models, const std::vector<std::string>& names) const;

 private:
  struct Series {
    std::string name, label, value;
    auto operator<=>(const Series&) const = default;
  };
  mutable std::mutex mutex_;
  std::map<Series, double> counters_, gauges_;
};

}  // namespace tensormill
