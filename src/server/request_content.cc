#include "server/request_content.h"

#include <cstdint>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr int kMaxDepth = 512;

// Stops at the first top-level "model" that is a string.
class ModelFinder : public nlohmann::json_sax<Json> {
 public:
  const std::string& found() const { return found_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool string(string_t& value) override {
    if (depth_ != 1 || !at_model_) return true;
    found_ = std::move(value);
    return false;
  }
  bool start_object(size_t) override { return ++depth_ <= kMaxDepth; }
  bool end_object() override {
    --depth_;
    return true;
  }
  bool start_array(size_t) override { return depth_ > 0 && ++depth_ <= kMaxDepth; }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool key(string_t& name) override {
    at_model_ = depth_ == 1 && name == "model";
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  int depth_ = 0;
  bool at_model_ = false;
  std::string found_;
};

}  // namespace

std::string request_property(const HttpRequest& request, std::string_view name) {
  constexpr std::string_view kAttributes = "x-amzn-sagemaker-custom-attributes";
  if (const std::string* value = find_header(request.headers, name);
      value && !equals_ignoring_case(name, kAttributes)) {
    return *value;
  }
  const std::string* attributes = find_header(request.headers, kAttributes);
  if (!attributes) return {};
  const HeaderList pieces = parse_custom_attributes(*attributes);
  const std::string* value = find_header(pieces, name);
  return value ? *value : std::string();
}

RequestContent::RequestContent(const HttpRequest& request) : body_(request.body) {
  for (const auto& [name, value] : request.query) {
    if (name == "data") parts_.push_back({name, "text/plain", value});
  }
  const std::string* type = find_header(request.headers, "content-type");
  if (type && contains_ignoring_case(*type, "application/x-www-form-urlencoded")) {
    take_form();
    return;
  }
  if (type && type->size() > 10 && equals_ignoring_case(type->substr(0, 10), "multipart/")) {
    take_multipart(*type);
    return;
  }
  if (type) content_type_ = *type;
  if (body_.empty()) choose_data();
}

void RequestContent::take_form() {
  // curl -d '{"inputs": ...}' without a content type says "form" and means JSON.
  const std::string_view text = trimmed(body_);
  if (!text.empty() && text.front() == '{') {
    content_type_ = "application/json";
    return;
  }
  content_type_ = "text/plain";
  for (auto& [name, value] : parse_form(body_)) {
    parts_.push_back({std::move(name), "text/plain", std::move(value)});
  }
  body_ = {};
  choose_data();
}

void RequestContent::take_multipart(const std::string& header) {
  auto parts = parse_multipart(header, body_);
  if (!parts) {
    throw_error(ErrorKind::kBadRequest,
                "multipart body: expected parts between the boundary that content-type names");
  }
  for (FormPart& part : *parts) {
    if (part.content_type.empty()) part.content_type = "text/plain";
    parts_.push_back(std::move(part));
  }
  content_type_ = "text/plain";
  body_ = {};
  choose_data();
}

void RequestContent::choose_data() {
  if (parts_.empty()) return;
  const FormPart* chosen = &parts_.front();
  for (const FormPart& part : parts_) {
    if (part.name == "data") {
      chosen = &part;
      break;
    }
  }
  content_type_ = chosen->content_type;
  owned_ = chosen->data;
  owns_data_ = true;
}

const std::string* RequestContent::field(std::string_view name) const {
  for (const FormPart& part : parts_) {
    if (part.name == name) return &part.data;
  }
  return nullptr;
}

std::string json_model_name(std::string_view body) {
  ModelFinder finder;
  Json::sax_parse(body.begin(), body.end(), &finder);
  return finder.found();
}

}  // namespace tensormill
