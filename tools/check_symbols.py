#!/usr/bin/env python3
"""Checks that no code compiled for one instruction set can end up in a program for another.

An inline function or a template instantiated in an object compiled with, say, -mavx512f becomes a weak symbol. When
another object has it too, the linker keeps one of the two, perhaps the AVX-512 copy: a crash on older CPUs.

    tools/check_symbols.py COMPILE_COMMANDS.json LIBRARY.a...   prints object, symbol and remedy; exits 1 when there is one
    tools/check_symbols.py --self-test    compiles a good and some bad objects and expects exactly the bad ones

The rules:
  1. A source compiled with options for an instruction set has that in its file name (linear_avx2.cc, amx_pass.cc...).
  2. Each symbol that the object of such a file lets others link to has the instruction set in its own name, as in
     tilewise::kernels::avx2::linear or hwy::N_AVX2::Add.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

# Word in the file name -> what may stand in the name of a symbol (Highway's namespaces are N_AVX2, N_AVX3, N_AVX3_SPR, N_NEON).
ISA_TOKENS = {
    "avx2": ("avx2",),
    "avx512": ("avx512", "avx3"),
    "avx512_bf16": ("avx512", "avx3"),
    "amx": ("amx", "avx512", "avx3"),
    "neon": ("neon",),
}
ISA_IN_FILE = re.compile(r"(?:^|_)(avx512_bf16|avx512|avx2|amx|neon)(?=[_.])")
ISA_OPTION = re.compile(r"\s(-m(?:avx|amx|fma|f16c|bmi|sse[34]|arch=|cpu=)\S*)")
# nm's kinds that another object may link to, weak or not: functions, data, unique and common symbols.
LINKABLE = set("TDBRGSCVWuvw") - set("vw")
# The compiler's own reference to the exception handler: a pointer, no code, the same in every object.
HARMLESS = re.compile(r"^DW\.ref\.__gxx_personality")

REMEDY = ("put it into an anonymous namespace or into the namespace of its instruction set, "
          "or replace the std:: function or shared inline helper by plain code")


def run(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def symbols_of(path):
    """(object, kind, name) of each linkable definition in an archive or object."""
    current = path.name
    for line in run("nm", "--demangle", "--defined-only", "--extern-only", str(path)).splitlines():
        if line.endswith(":") and " " not in line:
            current = line[:-1]
            continue
        match = re.match(r"^[0-9a-f]* ?([A-Za-z]) (.+)$", line.strip())
        if match and match[1] in LINKABLE and not HARMLESS.match(match[2]):
            yield current, match[1], match[2]


def check_names(commands):
    """The sources (of compile_commands.json) that are compiled for an instruction set without saying so in their name."""
    problems = []
    for command in commands:
        option = ISA_OPTION.search(command["command"])
        name = os.path.basename(command["file"])
        if option and not ISA_IN_FILE.search(name):
            problems.append(f"{name}: compiled with {option[1]}\n"
                            f"    remedy: name it for its instruction set ({', '.join(ISA_TOKENS)}), or drop the option")
    return problems


def check_symbols(paths):
    """The problems as texts, and how many objects with an instruction set of their own were seen."""
    objects, problems, owners = set(), [], {}
    listed = [entry for path in paths for entry in symbols_of(path)]
    for name, _, symbol in listed:
        owners.setdefault(symbol, set()).add(name)
    for name, kind, symbol in listed:
        match = ISA_IN_FILE.search(name)
        if not match:
            continue
        objects.add(name)
        if any(token in symbol.lower() for token in ISA_TOKENS[match[1]]):
            continue
        elsewhere = ", ".join(sorted(owners[symbol] - {name}))
        problems.append(f"{name}: {symbol} ({'weak' if kind in 'VWu' else 'global'}"
                        + (f", also in {elsewhere}" if elsewhere else "") + f")\n    remedy: {REMEDY}")
    return problems, len(objects)


def self_test():
    compiler = os.environ.get("CXX", "c++")
    helper = "inline int twice(int x) { int y = x; while (y < 100) y += x; return y; }\n"
    sources = {
        "base.cc": helper + "int (*other())(int) { return twice; }\n",
        "good_avx2.cc": "namespace { int own(int x) { return x + 1; } }\n"
                        "namespace k::avx2 { inline int helper(int x) { return own(x); }\n"
                        "int (*add())(int) { return helper; } }\n",
        "shared_inline_avx2.cc": helper + "namespace k::avx2 { int (*add())(int) { return twice; } }\n",
        "template_avx512.cc": "#include <vector>\n"
                              "namespace k::avx512 { void add(std::vector<short>& v) { v.push_back(1); v.resize(9); } }\n",
        "nameless_amx.cc": "namespace k { int linear(int x) { return x; } }\n",
    }
    # Which symbol must be found in which object; no other object may be named.
    expected = {"shared_inline_avx2.cc.o": "twice(int)", "template_avx512.cc.o": "std::vector<short",
                "nameless_amx.cc.o": "k::linear(int)"}
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for name, text in sources.items():
            source = pathlib.Path(folder) / name
            source.write_text(text)
            objects.append(source.with_name(name + ".o"))
            run(compiler, "-std=c++20", "-O0", "-c", str(source), "-o", str(objects[-1]))
        archive = pathlib.Path(folder) / "libkernels.a"
        run("ar", "rcs", str(archive), *map(str, objects))
        problems, seen = check_symbols([archive])
    failures = [] if seen == 4 else [f"expected 4 objects with an instruction set, found {seen}"]
    for name, symbol in expected.items():
        if not any(p.startswith(f"{name}: ") and symbol in p for p in problems):
            failures.append(f"{symbol} in {name} was not noticed: {problems}")
    failures += [f"a good object was refused: {p}" for p in problems if p.split(":")[0] not in expected]
    if not any("also in base.cc.o" in p for p in problems):
        failures.append(f"the second owner of twice(int) was not named: {problems}")
    named = [{"command": "c++ -O3 -mavx2 -c x", "file": "/a/linear_avx2.cc"},
             {"command": "c++ -mamx-tile -c x", "file": "/a/amx_pass.cc"},
             {"command": "c++ -O3 -c x", "file": "/a/tile_model.cc"}]
    nameless = {"command": "c++ -O3 -mavx512f -c x", "file": "/a/linear.cc"}
    if check_names(named):
        failures.append(f"a good name was refused: {check_names(named)}")
    if len(check_names([*named, nameless])) != 1:
        failures.append("a source compiled with -mavx512f without saying so was not noticed")
    return failures


def main(arguments):
    if arguments == ["--self-test"]:
        problems = self_test()
        done = "the symbol check notices what it should"
    elif len(arguments) > 1:
        commands, *libraries = map(pathlib.Path, arguments)
        problems, seen = check_symbols(libraries)
        problems += check_names(json.loads(commands.read_text()))
        done = f"{seen} objects with an instruction set of their own share no symbol"
    else:
        raise SystemExit(__doc__)
    print("\n".join(problems) if problems else done)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
