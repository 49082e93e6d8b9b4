"""Ask the processor for memory before it is needed.

In: an address. Out: nothing; the cache line is on its way when the program gets to it. Graphs
are far larger than caches, and a search knows its next states in advance, so this hides most
of the waiting (LLVM's ``llvm.prefetch``; it never faults, whatever the address).

Public names: `prefetch`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

__all__ = ["prefetch"]


@intrinsic
def prefetch(typing_context: Any, address: Any) -> Any:
    """Start to load the cache line at `address` (an integer), for reading."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte_pointer = ir.IntType(8).as_pointer()
        flag = ir.IntType(32)
        function = builder.module.declare_intrinsic(
            "llvm.prefetch",
            (byte_pointer,),
            fnty=ir.FunctionType(ir.VoidType(), [byte_pointer, flag, flag, flag]),
        )
        pointer = builder.inttoptr(args[0], byte_pointer)
        # to be read (0), kept in all caches (3), data rather than code (1)
        builder.call(function, [pointer, flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(types.intp), codegen
