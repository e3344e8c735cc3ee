#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tensormill {

// An element of a small XML document, without attributes.
struct XmlElement {
  std::string name, text;
  std::vector<XmlElement> children;

  const XmlElement* child(std::string_view name) const;  // the first; null: none
  std::string text_of(std::string_view name) const;      // of that child, ""
  // The first element of that name at any depth; null: none.
  const XmlElement* find(std::string_view name) const;
};

// Errors: kArtifactInvalid naming `origin`, also for elements nested more than 32 deep and for
// entities of the document's own.
XmlElement parse_xml(std::string_view text, const std::string& origin);

}  // namespace tensormill
