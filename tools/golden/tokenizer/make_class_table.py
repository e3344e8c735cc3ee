"""Prints the rows of src/tokenizer/slow/class_of_model.cc: the tokenizer class that transformers 4.57.6 takes for each
model_type, without mistral-common installed."""

from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

for model, (slow, fast) in sorted(TOKENIZER_MAPPING_NAMES.items()):
    name = slow or (fast.removesuffix("Fast") if fast else None)
    if name:
        print(f'    {{"{model}", "{name}"}},')
