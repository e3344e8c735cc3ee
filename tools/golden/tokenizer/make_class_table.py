"""Prints the rows of src/tokenizer/slow/class_of_model.cc: the tokenizer class that transformers 4.57.6 takes for each
model_type, without mistral-common installed."""

from transformers import CONFIG_MAPPING
from transformers.models.auto.configuration_auto import config_class_to_model_type
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES

for model, names in sorted(TOKENIZER_MAPPING_NAMES.items()):
    if model in CONFIG_MAPPING:  # some types share a config, which has one class
        names = TOKENIZER_MAPPING_NAMES.get(config_class_to_model_type(CONFIG_MAPPING[model].__name__), names)
    slow, fast = names
    name = slow or (fast.removesuffix("Fast") if fast else None)
    if name:
        print(f'    {{"{model}", "{name}"}},')
