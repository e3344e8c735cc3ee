#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tensormill {

// The text side of HTTP, without sockets: all of it pure.

using HeaderList = std::vector<std::pair<std::string, std::string>>;

// The last value of a header; names compare without case. Null: absent.
const std::string* find_header(const HeaderList& headers, std::string_view name);
// The last value of a query parameter or field; names compare exactly. Null: absent.
const std::string* find_value(const HeaderList& fields, std::string_view name);

bool equals_ignoring_case(std::string_view a, std::string_view b);
std::string_view trimmed(std::string_view text);
// A true substring test without case, for header values like "application/json; charset=utf-8".
bool contains_ignoring_case(std::string_view text, std::string_view part);

// "%41+b" -> "A b" (the plus only where `plus_is_space`). Broken escapes stay as they are.
std::string percent_decoded(std::string_view text, bool plus_is_space);
// "a=1&b=x%20y&c" in order; a piece without '=' has an empty value.
HeaderList parse_form(std::string_view text);
// "k=v;l=w; junk" -> pairs, trimmed; pieces without '=' are dropped.
HeaderList parse_custom_attributes(std::string_view text);

struct FormPart {
  std::string name, content_type, data;
};
// The parts of a multipart body. None: the content type has no boundary or the body is cut short.
std::optional<std::vector<FormPart>> parse_multipart(std::string_view content_type,
                                                     std::string_view body);

// The standard reason phrase; "Unknown" for others.
std::string_view standard_reason(int status);
// Fit for a status line or a header value: control characters become blanks, other bytes outside
// ASCII '?', at most 512 bytes.
std::string header_safe(std::string_view text);

// A random UUID, version 4.
std::string random_uuid();

// How the body of a reply is delimited.
enum class BodyFraming : unsigned char { kLength, kChunked, kUntilClose };
struct HeadOptions {
  const HeaderList* always = nullptr;  // the CORS headers, if configured
  BodyFraming framing = BodyFraming::kLength;
  size_t length = 0;
  bool keep_alive = true;
  bool bare = false;  // only length and (when closing) connection: the reply to oversized bodies
};
// Status line and headers in the order that clients of the original see; ends with the blank line.
std::string render_head(int status, std::string_view reason, const HeaderList& headers,
                        const HeadOptions& options);
// One HTTP chunk; "" for empty data (an empty chunk would end the body).
std::string render_chunk(std::string_view data);

}  // namespace tensormill
