#include "cli/bench_http.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <utility>

#include "artifacts/model_folder.h"
#include "base/error.h"
#include "cli/bench_figures.h"
#include "cli/http_connections.h"
#include "models/describe.h"
#include "tokenizer/tokenizer.h"

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

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& folder) {
  try {
    return load_tokenizer(find_model_parts(folder).tokenizer);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound) throw;
    return byte_tokenizer(describe_model(folder).info.vocabulary);
  }
}

// Prompts without a common beginning: random words, until there are as many tokens as asked.
class Prompts {
 public:
  Prompts(const std::string& folder, int32_t tokens)
      : tokenizer_(tokenizer_of(folder)), tokens_(static_cast<size_t>(tokens)) {}

  std::string next() {
    std::string text;
    do {
      if (!text.empty()) text += ' ';
      for (int i = 0; i < 5; ++i) text += static_cast<char>('a' + letter_(random_));
    } while (count(text) < tokens_);
    while (text.size() > 1 && count(text.substr(0, text.size() - 1)) >= tokens_) text.pop_back();
    made_.push_back(static_cast<double>(count(text)));
    return text;
  }
  double mean_tokens() const {
    double sum = 0;
    for (const double one : made_) sum += one;
    return made_.empty() ? 0 : sum / static_cast<double>(made_.size());
  }

 private:
  size_t count(const std::string& text) const { return tokenizer_->encode(text).ids.size(); }

  std::unique_ptr<Tokenizer> tokenizer_;
  size_t tokens_;
  std::mt19937 random_{std::random_device{}()};
  std::uniform_int_distribution<int> letter_{0, 25};
  std::vector<double> made_;
};

std::string body_of(const HttpLoad& load, const std::string& path, const std::string& prompt) {
  OrderedJson body;
  if (path.ends_with("/completions")) {
    if (!load.served_model.empty()) body["model"] = load.served_model;
    if (path.ends_with("/chat/completions")) {
      body["messages"] = OrderedJson::array({{{"role", "user"}, {"content", prompt}}});
    } else {
      body["prompt"] = prompt;
    }
    body["max_tokens"] = load.new_tokens;
    body["temperature"] = 0;
    body["ignore_eos"] = true;
  } else {
    body["inputs"] = prompt;
    body["parameters"] = {{"max_new_tokens", load.new_tokens}, {"ignore_eos", true}};
  }
  body["stream"] = true;
  return body.dump();
}

struct Figures {
  double request_rate = 0, token_rate = 0, own_share = 0;
  std::vector<double> first, between;  // seconds
  int64_t pieces = 0;                  // lines with text that came
};

Figures run_once(HttpConnections& connections, const HttpLoad& load,
                 const std::vector<std::string>& requests) {
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
  figures.token_rate = figures.request_rate * load.new_tokens;
  return figures;
}

OrderedJson measure(const HttpLoad& load, const HttpPlace& place, int32_t concurrency,
                    Prompts& prompts) {
  const int32_t count = load.requests > 0 ? load.requests : std::max(16, 4 * concurrency);
  const auto make = [&](int32_t requests) {
    std::vector<std::string> all;
    for (int32_t i = 0; i < requests; ++i) all.push_back(body_of(load, place.path, prompts.next()));
    return all;
  };
  HttpConnections connections(place, static_cast<size_t>(concurrency));
  const int32_t warm_up = load.warm_up < 0 ? std::min(count, concurrency) : load.warm_up;
  if (warm_up > 0) run_once(connections, load, make(warm_up));
  std::vector<double> request_rates, token_rates, own, first, between;
  int64_t pieces = 0;
  for (int32_t i = 0; i < load.repeat; ++i) {
    const Figures figures = run_once(connections, load, make(count));
    request_rates.push_back(figures.request_rate);
    token_rates.push_back(figures.token_rate);
    own.push_back(figures.own_share);
    first.insert(first.end(), figures.first.begin(), figures.first.end());
    between.insert(between.end(), figures.between.begin(), figures.between.end());
    pieces += figures.pieces;
  }
  OrderedJson row = {{"concurrency", concurrency},
                     {"requests", count},
                     {"pieces_per_request", static_cast<double>(pieces) / count / load.repeat}};
  add_spread(row, "requests_per_second", request_rates);
  add_spread(row, "tokens_per_second", token_rates);
  for (const auto& [name, values] :
       {std::pair{"first_token_ms", &first}, {"between_ms", &between}}) {
    row[fmt::format("{}_p50", name)] = quantile(*values, 0.5) * 1e3;
    row[fmt::format("{}_p99", name)] = quantile(*values, 0.99) * 1e3;
  }
  row["client_cores"] = quantile(own, 0.5);
  return row;
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
  Prompts prompts(load.model, load.prompt_tokens);
  OrderedJson rows = OrderedJson::array();
  for (const int32_t concurrency : load.concurrency) {
    rows.push_back(measure(load, place, concurrency, prompts));
  }
  return {{"url", load.url},
          {"prompt_tokens", prompts.mean_tokens()},
          {"new_tokens", load.new_tokens},
          {"repeat", load.repeat},
          {"runs", rows}};
}

void print_load(const OrderedJson& result) {
  fmt::print("{}: prompts of {:.1f} tokens, {} new; medians of {} runs (least - most)\n",
             result["url"].get<std::string>(), result["prompt_tokens"].get<double>(),
             result["new_tokens"].get<int>(), result["repeat"].get<int>());
  constexpr const char* kLine = "{:>5} {:>5} {:>24} {:>28} {:>17} {:>17} {:>12}\n";
  fmt::print(kLine, "conc.", "req.", "requests/s", "tokens/s", "first p50/p99 ms",
             "next p50/p99 ms", "client cores");
  for (const OrderedJson& row : result["runs"]) {
    const auto pair = [&](const char* name) {
      return fmt::format("{:.1f} / {:.1f}", row[fmt::format("{}_p50", name)].get<double>(),
                         row[fmt::format("{}_p99", name)].get<double>());
    };
    fmt::print(kLine, row["concurrency"].get<int>(), row["requests"].get<int>(),
               spread_text(row, "requests_per_second", 2), spread_text(row, "tokens_per_second", 1),
               pair("first_token_ms"), pair("between_ms"),
               fmt::format("{:.3f}", row["client_cores"].get<double>()));
  }
}

}  // namespace tensormill
