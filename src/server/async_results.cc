#include "server/async_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "server/server_json.h"

namespace tensormill {
namespace {

constexpr size_t kUuid = 36;
constexpr size_t kMaxBytes = size_t{256} << 20, kMaxResult = size_t{64} << 20;
constexpr std::chrono::hours kKept{1};

std::optional<size_t> parse_count(std::string_view text) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void add_token(HttpHead& head, const std::string& token) {
  head.headers.emplace_back("x-next-token", token);
  head.headers.emplace_back("X-Amzn-SageMaker-Custom-Attributes", "x-next-token=" + token);
}

void refuse(HttpExchange& client, const std::string& token) {
  client.reply({400, "", {{"content-type", "application/json"}}},
               error_envelope(400, "BadRequestException", "Invalid x-starting-token: " + token));
}

}  // namespace

// Keeps a reply instead of sending it.
class AsyncResults::Recorder : public HttpExchange {
 public:
  explicit Recorder(std::shared_ptr<Result> result) : result_(std::move(result)) {}

  void reply(HttpHead head, std::string body) override {
    result_->head = std::move(head);
    keep(body);
    result_->done = true;
  }
  void begin(HttpHead head) override { result_->head = std::move(head); }
  bool write(std::string_view bytes) override {
    if (result_->bytes + bytes.size() > kMaxResult) {
      abort();
      return false;
    }
    keep(bytes);
    return true;
  }
  void finish() override { result_->done = true; }
  void abort() override {
    result_->head.status = 500;
    result_->done = true;
  }
  void on_gone(std::function<void()>) override {}

 private:
  void keep(std::string_view bytes) {
    if (bytes.empty()) return;
    result_->bytes += bytes.size();
    result_->chunks.emplace_back(bytes);
  }
  std::shared_ptr<Result> result_;
};

std::shared_ptr<HttpExchange> AsyncResults::begin(HttpExchange& client) {
  evict();
  const std::string token = random_uuid();
  auto result = std::make_shared<Result>();
  results_[token] = result;
  HttpHead head;
  add_token(head, token);
  client.reply(std::move(head), "");
  return std::make_shared<Recorder>(std::move(result));
}

void AsyncResults::fetch(HttpExchange& client, const std::string& token,
                         const std::string& max_items) {
  const std::string uuid = token.substr(0, kUuid);
  const auto found = results_.find(uuid);
  const auto index = token.size() > kUuid ? parse_count(std::string_view(token).substr(kUuid)) : 0;
  const auto limit =
      max_items.empty() ? std::numeric_limits<size_t>::max() : parse_count(max_items);
  if (found == results_.end() || !index) return refuse(client, token);
  if (!limit || *limit == 0) {
    return reply_error(client, ApiError(400, "BadRequestException",
                                        "x-max-items: expected a count of at least 1"));
  }
  Result& result = *found->second;
  result.touched = std::chrono::steady_clock::now();
  const size_t begin = std::min(*index, result.chunks.size());
  const size_t end = begin + std::min(*limit, result.chunks.size() - begin);
  HttpHead head = result.head;
  if (begin == end && !result.done) {
    head = {202, "The model result is not yet available", {}};
    add_token(head, token);
    return client.reply(std::move(head), "");
  }
  if (end < result.chunks.size() || !result.done) {
    add_token(head, end == 0 ? uuid : uuid + std::to_string(end));
  }
  std::string body;
  for (size_t i = begin; i < end; ++i) body += result.chunks[i];
  client.reply(std::move(head), std::move(body));
}

void AsyncResults::evict() {
  const auto now = std::chrono::steady_clock::now();
  size_t bytes = 0;
  for (auto it = results_.begin(); it != results_.end();) {
    const bool old = it->second->done && now - it->second->touched > kKept;
    if (!old) bytes += it->second->bytes;
    it = old ? results_.erase(it) : std::next(it);
  }
  while (bytes > kMaxBytes) {
    const auto oldest = std::min_element(
        results_.begin(), results_.end(),
        [](const auto& a, const auto& b) { return a.second->touched < b.second->touched; });
    bytes -= oldest->second->bytes;
    results_.erase(oldest);
  }
}

}  // namespace tensormill
