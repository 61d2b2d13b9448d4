"""What takes longer to begin than to do, compiled. `forward` is one pass of a few tokens through
the whole decoder, which `Transformer` does in some six hundred small operations: weights are int8
with a scale a row, sums float32, keys and values bfloat16. `norm`, `rotate` and `gate` are what
stands between the products of longer passes; `place` joins KV blocks. Knows the same things as
`Transformer`, and is checked against it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import get_num_threads, njit, prange

from models.simd import (
    WIDTH,
    as_float,
    bfloat16_add,
    bfloat16_dot,
    bfloat16_mix2,
    bfloat16_mix4,
    from_bfloat16,
    int8_dot1,
    int8_dot2,
    int8_dot3,
    int8_dot4,
    store_bits16,
    to_bfloat16,
)

SPLITS = 2  # parts that the keys of one head are cut into, so that both of two cores get some
_LOG2E = np.float32(1.4426950408889634)


@njit(fastmath=True, inline="always")
def _exp(x: Any) -> Any:
    """e^x for x <= 0, relative error below 1e-6: a power of two by its bits, times a polynomial
    (Cephes' expf)."""
    x = max(x, np.float32(-87.0))
    whole = np.float32(math.floor(x * _LOG2E + np.float32(0.5)))
    r = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * as_float(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@njit(fastmath=True)
def _normed(x: Any, weight: Any, eps: Any, out: Any) -> None:
    for row in range(x.shape[0]):
        total = np.float32(0)
        for i in range(x.shape[1]):
            total += x[row, i] * x[row, i]
        scale = np.float32(1) / np.float32(math.sqrt(total / np.float32(x.shape[1]) + eps))
        for i in range(x.shape[1]):
            out[row, i] = x[row, i] * scale * weight[i]


@njit(fastmath=True)
def _row(w: Any, x: Any, n: Any, rows: Any, scale: Any, out: Any, column: Any) -> None:
    """out[:rows, column] = x[:rows] times one row of weights at address w."""
    at = 0
    address = x.ctypes.data
    while at < rows:
        left = rows - at
        start = address + at * n * 4
        if left >= 4:
            a, b, c, d = int8_dot4(w, start, n, n)
            out[at, column], out[at + 1, column] = a * scale, b * scale
            out[at + 2, column], out[at + 3, column] = c * scale, d * scale
            at += 4
        elif left == 3:
            a, b, c = int8_dot3(w, start, n, n)
            out[at, column], out[at + 1, column] = a * scale, b * scale
            out[at + 2, column] = c * scale
            at += 3
        elif left == 2:
            a, b = int8_dot2(w, start, n, n)
            out[at, column], out[at + 1, column] = a * scale, b * scale
            at += 2
        else:
            out[at, column] = int8_dot1(w, start, n, n)[0] * scale
            at += 1


@njit(fastmath=True, parallel=True, nogil=True)
def _product(w: Any, scale: Any, x: Any, out: Any, threads: Any) -> None:
    """out = x W^T; w (rows of W, in) int8."""
    rows, n, address = w.shape[0], w.shape[1], w.ctypes.data
    for thread in prange(threads):
        for o in range(rows * thread // threads, rows * (thread + 1) // threads):
            _row(address + o * n, x, n, x.shape[0], scale[o], out, o)


@njit(fastmath=True)
def _rotated(qkv: Any, cos: Any, sin: Any, heads: Any, width: Any) -> None:
    """Rotate the first `heads` heads of each row in place; cos, sin (rows, width)."""
    half = width // 2
    for row in range(qkv.shape[0]):
        for head in range(heads):
            at = head * width
            for i in range(half):
                a, b = qkv[row, at + i], qkv[row, at + half + i]
                qkv[row, at + i] = a * cos[row, i] - b * sin[row, i]
                qkv[row, at + half + i] = b * cos[row, half + i] + a * sin[row, half + i]


@njit(fastmath=True)
def _kept(x: Any, row: Any, first: Any, address: Any, place: Any, capacity: Any, heads: Any,
          width: Any) -> None:  # fmt: skip
    """Write one row's heads from column `first` on to their place in a layer of a cache, (heads,
    capacity, width) bfloat16 at `address`."""
    for head in range(heads):
        at = address + (head * capacity + place) * width * 2
        for i in range(width):
            store_bits16(at + 2 * i, to_bfloat16(x[row, first + head * width + i]))


@njit(fastmath=True)
def _mixed(weights: Any, v: Any, length: Any, width: Any, out: Any) -> None:
    """out (width,) = the sum of `length` rows at address v, each times its weight."""
    at = 0
    while at < width:
        into = out.ctypes.data + at * 4
        if length == 0:
            out[at : at + 2 * WIDTH] = np.float32(0)
            at += 2 * WIDTH
        elif width - at >= 4 * WIDTH:
            bfloat16_mix4(weights.ctypes.data, v + at * 2, width, length, into)
            at += 4 * WIDTH
        else:
            bfloat16_mix2(weights.ctypes.data, v + at * 2, width, length, into)
            at += 2 * WIDTH


@njit(fastmath=True)
def _read(q: Any, k: Any, v: Any, length: Any, width: Any, scores: Any, out: Any,
          sums: Any) -> None:  # fmt: skip
    """What the query heads q (groups, width) read from `length` keys and values at addresses k and
    v, not yet divided by the sum of weights. sums (groups, 2): largest score, sum against it."""
    scale = np.float32(1) / np.float32(math.sqrt(width))
    for group in range(q.shape[0]):
        query = q.ctypes.data + group * width * 4
        largest = np.float32(-1e30)
        for s in range(length):
            scores[s] = bfloat16_dot(k + s * width * 2, query, width) * scale
            largest = max(largest, scores[s])
        total = np.float32(0)
        for s in range(length):
            scores[s] = _exp(scores[s] - largest)
            total += scores[s]
        _mixed(scores, v, length, width, out[group])
        sums[group, 0], sums[group, 1] = largest, total


@njit(fastmath=True)
def _joined(parts: Any, sums: Any, out: Any) -> None:
    """Parts of a reading (splits, groups, width) as one, into out (groups, width)."""
    for group in range(out.shape[0]):
        largest = sums[:, group, 0].max()
        total = np.float32(0)
        out[group] = np.float32(0)
        for split in range(parts.shape[0]):
            weight = _exp(sums[split, group, 0] - largest)
            total += weight * sums[split, group, 1]
            for i in range(out.shape[1]):
                out[group, i] += weight * parts[split, group, i]
        for i in range(out.shape[1]):
            out[group, i] /= total


@njit(fastmath=True, parallel=True, nogil=True)
def _attended(qkv: Any, out: Any, keys: Any, values: Any, offset: Any, capacities: Any, places: Any,
              kv_heads: Any, width: Any) -> None:  # fmt: skip
    """Attention of each row to the cache it names; its own key and value are there already. qkv
    (rows, heads and more, width), out (rows, heads, width); keys, values: addresses of caches, of
    which this layer begins `offset` heads after the start."""
    rows, heads = out.shape[0], out.shape[1]
    groups = heads // kv_heads
    parts = np.empty((rows, kv_heads, SPLITS, groups, width), np.float32)
    sums = np.empty((rows, kv_heads, SPLITS, groups, 2), np.float32)
    for task in prange(rows * kv_heads * SPLITS):
        row, head, split = task // (kv_heads * SPLITS), task // SPLITS % kv_heads, task % SPLITS
        length = places[row] + 1
        begin, end = length * split // SPLITS, length * (split + 1) // SPLITS
        start = ((offset + head) * capacities[row] + begin) * width * 2
        q = qkv[row, head * groups : (head + 1) * groups]
        scores = np.empty(end - begin, np.float32)
        _read(q, keys[row] + start, values[row] + start, end - begin, width, scores,
              parts[row, head, split], sums[row, head, split])  # fmt: skip
    for row in range(rows):
        for head in range(kv_heads):
            own = out[row, head * groups : (head + 1) * groups]
            _joined(parts[row, head], sums[row, head], own)


@njit(fastmath=True)
def _adapted(x: Any, y: Any, own: Any, layer: Any, projection: Any, at: Any, ranks: Any,
             columns: Any) -> None:  # fmt: skip
    """y += B (A x) for the rows that have an adapter (`own`, -1: none). at (adapters, layers,
    projections, parts, 2): where A (rank, in) and B (rank, rows of the part) begin, bfloat16;
    ranks (adapters, projections, parts); columns (projections, parts, 2): the part's first column
    of y, and how many."""
    for row in range(x.shape[0]):
        adapter = own[row]
        if adapter < 0:
            continue
        given = x.ctypes.data + row * x.shape[1] * 4
        for part in range(columns.shape[1]):
            first, size = columns[projection, part]
            a, b = at[adapter, layer, projection, part]
            out = y.ctypes.data + (row * y.shape[1] + first) * 4
            for rank in range(ranks[adapter, projection, part]):
                h = bfloat16_dot(a + rank * x.shape[1] * 2, given, x.shape[1])
                bfloat16_add(h, b + rank * size * 2, out, size)


@njit(fastmath=True, inline="always")
def _silu(x: Any) -> Any:
    shrunk = _exp(-abs(x))
    return x * (np.float32(1) if x >= 0 else shrunk) / (np.float32(1) + shrunk)


@njit(fastmath=True)
def _gated(both: Any, out: Any) -> None:
    """out = silu(gate) * up; both holds the gates, then the ups, of each row."""
    width = out.shape[1]
    for row in range(out.shape[0]):
        for i in range(width):
            out[row, i] = _silu(both[row, i]) * both[row, width + i]


@njit(fastmath=True)
def _added(x: Any, y: Any) -> None:
    for row in range(x.shape[0]):
        for i in range(x.shape[1]):
            x[row, i] += y[row, i]


@njit(nogil=True)
def forward(x: Any, cos: Any, sin: Any, norms: Any, qkv: Any, qkv_scale: Any, out: Any,
            out_scale: Any, gate_up: Any, gate_up_scale: Any, down: Any, down_scale: Any,
            keys: Any, values: Any, capacities: Any, places: Any, own: Any, lora: Any, ranks: Any,
            columns: Any, norm: Any, heads: Any, kv_heads: Any, eps: Any,
            threads: Any) -> Any:  # fmt: skip
    """Hidden states (N, D), after the last norm, of N tokens with embeddings x (N, D). Weights are
    stacked by layer: int8 (layers, out, in), scales (layers, out), norms (layers, 2, D). cos, sin
    (N, width). Token i stands at places[i] of the cache whose keys and values, (layers, kv_heads,
    capacities[i], width) bfloat16, begin at keys[i] and values[i]; it sees that cache up to itself.
    own, lora, ranks, columns: see `_adapted`; projections: qkv, out, gate and up, down."""
    rows, width = x.shape[0], cos.shape[1]
    normed = np.empty_like(x)
    projected = np.empty((rows, qkv.shape[1]), np.float32)
    read = np.empty((rows, heads * width), np.float32)
    both = np.empty((rows, gate_up.shape[1]), np.float32)
    gated = np.empty((rows, down.shape[2]), np.float32)
    y = np.empty_like(x)
    for layer in range(qkv.shape[0]):
        _normed(x, norms[layer, 0], eps, normed)
        _product(qkv[layer], qkv_scale[layer], normed, projected, threads)
        _adapted(normed, projected, own, layer, 0, lora, ranks, columns)
        _rotated(projected, cos, sin, heads + kv_heads, width)
        for row in range(rows):
            offset = layer * kv_heads * capacities[row] * width * 2
            first, place, most = heads * width, places[row], capacities[row]
            _kept(projected, row, first, keys[row] + offset, place, most, kv_heads, width)
            first += kv_heads * width
            _kept(projected, row, first, values[row] + offset, place, most, kv_heads, width)
        _attended(projected.reshape(rows, -1, width), read.reshape(rows, heads, width), keys,
                  values, layer * kv_heads, capacities, places, kv_heads, width)  # fmt: skip
        _product(out[layer], out_scale[layer], read, y, threads)
        _adapted(read, y, own, layer, 1, lora, ranks, columns)
        _added(x, y)
        _normed(x, norms[layer, 1], eps, normed)
        _product(gate_up[layer], gate_up_scale[layer], normed, both, threads)
        _adapted(normed, both, own, layer, 2, lora, ranks, columns)
        _gated(both, gated)
        _product(down[layer], down_scale[layer], gated, y, threads)
        _adapted(gated, y, own, layer, 3, lora, ranks, columns)
        _added(x, y)
    _normed(x, norm, eps, normed)
    return normed


@njit(nogil=True)
def logits(hidden: Any, head: Any, scale: Any, threads: Any) -> Any:
    """(N, vocabulary) float32 from hidden states (N, D) after the last norm."""
    found = np.empty((hidden.shape[0], head.shape[0]), np.float32)
    _product(head, scale, hidden, found, threads)
    return found


@njit(fastmath=True, parallel=True, nogil=True)
def place(keys: Any, values: Any, into_keys: Any, into_values: Any, at: Any, cos: Any, sin: Any,
          marker: Any) -> None:  # fmt: skip
    """Put a KV block, (layers, kv_heads, T, width), into a cache, (layers, kv_heads, capacity,
    width), at places at, at + 1, ...: keys rotated by cos and sin (T, width), marker (layers,
    kv_heads, width) float32 added to values. All are bfloat16, as 16 bits."""
    half = keys.shape[3] // 2
    for layer in prange(keys.shape[0]):
        for head in range(keys.shape[1]):
            for t in range(keys.shape[2]):
                k, v = keys[layer, head, t], values[layer, head, t]
                to_k, to_v = into_keys[layer, head, at + t], into_values[layer, head, at + t]
                for i in range(half):
                    a, b = from_bfloat16(k[i]), from_bfloat16(k[half + i])
                    to_k[i] = to_bfloat16(a * cos[t, i] - b * sin[t, i])
                    to_k[half + i] = to_bfloat16(b * cos[t, half + i] + a * sin[t, half + i])
                for i in range(2 * half):
                    to_v[i] = to_bfloat16(from_bfloat16(v[i]) + marker[layer, head, i])


@njit(fastmath=True, parallel=True, nogil=True)
def norm(x: Any, weight: Any, eps: Any, out: Any) -> None:
    """RMSNorm of x (N, D) into out; both and weight (D,) bfloat16, as 16 bits."""
    for row in prange(x.shape[0]):
        total = np.float32(0)
        for i in range(x.shape[1]):
            number = from_bfloat16(x[row, i])
            total += number * number
        scale = np.float32(1) / np.float32(math.sqrt(total / np.float32(x.shape[1]) + eps))
        for i in range(x.shape[1]):
            number = from_bfloat16(x[row, i]) * scale
            out[row, i] = to_bfloat16(number * from_bfloat16(weight[i]))


@njit(fastmath=True, parallel=True, nogil=True)
def rotate(x: Any, cos: Any, sin: Any, out: Any) -> None:
    """The first heads of x (T, heads and more, width), rotated by cos, sin (T, width), into out
    (heads, T, width); x and out bfloat16, as 16 bits."""
    half = out.shape[2] // 2
    for head in prange(out.shape[0]):
        for t in range(out.shape[1]):
            for i in range(half):
                a, b = from_bfloat16(x[t, head, i]), from_bfloat16(x[t, head, half + i])
                out[head, t, i] = to_bfloat16(a * cos[t, i] - b * sin[t, i])
                out[head, t, half + i] = to_bfloat16(b * cos[t, half + i] + a * sin[t, half + i])


@njit(fastmath=True, parallel=True, nogil=True)
def gate(both: Any, out: Any) -> None:
    """silu(gates) * ups into out (N, F); both (N, 2 F) holds gates, then ups. bfloat16, 16 bits."""
    width = out.shape[1]
    for row in prange(out.shape[0]):
        for i in range(width):
            given, up = from_bfloat16(both[row, i]), from_bfloat16(both[row, width + i])
            out[row, i] = to_bfloat16(_silu(given) * up)


def keep_compiled() -> None:
    """Keep on disk what is compiled, and find what an earlier process compiled: half a minute the
    first time, half a second after. (Not at import, which must open nothing.)

    The threads are begun first, which defines what parallel code calls. numba does so by itself
    for a parallel function found on disk, and for one that calls such a function; but not where
    the called one was itself found on disk when the caller was compiled, by a process that came
    after one that was killed, or beside another. That code would call address 0."""
    get_num_threads()
    for function in (_normed, _row, _product, _rotated, _kept, _mixed, _read, _joined, _attended,
                     _adapted, _gated, _added, forward, logits, place, norm, rotate,
                     gate):  # fmt: skip
        function.enable_caching()
