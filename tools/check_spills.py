#!/usr/bin/env python3
"""Checks in the object code that the hot loops of the micro-kernels keep their sums in registers.

A block of sums that fills the register file is one intrinsic away from a compiler that parks a sum on the stack, which
costs a third of the speed and no test of results notices. Compilers differ, so both are looked at.

    tools/check_spills.py [--objdump PROGRAM] LIBRARY.a...   prints object, function and instruction; exits 1 on a finding
    tools/check_spills.py --self-test    compiles kernels that spill and that do not, and expects exactly the spills

A hot loop is a loop that holds a dot-product instruction, with no loop inside that holds one too. In it no vector may be
loaded from or stored to the stack, and no scalar either beyond the reloads that KERNELS grants. The main loop of each
kernel in KERNELS must be there, and each object with an instruction set in its name must be known: renaming hides nothing.
"""
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple, Optional

from check_symbols import ISA_IN_FILE

ANY = None


class Kernel(NamedTuple):
    machine: str        # as in ELF's format: "x86-64", "aarch64"
    object: str         # the source file whose object holds it
    function: str       # in the function's name
    instruction: str    # the dot product
    at_least: int       # so many of them in the main loop: rows x vectors x steps of the full height, or a little less
    # Scalars that a loop may load from the stack. ANY: its state lives there, so only whole vectors in a slot are spills.
    reloads: Optional[int] = 0
    vectors_too: bool = False  # of ANY: that state holds vectors that this compiler or that does not keep in registers


X86, ARM = "x86-64", "aarch64"
# The fp32 and bf16 sets that run on any x86 processor are not here: with SSE2's 16 registers they do spill, and each
# processor since 2013 has AVX2.
KERNELS = [
    Kernel(X86, "kernels_avx2.cc", "multiply_block<.*Fp32Dot", "vfmadd231ps", 24),
    Kernel(X86, "kernels_avx2.cc", "multiply_block<.*WidenedDot", "vfmadd231ps", 48),
    Kernel(X86, "kernels_avx512.cc", "multiply_block<.*Fp32Dot", "vfmadd231ps", 56),
    Kernel(X86, "kernels_avx512.cc", "multiply_block<.*WidenedDot", "vfmadd231ps", 112, reloads=2),
    Kernel(X86, "kernels_avx512_bf16.cc", "multiply_block<.*PairDot", "vdpbf16ps", 56),
    Kernel(X86, "int8_avx2.cc", "multiply_block<.*WordsDot", "vpmaddwd", 48),
    Kernel(X86, "int8_avx_vnni.cc", "multiply_block<.*QuadDot", r"\{vex\} vpdpbusd", 24),
    Kernel(X86, "int8_avx512_vnni.cc", "multiply_block<.*QuadDot", "vpdpbusd", 56),
    Kernel(X86, "int8_portable.cc", "multiply_block<.*PortableInt8Dot", "pmaddwd", 24),
    # Two or four products a step; between them the finished block's output is made.
    Kernel(X86, "linear_amx.cc", "", "tdpbf16ps", 4, reloads=ANY),
    Kernel(X86, "int8_linear_amx.cc", "", "tdpbusd", 4, reloads=ANY, vectors_too=True),  # clang: scales, bias
    Kernel(X86, "attention_amx.cc", "", "tdpbf16ps", 2, reloads=ANY),
    Kernel(ARM, "kernels_portable.cc", "multiply_block<.*Fp32Dot", "fmla", 48),
    Kernel(ARM, "kernels_portable.cc", "multiply_block<.*WidenedDot", "fmla", 80),
    Kernel(ARM, "int8_portable.cc", "multiply_block<.*PortableInt8Dot", "(?:smull2?|smlal2?|sadalp)", 72),
    Kernel(ARM, "int8_neon_dot.cc", "multiply_block<.*QuadDot", "sdot", 48),
]
# Objects with an instruction set in their name and no kernel in them: the tiles' configuration, loops in assembly.
WITHOUT_KERNELS = {"amx_pass.cc", "amx_peak.cc", "probes_avx2.cc", "probes_avx512.cc", "probes_neon.cc"}

REMEDY = ("look at the loop with objdump; fewer rows, or the one instruction in inline assembly (docs/ADDING_A_KERNEL.md)")


class Function(NamedTuple):
    machine: str
    object: str   # the name of its source file
    name: str
    code: list    # (address, instruction)


FORMAT = re.compile(r"^(.+?):\s+file format elf64-(?:little)?(\S+)")
HEADER = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\t(.*)$")
COMMENT = re.compile(r"\s+(?:# |// ).*$")
JUMP = re.compile(r"^(?:j\w+|b(?:\.\w+)?|cbn?z|tbn?z)\s+(?:[^<]*,\s*)?([0-9a-f]+) <")


def functions_of(disassembly):
    """The functions in objdump's text, in order."""
    machine = source = function = None
    for line in disassembly.splitlines():
        if match := FORMAT.match(line):
            source, machine = os.path.basename(match[1]).removesuffix(".o"), match[2]
        elif match := HEADER.match(line):
            if function:
                yield function
            function = Function(machine, source, match[1], [])
        elif function and (match := INSTRUCTION.match(line)):
            function.code.append((int(match[1], 16), COMMENT.sub("", match[2])))
    if function:
        yield function


def loops_of(function):
    """The places of the instructions of each loop, a set a loop: between the target of a backward jump and that jump, all
    that leads to the jump. What a compiler has moved elsewhere it takes to be rare, and so do we."""
    index = {address: i for i, (address, _) in enumerate(function.code)}
    before = [[] for _ in function.code]  # places from which an instruction is reached
    backward = []
    for i, (_, text) in enumerate(function.code):
        if match := JUMP.match(text):
            target = index.get(int(match[1], 16))
            if target is not None:
                before[target].append(i)
                if target <= i:
                    backward.append((target, i))
        if not NO_WAY_ON.match(text) and i + 1 < len(before):
            before[i + 1].append(i)
    loops = {}
    for head, jump in backward:
        loop, ahead = set(), [jump]
        while ahead:
            place = ahead.pop()
            if head <= place <= jump and place not in loop:
                loop.add(place)
                ahead += before[place]
        if head in loop:
            loops.setdefault(head, set()).update(loop)
    return loops.values()


def hot_loops(function, instruction):
    """The instructions of each innermost loop around `instruction`, a list a loop."""
    wanted = re.compile(rf"{instruction}\b")
    places = {i for i, (_, text) in enumerate(function.code) if wanted.match(text)}
    if not places:
        return []
    loops = {frozenset(loop) for loop in loops_of(function) if not places.isdisjoint(loop)}
    innermost = [loop for loop in loops if not any(other < loop for other in loops)]
    return [[function.code[i][1] for i in sorted(loop)] for loop in sorted(innermost, key=min)]


def stack_pattern(function):
    """What an operand on the stack looks like: the frame pointer counts only where it is one."""
    texts = [text for _, text in function.code]
    if function.machine == ARM:
        has_frame = any(re.match(r"(mov|add)\s+x29, sp", text) for text in texts)
        return re.compile(r"\[(sp|x29)\b" if has_frame else r"\[sp\b")
    has_frame = any(re.match(r"(mov\s+%rsp|lea\s+\S*\(%rsp\)),%rbp", text) for text in texts)
    return re.compile(r"\(%r[sb]p[,)]" if has_frame else r"\(%rsp[,)]")


NO_WAY_ON = re.compile(r"^(?:jmp|ret|ud2|b|br|brk)\b(?!\.)")
VECTOR = {X86: re.compile(r"%[xyz]mm"), ARM: re.compile(r"\b[vq]\d+|\{v")}
WHOLE_VECTOR = {X86: re.compile(r"%[yz]mm"), ARM: re.compile(r"\bq\d+|\{v")}
ELEMENT = re.compile(r"%r[sb]p,%|broadcast|\[(?:sp|x29), x")  # of an array: indexed, or one number
STORE = {X86: re.compile(r",[^,(]*\([^)]*\)$"), ARM: re.compile(r"^st")}
PUSH_OR_CALL = re.compile(r"^(push|pop|call|bl|blr)\b")


def spills_of(function, loop, reloads, vectors_too=False):
    """The instructions of a loop that should not be there."""
    on_stack = stack_pattern(function)
    found = [text for text in loop if PUSH_OR_CALL.match(text)]
    touching = [text for text in loop if on_stack.search(text) and not re.match(r"lea\b", text)]
    if reloads is ANY:
        vector = WHOLE_VECTOR[function.machine]
        return found + [text for text in touching if vector.search(text) and not ELEMENT.search(text) and not vectors_too]
    scalars = [text for text in touching if not VECTOR[function.machine].search(text)]
    stores = [text for text in scalars if STORE[function.machine].search(text)]
    found += [text for text in touching if text not in scalars or text in stores]
    return found if len(scalars) - len(stores) <= reloads else found + [text for text in scalars if text not in stores]


def check(functions, kernels=KERNELS, without_kernels=WITHOUT_KERNELS):
    """The problems as texts, and how many hot loops were looked at."""
    problems, looked_at = [], 0
    functions = list(functions)
    machines = {function.machine for function in functions}
    objects = {function.object for function in functions}
    kernels = [kernel for kernel in kernels if kernel.machine in machines]
    for kernel in kernels:
        if kernel.object not in objects:
            problems.append(f"{kernel.object}: no such object\n    remedy: name the file in KERNELS as it is called now")
            continue
        longest = 0
        for function in functions:
            if function.object != kernel.object or not re.search(kernel.function, function.name):
                continue
            for loop in hot_loops(function, kernel.instruction):
                looked_at += 1
                longest = max(longest, sum(bool(re.match(rf"{kernel.instruction}\b", text)) for text in loop))
                if spills := spills_of(function, loop, kernel.reloads, kernel.vectors_too):
                    problems.append(f"{function.object}: {function.name}: the loop with {kernel.instruction} touches the "
                                    f"stack:\n        " + "\n        ".join(dict.fromkeys(spills)) + f"\n    remedy: {REMEDY}")
        if longest < kernel.at_least:
            problems.append(f"{kernel.object}: no loop with {kernel.at_least} {kernel.instruction} in a function named "
                            f"/{kernel.function}/ (the longest has {longest})\n    remedy: find the kernel and describe it in KERNELS")
    known = {kernel.object for kernel in kernels} | without_kernels
    for name in sorted(objects - known):
        if ISA_IN_FILE.search(name):
            problems.append(f"{name}: an instruction set that is not looked at\n    remedy: describe its kernels in KERNELS")
    return problems, looked_at


def disassemble(path, objdump="objdump"):
    done = subprocess.run([objdump, "-d", "-C", "--no-show-raw-insn", str(path)], text=True, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{objdump} cannot read {path}: {done.stderr.strip()}")
    return done.stdout


# A block of sums times a step. What ROWS x 2 vectors need decides whether it fits the registers.
BLOCK = """
typedef float Vector __attribute__((vector_size(sizeof(float) * LANES)));
__attribute__((noinline)) void multiply_block(const float* a, const Vector* b, Vector* out, long steps) {
  Vector sums[ROWS][2];
#pragma GCC unroll 32
  for (int i = 0; i < ROWS; ++i) sums[i][0] = out[2 * i], sums[i][1] = out[2 * i + 1];
  for (long k = 0; k < steps; ++k) {
#pragma GCC unroll 32
    for (int i = 0; i < ROWS; ++i) sums[i][0] += a[i] * b[0], sums[i][1] += a[i] * b[1];
    a += ROWS, b += 2;
  }
#pragma GCC unroll 32
  for (int i = 0; i < ROWS; ++i) out[2 * i] = sums[i][0], out[2 * i + 1] = sums[i][1];
}
"""
# What objdump says of loops, for what a compiler cannot be made to do on every machine.
RECORDED = """
frame_avx2.cc.o:     file format elf64-x86-64

0000000000000000 <frame()>:
   0:\tmov    %rsp,%rbp
   3:\tvfmadd231ps -0x40(%rbp),%ymm1,%ymm2
   9:\tjne    3 <frame()+0x3>

0000000000000010 <no_frame()>:
  10:\tvfmadd231ps -0x40(%rbp),%ymm1,%ymm2
  16:\tmov    0x8(%rsp),%rax        # one reload
  1b:\tjne    10 <no_frame()>

0000000000000020 <outer()>:
  20:\tvmovaps %ymm3,0x20(%rsp)
  26:\tvfmadd231ps (%rax),%ymm1,%ymm2
  2c:\tjne    26 <outer()+0x6>
  2e:\tjne    20 <outer()>

0000000000000030 <stores()>:
  30:\tvfmadd231ps (%rax),%ymm1,%ymm2
  36:\tmov    %rax,0x8(%rsp)
  3b:\tjne    30 <stores()>

0000000000000080 <returns()>:
  80:\tvfmadd231ps (%rax),%ymm1,%ymm2
  86:\tje     8e <returns()+0xe>
  88:\tvmovaps 0x20(%rsp),%ymm6
  8d:\tret
  8e:\tdec    %rcx
  91:\tjmp    80 <returns()>

0000000000000040 <state()>:
  40:\ttdpbf16ps %tmm1,%tmm2,%tmm3
  45:\tmov    %rax,0x8(%rsp)
  4a:\tvbroadcastss 0x8(%rsp),%zmm1
  50:\tvmovaps 0x8(%rsp,%rdx,4),%zmm1
  56:\tjne    40 <state()>

0000000000000060 <state_and_spill()>:
  60:\ttdpbf16ps %tmm1,%tmm2,%tmm3
  65:\tvmovaps %zmm3,0x40(%rsp)
  6b:\tjne    60 <state_and_spill()>

neon.cc.o:     file format elf64-littleaarch64

0000000000000000 <spills()>:
   0:\tfmla\tv1.4s, v2.4s, v3.s[0]
   4:\tldr\tq4, [sp, #16]
   8:\tb.ne\t0 <spills()>  // b.any

0000000000000010 <good()>:
  10:\tfmla\tv1.4s, v2.4s, v3.s[0]
  14:\tldr\tq4, [x29, #16]
  18:\tcbnz\tx3, 10 <good()>
"""


def self_test():
    failures = []

    def expect(what, problems, *parts):
        if len(problems) != bool(parts) or not all(part in problems[0] for part in parts):
            failures.append(f"{what}: expected {parts or 'no problem'}, found {problems}")

    # Blocks of a compiler: 2 x 2 sums fit everywhere, 18 x 2 nowhere (16 registers with AVX2, 32 with NEON).
    on_arm = platform.machine() == "aarch64"
    machine, flags, lanes = (ARM, [], 4) if on_arm else (X86, ["-mavx2", "-mfma"], 8)
    product = "fmla" if on_arm else r"vfmadd\d+ps"
    compiler = os.environ.get("CXX", "c++")
    with tempfile.TemporaryDirectory() as folder:
        for rows in (2, 18):
            source = pathlib.Path(folder) / f"block_{rows}_avx2.cc"
            source.write_text(BLOCK)
            subprocess.run([compiler, "-O3", "-ffp-contract=fast", *flags, f"-DROWS={rows}", f"-DLANES={lanes}", "-c",
                            str(source), "-o", f"{source}.o"], check=True)
            code = list(functions_of(disassemble(f"{source}.o")))
            kernel = Kernel(machine, source.name, "multiply_block", product, 2 * rows if rows == 2 else 1)
            expect(f"{rows} rows", check(code, [kernel])[0], *([] if rows == 2 else [source.name, "touches the stack"]))
            expect("a renamed function", check(code, [kernel._replace(function="multiply_blocks")])[0], "no loop with")
            expect("a file that is gone", check(code, [kernel._replace(object="x.cc")], {source.name})[0], "no such object")
            expect("a file that nobody knows", check(code, [])[0], source.name, "not looked at")

    frame = Kernel(X86, "frame_avx2.cc", "^frame", "vfmadd231ps", 1)
    neon = Kernel(ARM, "neon.cc", "^spills", "fmla", 1)

    def expect_recorded(what, kernel, *parts):
        others = {"frame_avx2.cc", "neon.cc"}
        expect(what, check(functions_of(RECORDED), [kernel], others)[0], *parts)

    expect_recorded("a spill under the frame pointer", frame, "frame()", "-0x40(%rbp)")
    no_frame = frame._replace(function="no_frame")
    expect_recorded("a scalar reload", no_frame, "no_frame()", "mov    0x8(%rsp),%rax")
    expect_recorded("a scalar reload that is granted", no_frame._replace(reloads=1))
    expect_recorded("a store outside the inner loop", frame._replace(function="outer"))
    expect_recorded("the way out between the loop's parts", frame._replace(function="returns"))
    expect_recorded("a scalar store", frame._replace(function="stores", reloads=1), "mov    %rax,0x8(%rsp)")
    expect_recorded("a loop that is too short", frame._replace(function="outer", at_least=2), "the longest has 1")
    state = frame._replace(function=r"state\(", instruction="tdpbf16ps", reloads=ANY)
    expect_recorded("state on the stack", state)
    expect_recorded("a vector beside state", state._replace(function="state_and"), "vmovaps %zmm3,0x40(%rsp)")
    expect_recorded("a spill on Arm", neon, "spills()", "ldr\tq4, [sp, #16]")
    expect_recorded("x29 that is no frame pointer", neon._replace(function="good"))
    return failures


def main(arguments):
    objdump = "objdump"
    if arguments[:1] == ["--objdump"]:
        objdump, arguments = arguments[1], arguments[2:]
    if arguments == ["--self-test"]:
        problems, done = self_test(), "the spill check notices what it should"
    elif arguments and not arguments[0].startswith("-"):
        problems, looked_at = check(function for path in arguments for function in functions_of(disassemble(path, objdump)))
        done = f"{looked_at} hot loops keep to their registers"
    else:
        raise SystemExit(__doc__)
    print("\n".join(problems) if problems else done)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
