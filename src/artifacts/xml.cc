#include "artifacts/xml.h"

#include <expat.h>

#include <memory>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr size_t kMaxDepth = 32;

struct Builder {
  XML_Parser parser;
  XmlElement root;
  std::vector<XmlElement> open;

  static void begin(void* self, const XML_Char* name, const XML_Char**) {
    auto* builder = static_cast<Builder*>(self);
    builder->open.push_back({name, {}, {}});
    if (builder->open.size() > kMaxDepth) XML_StopParser(builder->parser, XML_FALSE);
  }
  static void end(void* self, const XML_Char*) {
    auto* builder = static_cast<Builder*>(self);
    XmlElement done = std::move(builder->open.back());
    builder->open.pop_back();
    (builder->open.empty() ? builder->root : builder->open.back())
        .children.push_back(std::move(done));
  }
  static void text(void* self, const XML_Char* text, int size) {
    auto* builder = static_cast<Builder*>(self);
    if (!builder->open.empty()) builder->open.back().text.append(text, static_cast<size_t>(size));
  }
  // What lists objects declares no entities; whoever does wants to blow them up.
  static void entity(void* self, const XML_Char*, int, const XML_Char*, int, const XML_Char*,
                     const XML_Char*, const XML_Char*, const XML_Char*) {
    XML_StopParser(static_cast<Builder*>(self)->parser, XML_FALSE);
  }
};

}  // namespace

const XmlElement* XmlElement::child(std::string_view wanted) const {
  for (const XmlElement& element : children) {
    if (element.name == wanted) return &element;
  }
  return nullptr;
}

std::string XmlElement::text_of(std::string_view wanted) const {
  const XmlElement* element = child(wanted);
  return element ? element->text : "";
}

const XmlElement* XmlElement::find(std::string_view wanted) const {
  if (name == wanted) return this;
  for (const XmlElement& element : children) {
    if (const XmlElement* found = element.find(wanted)) return found;
  }
  return nullptr;
}

XmlElement parse_xml(std::string_view text, const std::string& origin) {
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(
      XML_ParserCreate(nullptr), &XML_ParserFree);
  if (!parser) throw_error(ErrorKind::kOutOfMemory, "{}: no memory for a reply", origin);
  Builder builder{parser.get(), {}, {}};
  XML_SetUserData(parser.get(), &builder);
  XML_SetElementHandler(parser.get(), Builder::begin, Builder::end);
  XML_SetCharacterDataHandler(parser.get(), Builder::text);
  XML_SetEntityDeclHandler(parser.get(), Builder::entity);
  if (text.size() > (size_t{1} << 30) ||
      XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) !=
          XML_STATUS_OK) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected XML: {} in line {}", origin,
                XML_ErrorString(XML_GetErrorCode(parser.get())),
                XML_GetCurrentLineNumber(parser.get()));
  }
  return std::move(builder.root.children.front());
}

}  // namespace tensormill
