"""The peer: load the default model and generate one token, nothing else. `python bare_script.py FOLDER`."""

import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(2)
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
prompt = tokenizer.apply_chat_template(
    [{"role": "user", "content": "hi"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
)
with torch.inference_mode():
    print(tokenizer.decode(model.generate(**prompt, max_new_tokens=1, do_sample=False)[0][-1:]))
