#include "tokenizer/metaspace_scheme.h"

namespace tensormill {

PrependScheme prepend_scheme(const JsonNode& node) {
  const auto named = node.find("prepend_scheme");
  PrependScheme scheme = PrependScheme::kAlways;
  if (named) {
    const std::string name = named->text();
    if (name == "first") {
      scheme = PrependScheme::kFirst;
    } else if (name == "never") {
      scheme = PrependScheme::kNever;
    } else if (name != "always") {
      named->fail("expected first, never or always");
    }
  }
  if (!node.flag_or("add_prefix_space", true)) {
    if (named && scheme != PrependScheme::kNever) {
      node.fail("add_prefix_space contradicts prepend_scheme");
    }
    scheme = PrependScheme::kNever;
  }
  return scheme;
}

}  // namespace tensormill
