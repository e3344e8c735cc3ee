#include "cli/http_stream.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"

namespace tensormill {
namespace {

size_t parse_size(std::string_view text, int base) {
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end == text.data()) {
    throw_error(ErrorKind::kBadRequest, "the server's reply: \"{}\" is no size", text);
  }
  return value;
}

std::string lower(std::string_view text) {
  std::string all(text);
  std::transform(all.begin(), all.end(), all.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return all;
}

}  // namespace

bool HttpStream::take_line(std::string& out) {
  const size_t end = unread_.find("\r\n");
  if (end == std::string::npos) return false;
  out = unread_.substr(0, end);
  unread_.erase(0, end + 2);
  return true;
}

// unread_ holds the whole head.
void HttpStream::read_head() {
  std::string line;
  take_line(line);
  if (!line.starts_with("HTTP/1.") || line.size() < 12) {
    throw_error(ErrorKind::kBadRequest, "the server's reply begins with \"{}\"", line);
  }
  status_ = static_cast<int>(parse_size(std::string_view(line).substr(9, 3), 10));
  part_ = Part::kUntilClosed;
  while (take_line(line) && !line.empty()) {
    const std::string header = lower(line);
    if (header.starts_with("connection:") && header.find("close") != std::string::npos) {
      keeps_open_ = false;
    } else if (header.starts_with("transfer-encoding:") &&
               header.find("chunked") != std::string::npos) {
      part_ = Part::kChunkSize;
    } else if (header.starts_with("content-length:") && part_ == Part::kUntilClosed) {
      const size_t digits = header.find_first_not_of(' ', 15);
      left_ = parse_size(std::string_view(header).substr(std::min(digits, header.size())), 10);
      part_ = Part::kLength;
    }
  }
  if (part_ == Part::kUntilClosed) keeps_open_ = false;
}

void HttpStream::body(std::string_view bytes, const Line& line) {
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    partial_.append(bytes.substr(0, end));
    if (end == std::string_view::npos) return;
    if (partial_.ends_with('\r')) partial_.pop_back();
    line(partial_);
    partial_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void HttpStream::finish(const Line& line) {
  if (!partial_.empty()) line(partial_);
  partial_.clear();
  part_ = Part::kDone;
}

void HttpStream::feed(std::string_view bytes, const Line& line) {
  unread_.append(bytes);
  std::string text;
  while (part_ != Part::kDone) {
    switch (part_) {
      case Part::kHead:
        if (unread_.find("\r\n\r\n") == std::string::npos) return;
        read_head();
        if (part_ == Part::kLength && left_ == 0) finish(line);
        break;
      case Part::kChunkSize:
        if (!take_line(text)) return;
        left_ = parse_size(text, 16);
        part_ = left_ > 0 ? Part::kChunk : Part::kTrailer;
        break;
      case Part::kLength:
      case Part::kChunk: {
        if (unread_.empty()) return;
        const size_t count = std::min(left_, unread_.size());
        body(std::string_view(unread_).substr(0, count), line);
        unread_.erase(0, count);
        left_ -= count;
        if (left_ > 0) return;
        if (part_ == Part::kLength) finish(line);
        if (part_ == Part::kChunk) part_ = Part::kChunkEnd;
        break;
      }
      case Part::kChunkEnd:
        if (!take_line(text)) return;
        part_ = Part::kChunkSize;
        break;
      case Part::kTrailer:
        if (!take_line(text)) return;
        if (text.empty()) finish(line);
        break;
      case Part::kUntilClosed:
        body(unread_, line);
        unread_.clear();
        return;
      case Part::kDone:
        return;
    }
  }
}

void HttpStream::closed(const Line& line) {
  if (part_ == Part::kUntilClosed) finish(line);
  if (part_ != Part::kDone) {
    throw_error(ErrorKind::kBadRequest, "the server closed a connection within its reply");
  }
}

}  // namespace tensormill
