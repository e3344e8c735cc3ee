#include "server/http_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <random>

namespace tensormill {
namespace {

constexpr size_t kMaxParts = 1024, kMaxReason = 512;

char lowered(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lowered(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// The value of parameter `name` in "form-data; name=\"x\"; filename=y"; quotes removed.
std::optional<std::string> header_parameter(std::string_view value, std::string_view name) {
  size_t at = value.find(';');
  while (at != std::string_view::npos) {
    value.remove_prefix(at + 1);
    const size_t equals = value.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = trimmed(value.substr(0, equals));
    value.remove_prefix(equals + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
      value.remove_prefix(1);
    std::string text;
    size_t end = 0;
    if (!value.empty() && value.front() == '"') {
      for (end = 1; end < value.size() && value[end] != '"'; ++end) {
        if (value[end] == '\\' && end + 1 < value.size()) ++end;
        text += value[end];
      }
    } else {
      end = std::min(value.find(';'), value.size());
      text = trimmed(value.substr(0, end));
    }
    if (equals_ignoring_case(key, name)) return text;
    at = value.find(';', end);
  }
  return std::nullopt;
}

// Headers of one multipart part; false: it has no name.
bool read_part_headers(std::string_view headers, FormPart& part) {
  bool named = false;
  while (!headers.empty()) {
    const size_t end = std::min(headers.find("\r\n"), headers.size());
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(std::min(end + 2, headers.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view name = trimmed(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (equals_ignoring_case(name, "content-type")) part.content_type = value;
    if (!equals_ignoring_case(name, "content-disposition")) continue;
    if (auto parameter = header_parameter(value, "name")) {
      part.name = std::move(*parameter);
      named = true;
    }
  }
  return named;
}

}  // namespace

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return lowered(x) == lowered(y);
         });
}

bool contains_ignoring_case(std::string_view text, std::string_view part) {
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [](char x, char y) { return lowered(x) == lowered(y); }) != text.end();
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

const std::string* find_header(const HeaderList& headers, std::string_view name) {
  const auto found = std::find_if(headers.rbegin(), headers.rend(), [&](const auto& header) {
    return equals_ignoring_case(header.first, name);
  });
  return found == headers.rend() ? nullptr : &found->second;
}

const std::string* find_value(const HeaderList& fields, std::string_view name) {
  const auto found = std::find_if(fields.rbegin(), fields.rend(),
                                  [&](const auto& field) { return field.first == name; });
  return found == fields.rend() ? nullptr : &found->second;
}

std::string percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
               hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

HeaderList parse_form(std::string_view text) {
  HeaderList fields;
  while (!text.empty() && fields.size() < kMaxParts) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (piece.empty()) continue;
    const size_t equals = std::min(piece.find('='), piece.size());
    fields.emplace_back(percent_decoded(piece.substr(0, equals), true),
                        percent_decoded(piece.substr(std::min(equals + 1, piece.size())), true));
  }
  return fields;
}

HeaderList parse_custom_attributes(std::string_view text) {
  HeaderList attributes;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    const std::string_view piece = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = piece.find('=');
    if (equals == std::string_view::npos) continue;
    attributes.emplace_back(trimmed(piece.substr(0, equals)), trimmed(piece.substr(equals + 1)));
  }
  return attributes;
}

std::optional<std::vector<FormPart>> parse_multipart(std::string_view content_type,
                                                     std::string_view body) {
  const auto boundary = header_parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 256) return std::nullopt;
  const std::string first = "--" + *boundary, next = "\r\n" + first;
  size_t at = body.substr(0, first.size()) == first ? 0 : body.find(next);
  if (at == std::string_view::npos) return std::nullopt;
  at += at == 0 ? first.size() : next.size();
  std::vector<FormPart> parts;
  while (body.substr(at, 2) != "--") {
    at = body.find("\r\n", at);  // after transport padding
    if (at == std::string_view::npos || parts.size() >= kMaxParts) return std::nullopt;
    const size_t blank = body.find("\r\n\r\n", at);
    if (blank == std::string_view::npos) return std::nullopt;
    const size_t data = blank + 4;
    // An empty part's boundary shares the line end with the blank line.
    const size_t end = body.find(next, data - 2);
    if (end == std::string_view::npos) return std::nullopt;
    FormPart part;
    if (read_part_headers(body.substr(at + 2, blank - std::min(blank, at + 2)), part)) {
      part.data = end > data ? body.substr(data, end - data) : std::string_view{};
      parts.push_back(std::move(part));
    }
    at = end + next.size();
  }
  return parts;
}

std::string_view standard_reason(int status) {
  static constexpr std::pair<int, std::string_view> kReasons[] = {
      {100, "Continue"},
      {200, "OK"},
      {202, "Accepted"},
      {204, "No Content"},
      {207, "Multi-Status"},
      {400, "Bad Request"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "Not Found"},
      {405, "Method Not Allowed"},
      {408, "Request Timeout"},
      {409, "Conflict"},
      {413, "Request Entity Too Large"},
      {417, "Expectation Failed"},
      {422, "Unprocessable Entity"},
      {424, "Failed Dependency"},
      {429, "Too Many Requests"},
      {500, "Internal Server Error"},
      {501, "Not Implemented"},
      {503, "Service Unavailable"},
      {504, "Gateway Timeout"},
      {507, "Insufficient Storage"},
  };
  const auto* found = std::find_if(std::begin(kReasons), std::end(kReasons),
                                   [&](const auto& row) { return row.first == status; });
  return found == std::end(kReasons) ? "Unknown" : found->second;
}

std::string header_safe(std::string_view text) {
  std::string out(text.substr(0, kMaxReason));
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      c = ' ';
    } else if (byte >= 0x80) {
      c = '?';
    }
  }
  return out;
}

std::string random_uuid() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }();
  const uint64_t high = (generator() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (generator() & ~(uint64_t{3} << 62)) | uint64_t{1} << 63;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff,
                     high & 0xffff, low >> 48, low & 0xffffffffffff);
}

std::string render_head(int status, std::string_view reason, const HeaderList& headers,
                        const HeadOptions& options) {
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\n", status, reason.empty() ? standard_reason(status) : reason);
  const auto add = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  for (const auto& [name, value] : headers) add(name, value);
  if (!options.bare) {
    if (!find_header(headers, "x-request-id")) add("x-request-id", random_uuid());
    if (options.always) {
      for (const auto& [name, value] : *options.always) {
        if (!find_header(headers, name)) add(name, value);
      }
    }
    add("Pragma", "no-cache");
    add("Cache-Control", "no-cache; no-store, must-revalidate, private");
    add("Expires", "Thu, 01 Jan 1970 00:00:00 UTC");
  }
  if (options.framing == BodyFraming::kLength)
    add("content-length", std::to_string(options.length));
  if (options.framing == BodyFraming::kChunked) add("transfer-encoding", "chunked");
  if (!options.bare || !options.keep_alive) {
    add("connection", options.keep_alive ? "keep-alive" : "close");
  }
  return out += "\r\n";
}

std::string render_chunk(std::string_view data) {
  if (data.empty()) return {};
  std::string out = fmt::format("{:x}\r\n", data.size());
  return out.append(data).append("\r\n");
}

}  // namespace tensormill
