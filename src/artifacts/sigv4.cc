#include "artifacts/sigv4.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <string_view>
#include <vector>

#include "artifacts/digest.h"

namespace tensormill {
namespace {

constexpr const char* kAlgorithm = "AWS4-HMAC-SHA256";

struct Pieces {
  std::string host, path, query;  // host with a port that isn't the scheme's own
};

Pieces pieces_of(const std::string& url) {
  Pieces pieces;
  const size_t begin = url.find("://") + 3;
  const size_t slash = std::min(url.find_first_of("/?", begin), url.size());
  const size_t question = std::min(url.find('?', slash), url.size());
  pieces.host = url.substr(begin, slash - begin);
  for (const char* port : {"http://|:80", "https://|:443"}) {
    const std::string both = port;
    const size_t bar = both.find('|');
    if (url.starts_with(both.substr(0, bar)) && pieces.host.ends_with(both.substr(bar + 1))) {
      pieces.host.resize(pieces.host.size() - (both.size() - bar - 1));
    }
  }
  pieces.path = slash < question ? url.substr(slash, question - slash) : std::string(1, '/');
  if (question < url.size()) pieces.query = url.substr(question + 1);
  return pieces;
}

// Parameters in order of their names and values, each with a '='.
std::string canonical_query(const std::string& query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (size_t at = 0; at < query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string part = query.substr(at, end - at);
    const size_t equals = std::min(part.find('='), part.size());
    parameters.emplace_back(part.substr(0, equals),
                            equals < part.size() ? part.substr(equals + 1) : "");
    at = end + 1;
  }
  std::sort(parameters.begin(), parameters.end());
  std::string text;
  for (const auto& [name, value] : parameters) {
    if (!text.empty()) text += '&';
    text.append(name).append("=").append(value);
  }
  return text;
}

// Blanks at the ends go, several in a row become one.
std::string canonical_value(const std::string& value) {
  std::string text;
  for (const char c : value) {
    if (c == ' ' && (text.empty() || text.back() == ' ')) continue;
    text += c;
  }
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

void sign_v4(WebRequest& request, const AwsKeys& keys, const std::string& region,
             const std::string& service, std::chrono::system_clock::time_point now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const std::string moment = fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(seconds));
  const std::string scope =
      fmt::format("{}/{}/{}/aws4_request", moment.substr(0, 8), region, service);
  const std::string body = hex(sha256(request.body));
  const Pieces url = pieces_of(request.url);

  request.secrets.emplace_back("x-amz-date", moment);
  if (service == "s3") request.secrets.emplace_back("x-amz-content-sha256", body);
  if (!keys.session_token.empty()) {
    request.secrets.emplace_back("x-amz-security-token", keys.session_token);
  }
  std::map<std::string, std::string> headers = {{"host", url.host}};
  const auto add = [&headers](const std::pair<std::string, std::string>& header) {
    std::string& value = headers[lower(header.first)];
    if (!value.empty()) value += ',';
    value += canonical_value(header.second);
  };
  std::for_each(request.headers.begin(), request.headers.end(), add);
  std::for_each(request.secrets.begin(), request.secrets.end(), add);
  std::string canonical =
      fmt::format("{}\n{}\n{}\n", request.method, url.path, canonical_query(url.query));
  std::string names;
  for (const auto& [name, value] : headers) {
    canonical += fmt::format("{}:{}\n", name, value);
    if (!names.empty()) names += ';';
    names += name;
  }
  canonical += fmt::format("\n{}\n{}", names, body);

  const std::string text =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, moment, scope, hex(sha256(canonical)));
  std::string key = fmt::format("AWS4{}", keys.secret_key);
  for (const std::string_view part :
       {std::string_view(moment).substr(0, 8), std::string_view(region), std::string_view(service),
        std::string_view("aws4_request")}) {
    key = hmac_sha256(key, part);
  }
  request.secrets.emplace_back(
      "Authorization",
      fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                  keys.access_key, scope, names, hex(hmac_sha256(key, text))));
}

}  // namespace tensormill
