#include "base/error.h"
#include "base/json.h"
#include "tokenizer/chat_template.h"

namespace {

using tensormill::OrderedJson;

// A conversation with what templates meet: parts, tool calls, an answer, odd texts.
const OrderedJson& variables() {
  static const OrderedJson kVariables = OrderedJson::parse(R"({
      "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": " h\u00e9 "},
                   {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]},
                   {"role": "assistant", "content": null, "tool_calls": [
                      {"id": "1", "function": {"name": "f", "arguments": {"x": [1, {"y": "z"}]}}}]},
                   {"role": "tool", "name": "f", "content": "<&'\"\\\n\u2028>"},
                   {"role": "assistant", "content": "<think>\nno\n</think>yes "}],
      "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters":
                {"type": "object", "properties": {"n": [1, 2.5, null, true, 18446744073709551615]}}}}],
      "documents": [{"title": "t", "text": "d"}],
      "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>"})");
  return kVariables;
}

template <class Call>
void run(Call&& call) {
  try {
    call();
  } catch (const tensormill::Error&) {
  }
}

}  // namespace

// A template, and how it runs over one conversation.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  run([&] {
    const tensormill::ChatTemplate compiled({reinterpret_cast<const char*>(data), size});
    run([&] { compiled.render(variables()); });
    run([&] { compiled.render_open_ended(variables()); });
    compiled.reads_content_parts();
  });
  return 0;
}
