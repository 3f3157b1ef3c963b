"""Promise: the real vLLM behind methods vllm and bladellm: OpenAI passed through, ChatLLM and BladeLLM beside it."""
