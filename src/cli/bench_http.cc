#include "cli/bench_http.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "cli/bench_figures.h"
#include "cli/bench_prompts.h"
#include "cli/http_connections.h"
#include "cli/server_memory.h"

namespace tensormill {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// This process's time on cores.
double own_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string body_of(const HttpLoad& load, const std::string& path, const std::string& prompt,
                    int32_t new_tokens) {
  OrderedJson body;
  if (path.ends_with("/completions")) {
    if (!load.served_model.empty()) body["model"] = load.served_model;
    if (path.ends_with("/chat/completions")) {
      body["messages"] = OrderedJson::array({{{"role", "user"}, {"content", prompt}}});
    } else {
      body["prompt"] = prompt;
    }
    body["max_tokens"] = new_tokens;
    body["temperature"] = 0;
    body["ignore_eos"] = true;
  } else {
    body["inputs"] = prompt;
    body["parameters"] = {{"max_new_tokens", new_tokens}, {"ignore_eos", true}};
  }
  body["stream"] = true;
  return body.dump();
}

struct Figures {
  double request_rate = 0, token_rate = 0, own_share = 0;
  std::vector<double> first, between;  // seconds
  int64_t pieces = 0;                  // lines with text that came
};

struct Requests {
  std::vector<std::string> bodies;
  int64_t new_tokens = 0;  // of all
};

Requests make_requests(const HttpLoad& load, const std::string& path, size_t count,
                       BenchPrompts& prompts) {
  Requests requests;
  for (size_t i = 0; i < count; ++i) {
    const TraceItem item = load.trace.empty() ? TraceItem{load.prompt_tokens, load.new_tokens}
                                              : load.trace[i % load.trace.size()];
    requests.bodies.push_back(body_of(load, path, prompts.next(item.prompt), item.output));
    requests.new_tokens += item.output;
  }
  return requests;
}

Figures run_once(HttpConnections& connections, const Requests& load) {
  const std::vector<std::string>& requests = load.bodies;
  Figures figures;
  size_t sent = 0, ended = 0;
  struct Times {
    Clock::time_point begin, last;
    bool any = false, failed = false;
    std::string said = {};  // the beginning of lines without a token: what an error says
  };
  std::vector<Times> times(connections.size());
  const auto send = [&](size_t connection) {
    times[connection] = {Clock::now(), {}};
    connections.send(connection, requests[sent++]);
  };
  const double own = own_seconds();
  const Clock::time_point start = Clock::now();
  for (size_t i = 0; i < connections.size() && sent < requests.size(); ++i) send(i);
  while (ended < requests.size()) {
    connections.wait(
        [&](size_t connection, std::string_view line) {
          constexpr size_t kSaid = 300;
          Times& time = times[connection];
          if (!carries_token(line)) {
            if (time.said.size() < kSaid) time.said += line.substr(0, kSaid);
            time.failed = time.failed || line.find("\"error\"") != line.npos;
            return;
          }
          const Clock::time_point now = Clock::now();
          (time.any ? figures.between : figures.first)
              .push_back(seconds(now - (time.any ? time.last : time.begin)));
          time.any = true;
          time.last = now;
          ++figures.pieces;
        },
        [&](size_t connection, int status) {
          const Times& time = times[connection];
          if (status != 200 || !time.any || time.failed) {
            throw_error(ErrorKind::kInternal, "a request failed with status {}: {}", status,
                        time.said);
          }
          ++ended;
          if (sent < requests.size()) send(connection);
        });
  }
  const double spent = seconds(Clock::now() - start);
  figures.own_share = (own_seconds() - own) / spent;
  figures.request_rate = static_cast<double>(requests.size()) / spent;
  figures.token_rate = static_cast<double>(load.new_tokens) / spent;
  return figures;
}

OrderedJson measure(const HttpLoad& load, const HttpPlace& place, int32_t concurrency,
                    BenchPrompts& prompts, int server) {
  const auto connected = static_cast<size_t>(concurrency);
  size_t count = load.trace.empty() ? std::max<size_t>(16, 4 * connected) : load.trace.size();
  if (load.requests > 0) count = static_cast<size_t>(load.requests);
  HttpConnections connections(place, connected);
  const size_t warm_up =
      load.warm_up < 0 ? std::min(count, connected) : static_cast<size_t>(load.warm_up);
  if (warm_up > 0) run_once(connections, make_requests(load, place.path, warm_up, prompts));
  ProcessMemory memory;
  std::vector<double> request_rates, token_rates, own, first, between;
  int64_t pieces = 0;
  for (int32_t i = 0; i < load.repeat; ++i) {
    const Figures figures = run_once(connections, make_requests(load, place.path, count, prompts));
    const ProcessMemory now = memory_of(server);
    memory.anonymous = std::max(memory.anonymous, now.anonymous);
    memory.peak = std::max(memory.peak, now.peak);
    request_rates.push_back(figures.request_rate);
    token_rates.push_back(figures.token_rate);
    own.push_back(figures.own_share);
    first.insert(first.end(), figures.first.begin(), figures.first.end());
    between.insert(between.end(), figures.between.begin(), figures.between.end());
    pieces += figures.pieces;
  }
  OrderedJson row = {{"concurrency", concurrency},
                     {"requests", count},
                     {"pieces_per_request",
                      static_cast<double>(pieces) / static_cast<double>(count) / load.repeat}};
  add_spread(row, "requests_per_second", request_rates);
  add_spread(row, "tokens_per_second", token_rates);
  for (const auto& [name, values] :
       {std::pair{"first_token_ms", &first}, {"between_ms", &between}}) {
    row[fmt::format("{}_p50", name)] = quantile(*values, 0.5) * 1e3;
    row[fmt::format("{}_p99", name)] = quantile(*values, 0.99) * 1e3;
  }
  row["client_cores"] = quantile(own, 0.5);
  if (memory.peak > 0) {
    row["server_anonymous_bytes"] = memory.anonymous;
    row["server_peak_resident_bytes"] = memory.peak;
  }
  return row;
}

bool is_local(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

bool has_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() &&
         !found->get_ref<const std::string&>().empty();
}

}  // namespace

HttpPlace parse_url(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = url;
  if (rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string_view place = rest.substr(0, slash);
  const size_t colon = place.rfind(':');
  HttpPlace result;
  result.host = place.substr(0, colon);
  result.port = colon == std::string_view::npos ? "80" : place.substr(colon + 1);
  result.path = slash == std::string_view::npos || slash + 1 == rest.size() ? "/invocations"
                                                                            : rest.substr(slash);
  if (!url.starts_with(kScheme) || result.host.empty() || result.port.empty()) {
    throw_error(ErrorKind::kBadRequest, "--url {}: expected http://host:port[/path]", url);
  }
  return result;
}

bool carries_token(std::string_view line) {
  constexpr std::string_view kEvent = "data:";
  if (line.starts_with(kEvent)) line.remove_prefix(kEvent.size());
  while (line.starts_with(' ')) line.remove_prefix(1);
  if (!line.starts_with('{')) return false;
  const Json piece = Json::parse(line, nullptr, false);
  if (piece.is_discarded()) return false;
  if (piece.contains("token")) return true;
  const auto choices = piece.find("choices");
  if (choices == piece.end() || !choices->is_array() || choices->empty()) return false;
  const Json& choice = choices->front();
  if (has_text(choice, "text")) return true;
  return choice.contains("delta") && has_text(choice["delta"], "content");
}

OrderedJson load_server(const HttpLoad& load) {
  const HttpPlace place = parse_url(load.url);
  BenchPrompts prompts(load.model, load.shared_prefix, 0);
  const int server = is_local(place.host) ? listener_of(place.port) : 0;
  OrderedJson rows = OrderedJson::array();
  for (const int32_t concurrency : load.concurrency) {
    rows.push_back(measure(load, place, concurrency, prompts, server));
  }
  double new_tokens = load.new_tokens;
  if (!load.trace.empty()) {
    const auto add = [](int64_t sum, const TraceItem& item) { return sum + item.output; };
    new_tokens = static_cast<double>(
                     std::accumulate(load.trace.begin(), load.trace.end(), int64_t{0}, add)) /
                 static_cast<double>(load.trace.size());
  }
  return {{"url", load.url},
          {"prompt_tokens", prompts.mean_tokens()},
          {"shared_prefix_tokens", load.shared_prefix},
          {"new_tokens", new_tokens},
          {"repeat", load.repeat},
          {"runs", rows}};
}

void print_load(const OrderedJson& result) {
  fmt::print("{}: prompts of {:.1f} tokens, {:.1f} new; medians of {} runs (least - most)\n",
             result["url"].get<std::string>(), result["prompt_tokens"].get<double>(),
             result["new_tokens"].get<double>(), result["repeat"].get<int>());
  constexpr const char* kLine = "{:>5} {:>5} {:>24} {:>28} {:>17} {:>17} {:>12} {:>10}\n";
  fmt::print(kLine, "conc.", "req.", "requests/s", "tokens/s", "first p50/p99 ms",
             "next p50/p99 ms", "client cores", "server MiB");
  for (const OrderedJson& row : result["runs"]) {
    const auto pair = [&](const char* name) {
      return fmt::format("{:.1f} / {:.1f}", row[fmt::format("{}_p50", name)].get<double>(),
                         row[fmt::format("{}_p99", name)].get<double>());
    };
    const auto memory = row.find("server_anonymous_bytes");
    constexpr double kMiB = 1 << 20;
    fmt::print(kLine, row["concurrency"].get<int>(), row["requests"].get<int>(),
               spread_text(row, "requests_per_second", 2), spread_text(row, "tokens_per_second", 1),
               pair("first_token_ms"), pair("between_ms"),
               fmt::format("{:.3f}", row["client_cores"].get<double>()),
               memory == row.end() ? "-" : fmt::format("{:.0f}", memory->get<double>() / kMiB));
  }
}

}  // namespace tensormill
