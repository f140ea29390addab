#!/usr/bin/env python3
"""Checks that no code compiled for one instruction set can run on a processor that lacks it.

An inline function or a template instantiated in an object compiled with, say, -mavx512f becomes a weak symbol. When
another object has it too, the linker keeps one of the two, perhaps the AVX-512 copy: a crash on older CPUs.

    tools/check_symbols.py [--objdump PROGRAM] COMPILE_COMMANDS.json LIBRARY.a...
                              prints object, symbol and remedy; exits 1 when there is one
    tools/check_symbols.py --self-test    compiles a good and some bad objects and expects exactly the bad ones

The rules:
  1. A source compiled with options for an instruction set has that in its file name (linear_avx2.cc, amx_pass.cc...).
  2. The object of such a file lets others link to strong symbols only, in the namespace of its instruction set, as
     tilewise::kernels::avx2::linear. A weak one is the linker's to choose, however it is called.
  3. It has no static initialisers, which would run on every processor.
  4. It calls only its own instruction set and those that this one includes. From other objects only the DISPATCHERS
     call it, which ask the processor first.
  5. No object holds an instruction that its name does not promise.
"""
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

# Instruction set -> those that it includes: each processor with the first has the others (base/isa.cc).
INCLUDES = {
    "avx2": (),
    "avx_vnni": ("avx2",),
    "avx512": ("avx2",),
    "avx512_vnni": ("avx512", "avx2"),
    "avx512_bf16": ("avx512", "avx2"),
    "amx": ("avx512_bf16", "avx512_vnni", "avx512", "avx2"),
    "neon": (),
    "neon_dot": ("neon",),
}
WORD = "|".join(sorted(INCLUDES, key=len, reverse=True))
ISA_IN_FILE = re.compile(rf"(?:^|_)({WORD})(?=[_.])")
ISA_IN_SYMBOL = re.compile(rf"\b({WORD})::")
ISA_OPTION = re.compile(r"\s(-m(?:avx|amx|fma|f16c|bmi|sse[34]|arch=(?!armv8-a\b)|cpu=)\S*)")
# The objects that choose by the processor's features which instruction set's functions are called.
DISPATCHERS = {"kernel_set.cc", "int8_kernel_set.cc", "probes.cc"}
# Of objdump's text: what only processors with an instruction set execute. "{vex}" marks AVX-VNNI's encoding.
INSTRUCTIONS = {
    "avx2": r"v|\{vex\}",
    "avx_vnni": r"\{vex\} vpdp",
    "avx512": r"[^#]*%(?:zmm|k[1-7]|[xy]mm(?:1[6-9]|2\d|3[01]))",
    "avx512_vnni": r"vpdp(?:bus|wss)",
    "avx512_bf16": r"v(?:dpbf16ps|cvtneps2bf16|cvtne2ps2bf16)",
    "amx": r"(?:tdp|tile|ldtilecfg|sttilecfg)",
    "neon_dot": r"[su]{1,2}dot\b",
}
# nm's kinds that another object may link to, weak or not: functions, data, unique and common symbols.
LINKABLE = set("TDBRGSCVWuvw") - set("vw")
# The compiler's own reference to the exception handler: a pointer, no code, the same in every object.
HARMLESS = re.compile(r"^DW\.ref\.__gxx_personality")

STATIC_INITIALISER = re.compile(r"\b_GLOBAL__sub_I_(?!\d{5}_)")  # with a number: AddressSanitizer's own

REMEDY = ("put it into an anonymous namespace or into the namespace of its instruction set, "
          "or replace the std:: function or shared inline helper by plain code")


def run(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def isa_of(name):
    """The instruction set in a file name, or None."""
    match = ISA_IN_FILE.search(name)
    return match and match[1]


def symbols_of(path):
    """(object, kind, name) of each symbol in an archive or object; kind U: not defined there."""
    current = path.name
    for line in run("nm", "--demangle", str(path)).splitlines():
        if line.endswith(":") and " " not in line:
            current = line[:-1]
            continue
        match = re.match(r"^[0-9a-f]* *([A-Za-z]) (.+)$", line.strip())
        if match and not HARMLESS.match(match[2]):
            yield current, match[1], match[2]


def check_names(commands):
    """The sources (of compile_commands.json) that are compiled for an instruction set without saying so in their name."""
    problems = []
    for command in commands:
        option = ISA_OPTION.search(command["command"])
        name = os.path.basename(command["file"])
        if option and not ISA_IN_FILE.search(name):
            problems.append(f"{name}: compiled with {option[1]}\n"
                            f"    remedy: name it for its instruction set ({', '.join(INCLUDES)}), or drop the option")
    return problems


def check_definitions(symbols):
    """Rules 2 and 3."""
    owners = {}
    for name, kind, symbol in symbols:
        if kind in LINKABLE:
            owners.setdefault(symbol, set()).add(name)
    for name, kind, symbol in symbols:
        isa = isa_of(name)
        if not isa:
            continue
        if STATIC_INITIALISER.search(symbol):
            yield f"{name}: {symbol} runs when the program starts\n    remedy: make the variable constexpr or local"
        if kind not in LINKABLE:
            continue
        is_weak = kind in "VWu"
        if not is_weak and isa in ISA_IN_SYMBOL.findall(symbol):
            continue
        elsewhere = ", ".join(sorted(owners[symbol] - {name}))
        yield (f"{name}: {symbol} ({'weak' if is_weak else 'global'}" + (f", also in {elsewhere}" if elsewhere else "")
               + f")\n    remedy: {REMEDY}")


def check_calls(symbols):
    """Rule 4."""
    defined = {symbol: isa_of(name) for name, kind, symbol in symbols if kind in LINKABLE and isa_of(name)}
    for name, kind, symbol in symbols:
        called, isa = defined.get(symbol), isa_of(name)
        if kind not in "Uvw" or not called:
            continue
        if isa and (called == isa or called in INCLUDES[isa]):
            continue
        source = name.removesuffix(".o")
        if not isa and source in DISPATCHERS:
            continue
        yield (f"{name}: calls {symbol}, which is for {called}\n    remedy: call it through the tables of "
               f"{' or '.join(sorted(DISPATCHERS))}")


def check_instructions(path, objdump):
    """Rule 5."""
    name, isa, seen = path.name, None, set()
    patterns = {}
    for line in run(objdump, "-d", "--no-show-raw-insn", str(path)).splitlines():
        if line.endswith((":     file format elf64-x86-64", ":     file format elf64-littleaarch64")):
            name = os.path.basename(line.split(":")[0])
            isa = isa_of(name)
            allowed = {isa, *INCLUDES.get(isa, ())}
            patterns = {word: re.compile(pattern) for word, pattern in INSTRUCTIONS.items() if word not in allowed}
            continue
        _, tab, text = line.partition("\t")
        if not tab:
            continue
        for word, pattern in patterns.items():
            if (name, word) not in seen and pattern.match(text):
                seen.add((name, word))
                yield (f"{name}: {text.strip()} is an instruction of {word}\n    remedy: move it to a file with that name, "
                       "or drop the option, pragma or attribute")
    if not patterns:
        raise SystemExit(f"{objdump} does not write what GNU's does of {path}")


def check_objects(paths, objdump="objdump"):
    """The problems as texts, and how many objects with an instruction set of their own were seen."""
    symbols = [entry for path in paths for entry in symbols_of(path)]
    objects = {name for name, _, _ in symbols if isa_of(name)}
    problems = [*check_definitions(symbols), *check_calls(symbols)]
    for path in paths:
        if any(isa_of(member) for member in members_of(path)):
            problems += check_instructions(path, objdump)
    return problems, len(objects)


def members_of(path):
    return run("ar", "t", str(path)).split() if path.suffix == ".a" else [path.name]


def self_test():
    compiler = os.environ.get("CXX", "c++")
    helper = "inline int twice(int x) { int y = x; while (y < 100) y += x; return y; }\n"
    declared = "namespace k::avx512 { int late(int); } namespace k::avx2 { int early(int); }\n"
    sources = {
        "base.cc": helper + "int (*other())(int) { return twice; }\n",
        "good_avx2.cc": "namespace { int own(int x) { return x + 1; } }\n"
                        "namespace k::avx2 { int add(int x) { return own(x); } int early(int x) { return x; } }\n",
        "good_avx512.cc": declared + "namespace k::avx512 { int late(int x) { return k::avx2::early(x); } }\n",
        "kernel_set.cc": declared + "int choose(int x) { return x ? k::avx512::late(x) : k::avx2::early(x); }\n",
        "shared_inline_avx2.cc": helper + "namespace k::avx2 { int (*shared())(int) { return twice; } }\n",
        "own_inline_avx512_vnni.cc": "namespace k::avx512_vnni { inline int helper(int x) { return x; }\n"
                                     "int (*lend())(int) { return helper; } }\n",
        "template_avx512.cc": "#include <vector>\n"
                              "namespace k::avx512 { void add(std::vector<short>& v) { v.push_back(1); v.resize(9); } }\n",
        "nameless_amx.cc": "namespace k { int linear(int x) { return x; } }\n",
        "relative_avx_vnni.cc": "namespace k::avx2 { int relative(int x) { return x; } }\n",
        "starts_avx2.cc": "int now(); namespace k::avx2 { int table[] = {now()}; }\n",
        "climbs_avx2.cc": declared + "namespace k::avx2 { int climb(int x) { return k::avx512::late(x); } }\n",
        "bypass.cc": declared + "int bypass(int x) { return k::avx2::early(x); }\n",
    }
    # What must be found in which object; nothing else, and no other object may be named.
    expected = {"shared_inline_avx2.cc.o": ("twice(int)",), "template_avx512.cc.o": ("std::vector<short",),
                "own_inline_avx512_vnni.cc.o": ("helper(int)",), "nameless_amx.cc.o": ("k::linear(int)",),
                "relative_avx_vnni.cc.o": ("k::avx2::relative(int)",), "starts_avx2.cc.o": ("when the program starts",),
                "climbs_avx2.cc.o": ("calls k::avx512::late(int)",), "bypass.cc.o": ("calls k::avx2::early(int)",)}
    if platform.machine() == "x86_64":
        # Assembly stands for pragmas, attributes and options.
        sources |= {f"{name}.cc": f'void {name}() {{ asm volatile("{instruction}"); }}\n' if not isa else
                    f'namespace k::{isa} {{ void {name}() {{ asm volatile("{instruction}"); }} }}\n'
                    for name, isa, instruction in [
                        ("plain_code", "", "vaddps %ymm0,%ymm1,%ymm2"), ("sse_code", "", "addps %xmm0,%xmm1"),
                        ("zmm_avx2", "avx2", "vaddps %zmm0,%zmm1,%zmm2"), ("high_avx2", "avx2", "vaddps %ymm0,%ymm1,%ymm17"),
                        ("bf16_avx512", "avx512", "vdpbf16ps %zmm0,%zmm1,%zmm2"),
                        ("dot_avx512", "avx512", "vpdpbusd %zmm0,%zmm1,%zmm2"),
                        ("dot_avx2", "avx2", "{vex} vpdpbusd %ymm0,%ymm1,%ymm2"),
                        ("dot_avx_vnni", "avx_vnni", "{vex} vpdpbusd %ymm0,%ymm1,%ymm2"),
                        ("dot_avx512_vnni", "avx512_vnni", "vpdpbusd %zmm0,%zmm1,%zmm2"),
                        ("tile_avx512_bf16", "avx512_bf16", "tilerelease"), ("tile_amx", "amx", "tilerelease")]}
        expected |= {"plain_code.cc.o": ("of avx2",), "zmm_avx2.cc.o": ("of avx512",), "high_avx2.cc.o": ("of avx512",),
                     "bf16_avx512.cc.o": ("of avx512_bf16",), "dot_avx512.cc.o": ("of avx512_vnni",),
                     "dot_avx2.cc.o": ("of avx_vnni",), "tile_avx512_bf16.cc.o": ("of amx",)}
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for name, text in sources.items():
            source = pathlib.Path(folder) / name
            source.write_text(text)
            objects.append(source.with_name(name + ".o"))
            run(compiler, "-std=c++20", "-O0", "-c", str(source), "-o", str(objects[-1]))
        archive = pathlib.Path(folder) / "libkernels.a"
        run("ar", "rcs", str(archive), *map(str, objects))
        problems, seen = check_objects([archive])
    own = sum(bool(isa_of(name)) for name in sources)
    failures = [] if seen == own else [f"expected {own} objects with an instruction set, found {seen}"]
    for name, parts in expected.items():
        found = [p for p in problems if p.startswith(f"{name}: ")]
        if not found or not any(all(part in p for part in parts) for p in found):
            failures.append(f"{parts} in {name} was not noticed: {found}")
    failures += [f"a good object was refused: {p}" for p in problems if p.split(":")[0] not in expected]
    if not any("also in base.cc.o" in p for p in problems):
        failures.append(f"the second owner of twice(int) was not named: {problems}")
    named = [{"command": "c++ -O3 -mavx2 -c x", "file": "/a/linear_avx2.cc"},
             {"command": "c++ -mamx-tile -c x", "file": "/a/amx_pass.cc"},
             {"command": "c++ -march=armv8-a+crypto -c x", "file": "/a/portable.cc"},
             {"command": "c++ -O3 -c x", "file": "/a/tile_model.cc"}]
    for option in ("-mavx512f", "-mavxvnni", "-march=armv8.2-a+dotprod"):
        nameless = {"command": f"c++ -O3 {option} -c x", "file": "/a/linear.cc"}
        if len(check_names([*named, nameless])) != 1:
            failures.append(f"a source compiled with {option} without saying so was not noticed")
    if check_names(named):
        failures.append(f"a good name was refused: {check_names(named)}")
    return failures


def main(arguments):
    objdump = "objdump"
    if arguments[:1] == ["--objdump"]:
        objdump, arguments = arguments[1], arguments[2:]
    if arguments == ["--self-test"]:
        problems = self_test()
        done = "the symbol check notices what it should"
    elif len(arguments) > 1:
        commands, *libraries = map(pathlib.Path, arguments)
        for path in (commands, *libraries):
            if not path.exists():
                raise SystemExit(f"{path} does not exist: build it first")
        problems, seen = check_objects(libraries, objdump)
        problems += check_names(json.loads(commands.read_text()))
        done = f"{seen} objects with an instruction set of their own keep to themselves"
    else:
        raise SystemExit(__doc__)
    print("\n".join(problems) if problems else done)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
