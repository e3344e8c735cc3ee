#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace tensormill {

// A reply of HTTP/1.1 whose body comes line by line, read as its bytes arrive.
class HttpStream {
 public:
  using Line = std::function<void(std::string_view)>;

  // Takes what came; calls `line` for each whole line of the body, without its end, and for what is
  // left when the body ends. Errors: kBadRequest for bytes that are no such reply.
  void feed(std::string_view bytes, const Line& line);
  // The other side closed. Errors: kBadRequest where the reply had not ended.
  void closed(const Line& line);

  int status() const { return status_; }
  bool complete() const { return part_ == Part::kDone; }
  bool keeps_open() const { return keeps_open_; }

 private:
  enum class Part { kHead, kLength, kChunkSize, kChunk, kChunkEnd, kTrailer, kUntilClosed, kDone };

  bool take_line(std::string& out);  // of the protocol, from unread_
  void read_head();
  void body(std::string_view bytes, const Line& line);
  void finish(const Line& line);

  Part part_ = Part::kHead;
  int status_ = 0;
  bool keeps_open_ = true;
  size_t left_ = 0;  // bytes of the body or chunk
  std::string unread_, partial_;
};

}  // namespace tensormill
