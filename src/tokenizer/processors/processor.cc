#include "tokenizer/processors/processor.h"

#include "tokenizer/factory.h"

namespace tensormill {

std::unique_ptr<Processor> make_processor(const JsonNode& node) {
  static constexpr Factory<Processor> kList[] = {
      {"BertProcessing", make_bert_processing},         {"ByteLevel", make_byte_level_processor},
      {"RobertaProcessing", make_roberta_processing},   {"Sequence", make_processor_sequence},
      {"TemplateProcessing", make_template_processing},
  };
  return make_stage<Processor>(node, kList);
}

}  // namespace tensormill
