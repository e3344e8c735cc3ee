#include "server/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "server/model_registry.h"

namespace tensormill {
namespace {

const std::string& host_name() {
  static const std::string name = [] {
    char buffer[256] = "localhost";
    if (::gethostname(buffer, sizeof(buffer) - 1) != 0) return std::string("localhost");
    return std::string(buffer);
  }();
  return name;
}

std::string escaped_label(std::string_view value) {
  std::string out;
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view unit_of(std::string_view name) {
  return name == "QueueTime" || name == "RequestLatency" || name == "StartupLatency" ||
                 name == "LoadModel"
             ? "Microseconds"
             : "Count";
}

class Page {
 public:
  explicit Page(const std::vector<std::string>& names) : names_(names) {}

  void add(std::string_view name, std::string_view kind, std::string_view label,
           std::string_view value, double number) {
    if (!names_.empty() && std::find(names_.begin(), names_.end(), name) == names_.end()) return;
    const std::string shown = kind == "counter" ? fmt::format("{}_total", name) : std::string(name);
    if (shown != last_) {
      text_ += fmt::format("# HELP {} : prometheus {} metric, unit: {}\n# TYPE {} {}\n", shown,
                           kind, unit_of(name), shown, kind);
      last_ = shown;
    }
    text_ += fmt::format("{}{{{}=\"{}\",}} {}{}\n", shown, label, escaped_label(value), number,
                         number == static_cast<double>(static_cast<int64_t>(number)) ? ".0" : "");
  }

  std::string text() && { return std::move(text_); }

 private:
  const std::vector<std::string>& names_;
  std::string text_, last_;
};

// Name, kind and value of each figure of an engine.
struct EngineFigure {
  std::string_view name, kind;
  double (*value)(const EngineStats&);
};
constexpr EngineFigure kEngineFigures[] = {
    {"EngineRunning", "gauge", [](const EngineStats& s) { return double(s.running); }},
    {"EngineWaiting", "gauge", [](const EngineStats& s) { return double(s.waiting); }},
    {"EngineBlocksTotal", "gauge", [](const EngineStats& s) { return double(s.blocks_total); }},
    {"EngineBlocksFree", "gauge", [](const EngineStats& s) { return double(s.blocks_free); }},
    {"EngineMeanDecodeBatch", "gauge", [](const EngineStats& s) { return s.mean_decode_batch(); }},
    {"EngineSteps", "counter", [](const EngineStats& s) { return double(s.steps); }},
    {"EngineDecodeSteps", "counter", [](const EngineStats& s) { return double(s.decode_steps); }},
    {"EngineDecodeTokens", "counter", [](const EngineStats& s) { return double(s.decode_tokens); }},
    {"EnginePrefillTokens", "counter",
     [](const EngineStats& s) { return double(s.prefill_tokens); }},
    {"EngineRequests", "counter", [](const EngineStats& s) { return double(s.requests); }},
    {"EngineFinished", "counter", [](const EngineStats& s) { return double(s.finished); }},
    {"EngineCancelled", "counter", [](const EngineStats& s) { return double(s.cancelled); }},
    {"EnginePreemptions", "counter", [](const EngineStats& s) { return double(s.preemptions); }},
    {"EngineSharedPrefixTokens", "counter",
     [](const EngineStats& s) { return double(s.shared_prefix_tokens); }},
};

}  // namespace

void Metrics::count_response(int status) {
  const std::string_view name = status < 400   ? "Response_2XX"
                                : status < 500 ? "Response_4XX"
                                               : "Response_5XX";
  count(name, "Host", host_name());
}

void Metrics::queue_time(const std::string& model, std::chrono::microseconds time) {
  gauge("QueueTime", "Model", model, static_cast<double>(time.count()));
}

void Metrics::request_latency(const std::string& model, std::chrono::microseconds time) {
  gauge("RequestLatency", "Model", model, static_cast<double>(time.count()));
}

void Metrics::count(std::string_view name, const std::string& label, const std::string& value) {
  const std::lock_guard lock(mutex_);
  ++counters_[Series{std::string(name), label, value}];
}

void Metrics::gauge(std::string_view name, const std::string& label, const std::string& value,
                    double number) {
  const std::lock_guard lock(mutex_);
  gauges_[Series{std::string(name), label, value}] = number;
}

std::string Metrics::render(const ModelRegistry& models,
                            const std::vector<std::string>& names) const {
  Page page(names);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [series, number] : counters_) {
      page.add(series.name, "counter", series.label, series.value, number);
    }
    for (const auto& [series, number] : gauges_) {
      page.add(series.name, "gauge", series.label, series.value, number);
    }
  }
  std::vector<std::pair<std::string, EngineStats>> engines;
  for (const ModelHandle& model : models.all()) {
    if (model->status == ModelStatus::kReady) {
      engines.emplace_back(model->config.name, model->backend->stats());
    }
  }
  for (const EngineFigure& figure : kEngineFigures) {
    for (const auto& [name, stats] : engines) {
      page.add(figure.name, figure.kind, "Model", name, figure.value(stats));
    }
  }
  return std::move(page).text();
}

}  // namespace tensormill
