#include "base/error.h"
#include "base/json.h"
#include "tokenizer/chat_template.h"

// A template, and how it runs over one conversation.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tensormill::OrderedJson kVariables = tensormill::OrderedJson::parse(R"({
      "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": " h\u00e9 "}],
      "tools": [{"name": "f", "n": [1, 2.5, null, true]}],
      "add_generation_prompt": true, "bos_token": "<s>"})");
  try {
    const tensormill::ChatTemplate compiled({reinterpret_cast<const char*>(data), size});
    compiled.render(kVariables);
  } catch (const tensormill::Error&) {
  }
  return 0;
}
