"""One token per row from a batch of logits: all sampling parameters, vectorised over the rows.

Order, as in Transformers' own processors: penalties, temperature, top_k, top_p (over what top_k left). A row's draw
uses one number of that request's own generator and inverts the cumulative distribution, so it never depends on what
else is in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from runtime.replica.engines.base import TokenLogprob
from runtime.replica.engines.transformers.request import Request

FloatArray = npt.NDArray[np.float64]

_CANDIDATES = 1024
"""Rows without top_k look at this many likeliest tokens first; a draw beyond their mass sorts the whole row."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One row's token, with log-probabilities when the request asks for them."""

    token: int
    logprobs: tuple[TokenLogprob, ...] = ()


def sample(logits: torch.Tensor, requests: Sequence[Request], text: Callable[[int], str]) -> list[Draw]:
    """Draw one token for each row of `logits` [rows, vocabulary]; row i belongs to `requests[i]`."""
    wanted = [row for row, request in enumerate(requests) if request.sampling.logprobs is not None]
    # Log-probabilities are those of the model, before penalties and temperature change the logits.
    raw = {row: torch.log_softmax(logits[row].float(), dim=-1) for row in wanted}
    penalised = [row for row, request in enumerate(requests) if _has_penalty(request)]
    random = [row for row, request in enumerate(requests) if request.sampling.temperature > 0]
    if penalised or random:
        logits = logits.float()  # a copy for bfloat16, so that float32 logits are cloned below
    if penalised:
        logits = _penalise(logits.clone(), requests, penalised)
    tokens = _likeliest(logits)
    if random:
        rows = logits if len(random) == len(requests) else logits[random]
        for row, token in zip(random, _draw(rows, [requests[row] for row in random]), strict=True):
            tokens[row] = token
    return [
        Draw(token, (_logprob(raw[row], token, requests[row].sampling.logprobs or 0, text),) if row in raw else ())
        for row, token in enumerate(tokens)
    ]


def _likeliest(logits: torch.Tensor) -> list[int]:
    if logits.device.type != "cpu":
        return [int(token) for token in logits.argmax(dim=-1).tolist()]
    # The same first maximum, ten times as fast as torch's argmax on a CPU.
    return [int(token) for token in np.argmax(logits.float().numpy(), axis=-1)]


def _has_penalty(request: Request) -> bool:
    sampling = request.sampling
    return sampling.repetition_penalty != 1.0 or sampling.presence_penalty != 0.0 or sampling.frequency_penalty != 0.0


def _penalise(logits: torch.Tensor, requests: Sequence[Request], rows: Sequence[int]) -> torch.Tensor:
    """Repetition looks at prompt and output (Transformers), presence and frequency at the output alone (OpenAI)."""
    for row in rows:
        request = requests[row]
        sampling = request.sampling
        line = logits[row]
        if sampling.repetition_penalty != 1.0:
            seen = torch.tensor(list(request.prompt_set | request.counts.keys()), device=logits.device)
            values = line[seen]
            factor = sampling.repetition_penalty
            line[seen] = torch.where(values < 0, values * factor, values / factor)
        if request.counts and (sampling.presence_penalty or sampling.frequency_penalty):
            seen = torch.tensor(list(request.counts), device=logits.device)
            times = torch.tensor(list(request.counts.values()), dtype=logits.dtype, device=logits.device)
            line[seen] -= sampling.presence_penalty + sampling.frequency_penalty * times
    return logits


def _draw(logits: torch.Tensor, requests: Sequence[Request]) -> list[int]:
    """Tokens of rows with temperature > 0; `logits` is float32 [rows, vocabulary]."""
    vocabulary = logits.shape[-1]
    samplings = [request.sampling for request in requests]
    temperature = torch.tensor([sampling.temperature for sampling in samplings], device=logits.device)
    scaled = logits / temperature[:, None]
    limits = [min(sampling.top_k, vocabulary) or vocabulary for sampling in samplings]
    width = min(vocabulary, max(limit if limit < vocabulary else _CANDIDATES for limit in limits))
    top, order = scaled.topk(width, dim=-1)
    mass = torch.exp(top - scaled.logsumexp(dim=-1, keepdim=True)).double().cpu().numpy()
    candidates = order.cpu().numpy()
    tokens: list[int] = []
    for row, (request, limit) in enumerate(zip(requests, limits, strict=True)):
        number = request.generator.random()
        top_p = request.sampling.top_p
        index = _choose(mass[row], limit, top_p, number, complete=limit <= width)
        if index is not None:
            tokens.append(int(candidates[row, index]))
            continue
        # The likeliest candidates do not hold enough mass to decide: sort the whole row, rarely.
        values, ids = scaled[row].sort(descending=True)
        whole = torch.softmax(values.double(), dim=-1).cpu().numpy()
        index = _choose(whole, limit, top_p, number, complete=True)
        assert index is not None
        tokens.append(int(ids[index]))
    return tokens


def _choose(mass: FloatArray, limit: int, top_p: float, number: float, *, complete: bool) -> int | None:
    """The index in `mass` (descending probabilities) that `number` in [0, 1) falls on; None: not decided by these.

    `complete`: `mass` holds all that top_k = `limit` allows.
    """
    sums = np.cumsum(mass[:limit])
    if complete:
        total = float(sums[-1])
    elif top_p < 1.0 and sums[-1] >= top_p:
        total = 1.0
    elif top_p >= 1.0 and number < sums[-1]:
        return int(np.searchsorted(sums, number, side="right"))
    else:
        return None
    # Keep each token before which less than top_p of the mass lies: at least one, as Transformers does.
    kept = int(np.searchsorted(sums, top_p * total, side="left")) + 1 if top_p < 1.0 else len(sums)
    kept = min(kept, len(sums))
    return min(int(np.searchsorted(sums[:kept], number * sums[kept - 1], side="right")), kept - 1)


def _logprob(row: torch.Tensor, token: int, alternatives: int, text: Callable[[int], str]) -> TokenLogprob:
    top: tuple[tuple[int, str, float], ...] = ()
    if alternatives > 0:
        values, ids = row.topk(min(alternatives, row.shape[-1]))
        top = tuple((one, text(one), value) for one, value in zip(ids.tolist(), values.tolist(), strict=True))
    return TokenLogprob(token, text(token), float(row[token]), top)
