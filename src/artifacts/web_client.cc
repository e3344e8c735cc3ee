#include "artifacts/web_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <charconv>
#include <exception>
#include <filesystem>
#include <mutex>

namespace tensormill {
namespace {

constexpr int kMaxRedirects = 10;
std::atomic<bool> cancelled{false};

struct UrlParts {
  std::string scheme, host, port;
};

UrlParts parts_of(const std::string& url) {
  UrlParts parts;
  CURLU* handle = curl_url();
  if (handle && curl_url_set(handle, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK) {
    const auto part = [handle](CURLUPart which, unsigned flags) {
      char* text = nullptr;
      std::string value;
      if (curl_url_get(handle, which, &text, flags) == CURLUE_OK && text) value = text;
      curl_free(text);
      return value;
    };
    parts = {part(CURLUPART_SCHEME, 0), part(CURLUPART_HOST, 0),
             part(CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  }
  curl_url_cleanup(handle);
  return parts;
}

// `location` as seen from `url`.
std::string resolve_location(const std::string& url, const std::string& location) {
  CURLU* handle = curl_url();
  char* text = nullptr;
  std::string result;
  if (handle && curl_url_set(handle, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_set(handle, CURLUPART_URL, location.c_str(), 0) == CURLUE_OK &&
      curl_url_get(handle, CURLUPART_URL, &text, 0) == CURLUE_OK && text) {
    result = text;
  }
  curl_free(text);
  curl_url_cleanup(handle);
  return result;
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool certificate_problem(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
         code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_ISSUER_ERROR;
}

[[noreturn]] void fail(ErrorKind kind, bool transient, const std::string& message) {
  throw TransportError(kind, message, transient);
}

[[noreturn]] void throw_transport(CURLcode code, const std::string& url, const char* detail) {
  const std::string host = host_of(url);
  const std::string what = *detail ? detail : curl_easy_strerror(code);
  if (certificate_problem(code)) {
    fail(ErrorKind::kConfigInvalid, false,
         fmt::format("{}: TLS: {}; if a proxy or a server of your own signs with another "
                     "authority, name its certificate in REQUESTS_CA_BUNDLE or SSL_CERT_FILE",
                     host, what));
  }
  switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
      fail(ErrorKind::kInternal, true, fmt::format("{}: TLS: {}", host, what));
    case CURLE_COULDNT_RESOLVE_HOST:
      fail(ErrorKind::kNotFound, true,
           fmt::format("{}: the name was not found: {}; is there a network?", host, what));
    case CURLE_COULDNT_RESOLVE_PROXY:
      fail(ErrorKind::kConfigInvalid, false,
           fmt::format("{}: the proxy's name was not found: {}; see http_proxy and https_proxy",
                       host, what));
    case CURLE_COULDNT_CONNECT:
      fail(ErrorKind::kNotFound, true, fmt::format("{}: no connection: {}", host, what));
    case CURLE_OPERATION_TIMEDOUT:
      fail(ErrorKind::kTimeout, true, fmt::format("{}: {}", host, what));
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      fail(ErrorKind::kBadRequest, false,
           fmt::format("{}: expected an http or https url: {}", url, what));
    default:
      fail(ErrorKind::kInternal, true, fmt::format("{}: {}", host, what));
  }
}

// Certificates in a file or in a folder, hashed as OpenSSL's c_rehash does it. Empty: the system's.
void trust(CURL* curl, const std::string& certificates) {
  if (certificates.empty()) return;
  std::error_code error;
  // OpenSSL takes several folders with colons between them.
  if (certificates.find(':') != std::string::npos ||
      std::filesystem::is_directory(certificates, error)) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(curl, CURLOPT_CAPATH, certificates.c_str());
  } else if (std::filesystem::exists(certificates, error)) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, certificates.c_str());
  } else {
    fail(ErrorKind::kConfigInvalid, false,
         fmt::format("{}: no such file or folder of certificates, which REQUESTS_CA_BUNDLE, "
                     "CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR or AWS_CA_BUNDLE names",
                     certificates));
  }
}

}  // namespace

void cancel_transfers() {
  cancelled = true;
}
bool transfers_cancelled() {
  return cancelled;
}
void allow_transfers() {
  cancelled = false;
}
void throw_cancelled() {
  throw_error(ErrorKind::kTimeout,
              "interrupted; what has been downloaded is kept, and the next try goes on from there");
}

std::string origin_of(const std::string& url) {
  const UrlParts parts = parts_of(url);
  if (parts.scheme != "http" && parts.scheme != "https") return {};
  std::string host = parts.host;
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return parts.scheme + "://" + host + ":" + parts.port;
}

std::string host_of(const std::string& url) {
  return parts_of(url).host;
}

std::string percent_encode(std::string_view text, bool keep_slashes) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes);
    if (plain) {
      result += c;
    } else {
      result += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return result;
}

const std::string& WebReply::header(std::string_view name) const {
  static const std::string none;
  for (auto it = headers.rbegin(); it != headers.rend(); ++it) {
    if (it->first == name) return it->second;
  }
  return none;
}

// What the callbacks of one transfer share.
struct WebClient::State {
  CURL* curl = nullptr;
  WebReply* reply = nullptr;
  const Sink* sink = nullptr;
  const std::function<bool()>* stopped = nullptr;
  std::exception_ptr failure;
  bool too_large = false;
  char detail[CURL_ERROR_SIZE] = {};

  static size_t on_header(char* data, size_t, size_t size, void* self) {
    auto* state = static_cast<State*>(self);
    std::string_view line(data, size);
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
      const size_t blank = line.find(' ');
      const std::string_view code =
          blank == std::string_view::npos ? "" : line.substr(blank + 1, 3);
      state->reply->status = 0;
      std::from_chars(code.data(), code.data() + code.size(), state->reply->status);
      return size;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) return size;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    line.remove_prefix(colon + 1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    state->reply->headers.emplace_back(std::move(name), std::string(line));
    return size;
  }

  static size_t on_body(char* data, size_t, size_t size, void* self) {
    auto* state = static_cast<State*>(self);
    WebReply& reply = *state->reply;
    const bool wanted = reply.status == 200 || reply.status == 206;
    try {
      if (*state->sink && wanted) {
        (*state->sink)(reply, {reinterpret_cast<const std::byte*>(data), size});
        return size;
      }
    } catch (...) {
      state->failure = std::current_exception();
      return 0;
    }
    if (reply.body.size() + size > kMaxBody) {
      state->too_large = true;
      return 0;
    }
    reply.body.append(data, size);
    return size;
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return (*static_cast<State*>(self)->stopped)() ? 1 : 0;
  }
};

WebClient::WebClient(std::function<bool()> stopped)
    : state_(std::make_unique<State>()), stopped_(std::move(stopped)) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  state_->curl = curl_easy_init();
  if (!state_->curl) throw_error(ErrorKind::kInternal, "libcurl could not be set up");
  state_->stopped = &stopped_;
}

WebClient::~WebClient() {
  curl_easy_cleanup(state_->curl);
}

WebReply WebClient::send(const WebRequest& request, const Sink& sink) {
  const std::string origin = origin_of(request.url);
  if (origin.empty()) {
    throw_error(ErrorKind::kBadRequest, "{}: expected an http or https url", request.url);
  }
  std::string url = request.url;
  std::vector<std::pair<std::string, std::string>> headers;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    WebReply reply = send_once(request, url, origin_of(url) == origin, sink);
    reply.url = url;
    const std::string location = is_redirect(reply.status) ? reply.header("location") : "";
    headers.insert(headers.end(), std::make_move_iterator(reply.headers.begin()),
                   std::make_move_iterator(reply.headers.end()));
    if (location.empty()) {
      reply.headers = std::move(headers);
      return reply;
    }
    const std::string next = resolve_location(url, location), target = origin_of(next);
    if (request.stay && target != origin) {
      reply.headers = std::move(headers);
      return reply;
    }
    if (target.empty() || (origin.starts_with("https:") && !target.starts_with("https:"))) {
      throw TransportError(ErrorKind::kInternal,
                           fmt::format("{}: redirects to {}, which is not followed", host_of(url),
                                       target.empty() ? location : target),
                           false);
    }
    url = next;
  }
  throw TransportError(ErrorKind::kInternal,
                       fmt::format("{}: more than {} redirects", host_of(url), kMaxRedirects),
                       false);
}

WebReply WebClient::send_once(const WebRequest& request, const std::string& url, bool own_host,
                              const Sink& sink) {
  if (stopped_()) throw_cancelled();
  WebReply reply;
  State& state = *state_;
  CURL* curl = state.curl;
  curl_easy_reset(curl);  // keeps connections
  trust(curl, request.ca_file);
  state.reply = &reply;
  state.sink = &sink;
  state.failure = nullptr;
  state.too_large = false;
  state.detail[0] = '\0';

  curl_slist* lines = nullptr;
  const auto add = [&lines](const std::pair<std::string, std::string>& header) {
    lines = curl_slist_append(lines, (header.first + ": " + header.second).c_str());
  };
  add({"User-Agent", "tensormill"});
  add({"Expect", ""});
  std::for_each(request.headers.begin(), request.headers.end(), add);
  if (own_host) std::for_each(request.secrets.begin(), request.secrets.end(), add);
  if (request.begin >= 0) {
    add({"Range", fmt::format("bytes={}-{}", request.begin,
                              request.end > 0 ? std::to_string(request.end - 1) : "")});
  }
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, state.detail);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, request.connect_seconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request.stall_seconds);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, request.total_seconds);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
  if (request.direct) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  if (request.method == "HEAD") {
    curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  } else if (request.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.data());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, State::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &state);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, State::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &state);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, State::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &state);
  const CURLcode code = curl_easy_perform(curl);
  curl_slist_free_all(lines);

  if (state.failure) std::rethrow_exception(state.failure);
  if (state.too_large) {
    throw TransportError(ErrorKind::kArtifactInvalid,
                         fmt::format("{}: a reply of more than {} MiB", url, kMaxBody >> 20),
                         false);
  }
  if (code == CURLE_ABORTED_BY_CALLBACK) throw_cancelled();
  if (code != CURLE_OK) throw_transport(code, url, state.detail);
  return reply;
}

}  // namespace tensormill
