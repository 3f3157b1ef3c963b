"""Names on the wire that more than one process must spell the same: headers, internal paths, environment, metrics."""

from __future__ import annotations

CONTRACT_VERSION = 1
"""Raised when an older replica could not read a newer spec; part of every version's hash."""

# Headers -------------------------------------------------------------------------------------------------------------
VERSION_HEADER = "X-Inferform-Version"
"""Request: address one live version (name or hash) past the traffic map. Response: the hash that answered."""
REPLICA_HEADER = "X-Inferform-Replica"
"""Response of a replica: its id."""
REQUEST_ID_HEADER = "X-Request-Id"
EPOCH_HEADER = "X-Inferform-Epoch"
"""Admin API writes of the plugin; an epoch older than the host's newest is refused with 409 `StaleEpoch`."""

# A replica's own paths: never forwarded by a gateway, no token -------------------------------------------------------
STATUS_PATH = "/-/status"  # ReplicaStatus, always 200 while the process lives
READY_PATH = "/-/ready"  # 200 or 503
METRICS_PATH = "/-/metrics"  # Prometheus text
CHECK_PATH = "/-/check"  # + an `httpPath` of the version's probes: its status code, never its body
HEALTH_PATH = "/-/health"  # of a gateway: 200 while it serves, 503 before its first view and while it drains
PREDICT_PREFIX = "/api/predict/"

# Knowledge base ------------------------------------------------------------------------------------------------------
DOCUMENT_SUFFIXES = (".txt", ".md", ".docx", ".pdf")
"""What a knowledge base can read; other files of a declared folder are passed over."""

# Environment ---------------------------------------------------------------------------------------------------------
CACHE_ENV = "INFERFORM_CACHE"
"""Overrides the user's cache folder (models, built tools)."""
EMBEDDED_MODEL_ENV = "INFERFORM_EMBEDDED_MODEL"
"""Names a folder with the embedded model, repacked: an image carries it, and then no cache has to."""
VLLM_PYTHON_ENV = "INFERFORM_VLLM_PYTHON"
"""Names another interpreter that has vLLM installed."""

# Metrics (Prometheus names; histograms in seconds) -------------------------------------------------------------------
METRIC_TTFT = "inferform_ttft_seconds"
METRIC_INTER_TOKEN = "inferform_inter_token_seconds"
METRIC_REQUESTS = "inferform_requests_total"  # labels: service, protocol, code
METRIC_RUNNING = "inferform_running_requests"
METRIC_QUEUE = "inferform_queue_length"
METRIC_PROMPT_TOKENS = "inferform_prompt_tokens_total"
METRIC_COMPLETION_TOKENS = "inferform_completion_tokens_total"
METRIC_KV_USE = "inferform_kv_cache_use_ratio"
METRIC_GATEWAY_REQUESTS = "inferform_gateway_requests_total"  # labels: service, code
METRIC_GATEWAY_IN_FLIGHT = "inferform_gateway_in_flight"  # labels: service, replica
METRIC_GATEWAY_HELD = "inferform_gateway_held_requests"  # labels: service
METRIC_GATEWAY_SECONDS = "inferform_gateway_request_seconds"
METRIC_GATEWAY_DESIRED = "inferform_gateway_desired_replicas"  # labels: service, version (hash)
