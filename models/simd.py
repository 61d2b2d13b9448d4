"""The innermost loops of decoding as vector instructions, for use inside numba's compiled code:
LLVM turns them into the widest ones the processor has. Addresses are in bytes, lengths in elements
and multiples of WIDTH; nothing is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WIDTH = 16  # elements a vector holds
ROWS = 4  # rows of weights that are multiplied at once, so that what they meet is fetched once

_F32, _I8, _I16, _I32, _I64 = ir.FloatType(), *(ir.IntType(n) for n in (8, 16, 32, 64))
_FLOATS = ir.VectorType(_F32, WIDTH)
_INTS = ir.VectorType(_I32, WIDTH)
_BYTES, _SHORTS = ir.VectorType(_I8, 2 * WIDTH), ir.VectorType(_I16, 2 * WIDTH)
_ZERO = ir.Constant(_FLOATS, [0.0] * WIDTH)
_INTP = types.intp


def _floats(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, _FLOATS.as_pointer()), align=4)


def _from_bfloat16(builder: Any, address: Any) -> Any:
    """bfloat16 is the upper half of a float32."""
    pointer = builder.inttoptr(address, ir.VectorType(_I16, WIDTH).as_pointer())
    wide = builder.zext(builder.load(pointer, align=2), _INTS)
    return builder.bitcast(builder.shl(wide, ir.Constant(_INTS, [16] * WIDTH)), _FLOATS)


def _declared(builder: Any, name: str, kind: ir.FunctionType) -> Any:
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    return builder.call(_declared(builder, f"llvm.fma.v{WIDTH}f32", kind), [a, b, c])


def _sum(builder: Any, vector: Any) -> Any:
    kind = ir.FunctionType(_F32, [_F32, _FLOATS])
    reduce = _declared(builder, f"llvm.vector.reduce.fadd.v{WIDTH}f32", kind)
    return builder.call(reduce, [ir.Constant(_F32, 0.0), vector], fastmath=("reassoc",))


def _spread(builder: Any, number: Any) -> Any:
    """A vector of this number only."""
    one = builder.insert_element(_ZERO, number, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, _ZERO, ir.Constant(_INTS, [0] * WIDTH))


def _at(builder: Any, address: Any, elements: Any, size: int) -> Any:
    return builder.add(address, builder.mul(elements, ir.Constant(_I64, size)))


def _loop(
    builder: Any,
    n: Any,
    step: int,
    carried: int,
    body: Callable[..., list[Any]],
    zero: ir.Constant = _ZERO,
) -> Any:
    """Run `body(i, *vectors)` for i = 0, step, ... below n, at least once; it returns what it
    carries on, at first `zero`."""
    before = builder.block
    loop, end = builder.append_basic_block("loop"), builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(_I64)
    i.add_incoming(ir.Constant(_I64, 0), before)
    held = [builder.phi(zero.type) for _ in range(carried)]
    for vector in held:
        vector.add_incoming(zero, before)
    new = body(i, *held)
    following = builder.add(i, ir.Constant(_I64, step))
    i.add_incoming(following, loop)
    for vector, value in zip(held, new, strict=True):
        vector.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, end)
    builder.position_at_end(end)
    return new


def _pairs(context: Any, builder: Any, a: Any, b: Any) -> Any:
    """Products of 2 WIDTH int16, each two neighbours added: WIDTH int32."""
    _, _, features = context.codegen().magic_tuple()
    if "+avx512bw" in features.split(","):  # with VNNI, LLVM makes one instruction of it and a sum
        kind = ir.FunctionType(_INTS, [_SHORTS] * 2)
        return builder.call(_declared(builder, "llvm.x86.avx512.pmaddw.d.512", kind), [a, b])

    def half(shorts: Any, first: int) -> Any:
        order = ir.Constant(_INTS, [first + 2 * i for i in range(WIDTH)])
        return builder.sext(builder.shuffle_vector(shorts, shorts, order), _INTS)

    return builder.add(*(builder.mul(half(a, first), half(b, first)) for first in (0, 1)))


def _int8_dots(tokens: int) -> Any:
    """(w, x, n) -> float32 of each of ROWS rows with each of `tokens`, row by row: int8 weights w
    (ROWS, n) times int16 x (tokens, n). The sums are whole numbers, which must fit 32 bits."""

    @intrinsic
    def dots(typing: Any, w: Any, x: Any, n: Any) -> Any:
        made = types.UniTuple(types.float32, ROWS * tokens)

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            w, x, n = given
            rows = [_at(builder, w, builder.mul(n, ir.Constant(_I64, r)), 1) for r in range(ROWS)]
            row = builder.mul(n, ir.Constant(_I64, 2))
            each = [
                _at(builder, x, builder.mul(row, ir.Constant(_I64, t)), 1) for t in range(tokens)
            ]

            def loaded(address: Any, kind: Any) -> Any:
                return builder.load(builder.inttoptr(address, kind.as_pointer()), align=1)

            def body(i: Any, *sums: Any) -> list[Any]:
                weights = [
                    builder.sext(loaded(builder.add(start, i), _BYTES), _SHORTS) for start in rows
                ]
                given = [loaded(_at(builder, start, i, 2), _SHORTS) for start in each]
                new = [_pairs(context, builder, weight, own) for weight in weights for own in given]
                return [builder.add(*both) for both in zip(sums, new, strict=True)]

            zero = ir.Constant(_INTS, [0] * WIDTH)
            sums = _loop(builder, n, 2 * WIDTH, ROWS * tokens, body, zero)
            out = [_sum(builder, builder.sitofp(vector, _FLOATS)) for vector in sums]
            return context.make_tuple(builder, made, out)

        return made(_INTP, _INTP, _INTP), code

    return dots


int8_dots1, int8_dots2, int8_dots4 = (_int8_dots(tokens) for tokens in (1, 2, 4))


@intrinsic
def bfloat16_dot(typing: Any, k: Any, q: Any, n: Any) -> Any:
    """(k, q, n) -> float32: bfloat16 k times float32 q."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        k, q, n = given

        def body(i: Any, total: Any) -> list[Any]:
            key = _from_bfloat16(builder, _at(builder, k, i, 2))
            return [_fma(builder, key, _floats(builder, _at(builder, q, i, 4)), total)]

        return _sum(builder, _loop(builder, n, WIDTH, 1, body)[0])

    return types.float32(_INTP, _INTP, _INTP), code


@intrinsic
def bfloat16_add(typing: Any, weight: Any, v: Any, out: Any, n: Any) -> Any:
    """out (float32) += weight * v (bfloat16)."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        weight, v, out, n = given
        spread = _spread(builder, weight)

        def body(i: Any) -> list[Any]:
            address = _at(builder, out, i, 4)
            value = _from_bfloat16(builder, _at(builder, v, i, 2))
            total = _fma(builder, spread, value, _floats(builder, address))
            builder.store(total, builder.inttoptr(address, _FLOATS.as_pointer()), align=4)
            return []

        _loop(builder, n, WIDTH, 0, body)
        return context.get_dummy_value()

    return types.void(types.float32, _INTP, _INTP, _INTP), code


def _bfloat16_mix(vectors: int) -> Any:
    """(weights, v, stride, n, out): out (vectors * WIDTH) = the sum of n rows of v (bfloat16),
    `stride` elements apart, each times its weight; nothing of it leaves the registers before."""

    @intrinsic
    def mix(typing: Any, weights: Any, v: Any, stride: Any, n: Any, out: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            weights, v, stride, n, out = given

            def body(i: Any, *sums: Any) -> list[Any]:
                address = _at(builder, weights, i, 4)
                weight = builder.load(builder.inttoptr(address, _F32.as_pointer()), align=4)
                spread = _spread(builder, weight)
                row = _at(builder, v, builder.mul(i, stride), 2)
                starts = [
                    builder.add(row, ir.Constant(_I64, 2 * WIDTH * k)) for k in range(vectors)
                ]
                values = [_from_bfloat16(builder, start) for start in starts]
                return [_fma(builder, spread, *both) for both in zip(values, sums, strict=True)]

            for number, vector in enumerate(_loop(builder, n, 1, vectors, body)):
                address = builder.add(out, ir.Constant(_I64, 4 * WIDTH * number))
                builder.store(vector, builder.inttoptr(address, _FLOATS.as_pointer()), align=4)
            return context.get_dummy_value()

        return types.void(_INTP, _INTP, _INTP, _INTP, _INTP), code

    return mix


bfloat16_mix2, bfloat16_mix4 = (_bfloat16_mix(vectors) for vectors in (2, 4))


@intrinsic
def as_float(typing: Any, bits: Any) -> Any:
    """The float32 with these 32 bits."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], _F32)

    return types.float32(types.int32), code


@intrinsic
def to_bfloat16(typing: Any, number: Any) -> Any:
    """The 16 bits of a float32 as bfloat16, rounded to even."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        bits = builder.bitcast(given[0], _I32)
        upper = builder.lshr(bits, ir.Constant(_I32, 16))
        odd = builder.and_(upper, ir.Constant(_I32, 1))
        rounded = builder.add(builder.add(bits, ir.Constant(_I32, 0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, ir.Constant(_I32, 16)), _I16)

    return types.uint16(types.float32), code


@intrinsic
def from_bfloat16(typing: Any, bits: Any) -> Any:
    """The float32 that 16 bits of bfloat16 are."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        wide = builder.shl(builder.zext(given[0], _I32), ir.Constant(_I32, 16))
        return builder.bitcast(wide, _F32)

    return types.float32(types.uint16), code


@intrinsic
def store_bits16(typing: Any, address: Any, bits: Any) -> Any:
    """Write 16 bits."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        builder.store(given[1], builder.inttoptr(given[0], _I16.as_pointer()), align=2)
        return context.get_dummy_value()

    return types.void(_INTP, types.uint16), code
