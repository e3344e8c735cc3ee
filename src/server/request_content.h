#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/http.h"

namespace tensormill {

// A header, else a piece of X-Amzn-SageMaker-Custom-Attributes; names without case. "": absent.
std::string request_property(const HttpRequest& request, std::string_view name);

// The body of an inference request as its sender meant it.
class RequestContent {
 public:
  // The request must outlive this. Errors: kBadRequest for a broken multipart body.
  explicit RequestContent(const HttpRequest& request);
  RequestContent(const RequestContent&) = delete;
  RequestContent& operator=(const RequestContent&) = delete;

  // The part named `data`, else the first one, else the raw body; and its type ("" if not told).
  std::string_view data() const { return owns_data_ ? std::string_view(owned_) : body_; }
  const std::string& content_type() const { return content_type_; }
  // A form field or multipart part of that name; null: none.
  const std::string* field(std::string_view name) const;

 private:
  void take_form();
  void take_multipart(const std::string& header);
  void choose_data();

  std::string_view body_;
  std::string content_type_, owned_;
  bool owns_data_ = false;
  std::vector<FormPart> parts_;
};

// The string under the top-level key `model` of a JSON object; "": none. Reads no further than
// that.
std::string json_model_name(std::string_view body);

}  // namespace tensormill
