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

_F32, _I8, _I16, _I32, _I64 = ir.FloatType(), *(ir.IntType(n) for n in (8, 16, 32, 64))
_FLOATS = ir.VectorType(_F32, WIDTH)
_INTS = ir.VectorType(_I32, WIDTH)
_ZERO = ir.Constant(_FLOATS, [0.0] * WIDTH)
_INTP = types.intp


def _floats(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, _FLOATS.as_pointer()), align=4)


def _from_int8(builder: Any, address: Any) -> Any:
    pointer = builder.inttoptr(address, ir.VectorType(_I8, WIDTH).as_pointer())
    return builder.sitofp(builder.sext(builder.load(pointer, align=1), _INTS), _FLOATS)


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


def _loop(builder: Any, n: Any, step: int, carried: int, body: Callable[..., list[Any]]) -> Any:
    """Run `body(i, *vectors)` for i = 0, step, ... below n, at least once; it returns what it
    carries on."""
    before = builder.block
    loop, end = builder.append_basic_block("loop"), builder.append_basic_block("end")
    builder.branch(loop)
    builder.position_at_end(loop)
    i = builder.phi(_I64)
    i.add_incoming(ir.Constant(_I64, 0), before)
    held = [builder.phi(_FLOATS) for _ in range(carried)]
    for vector in held:
        vector.add_incoming(_ZERO, before)
    new = body(i, *held)
    following = builder.add(i, ir.Constant(_I64, step))
    i.add_incoming(following, loop)
    for vector, value in zip(held, new, strict=True):
        vector.add_incoming(value, loop)
    builder.cbranch(builder.icmp_signed("<", following, n), loop, end)
    builder.position_at_end(end)
    return new


def _int8_dots(rows: int) -> Any:
    """(w, x, n, stride) -> `rows` float32: int8 weights w (n,) times float32 rows of x that lie
    `stride` elements apart. Each weight is fetched and widened once for all rows."""

    @intrinsic
    def dots(typing: Any, w: Any, x: Any, n: Any, stride: Any) -> Any:
        made = types.UniTuple(types.float32, rows)

        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            w, x, n, stride = given

            def body(i: Any, *sums: Any) -> list[Any]:
                new = []
                for part in (0, 1):  # two chains of sums, as each waits for its last addition
                    off = builder.add(i, ir.Constant(_I64, part * WIDTH))
                    weight = _from_int8(builder, builder.add(w, off))
                    for row in range(rows):
                        start = builder.mul(stride, ir.Constant(_I64, row))
                        own = _floats(builder, _at(builder, x, builder.add(off, start), 4))
                        new.append(_fma(builder, weight, own, sums[part * rows + row]))
                return new

            sums = _loop(builder, n, 2 * WIDTH, 2 * rows, body)
            out = [_sum(builder, builder.fadd(sums[r], sums[rows + r])) for r in range(rows)]
            return context.make_tuple(builder, made, out)

        return made(_INTP, _INTP, _INTP, _INTP), code

    return dots


int8_dot1, int8_dot2, int8_dot3, int8_dot4 = (_int8_dots(rows) for rows in (1, 2, 3, 4))


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
