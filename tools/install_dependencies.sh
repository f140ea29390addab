#!/usr/bin/env bash
# tools/install_dependencies.sh [--build | --all | --arm]
# Installs the Debian 12 packages that building and testing need; only those that are missing, without asking.
# --build leaves out what only tests need. --all adds what `./dev test --all` needs: linters, a browser, Java for Spark, and a Python with PyTorch
# and the server's clients in build/venv (or name your own in TILEWISE_PYTHON). --arm adds a cross compiler, QEMU and the libraries for 64-bit Arm.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

packages=(
  cmake ninja-build ccache g++ pkg-config python3 python3-venv unzip ca-certificates
  libboost1.81-dev libgrpc++-dev libprotobuf-dev protobuf-compiler-grpc prometheus-cpp-dev libsimdjson-dev libfmt-dev libcli11-dev libspdlog-dev libhwloc-dev libhwy-dev libutf8proc-dev
  libhnswlib-dev libxxhash-dev libssl-dev zlib1g-dev libzstd-dev
  libgtest-dev libgmock-dev libbenchmark-dev
)
for_tests=(clang-19 libclang-rt-19-dev) # libFuzzer, and the second compiler
for_all=(clang-tidy-19 clang-format-19 shellcheck chromium default-jre-headless)
for_arm=(g++-aarch64-linux-gnu qemu-user)
for library in simdjson fmt spdlog hwloc hwy utf8proc xxhash ssl zstd gtest gmock boost1.81 grpc++ protobuf; do for_arm+=("lib$library-dev:arm64"); done
for_arm+=(zlib1g-dev:arm64) # protoc and its plugin are this machine's own
case "${1-}" in
  --build) ;;
  "") packages+=("${for_tests[@]}") ;;
  --all) packages+=("${for_tests[@]}" "${for_all[@]}") ;;
  --arm) packages+=("${for_arm[@]}") ;;
  *)
    echo "usage: tools/install_dependencies.sh [--build | --all | --arm]" >&2
    exit 2
    ;;
esac

is_installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

install_packages() {
  local missing=() package sudo=()
  for package in "${packages[@]}"; do is_installed "$package" || missing+=("$package"); done
  if ((${#missing[@]} == 0)); then return; fi
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "install_dependencies: neither root nor sudo; ask for: ${missing[*]}" >&2
      exit 1
    fi
    sudo=(sudo)
  fi
  echo "installing ${missing[*]}" >&2
  if [[ " ${missing[*]} " == *:arm64\ * ]]; then "${sudo[@]}" dpkg --add-architecture arm64; fi
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

install_python() {
  if [[ -n ${TILEWISE_PYTHON-} ]]; then return; fi
  local stamp=build/venv/installed
  if cmp -s tests/requirements.txt "$stamp"; then return; fi
  echo "installing PyTorch, clients and others into build/venv" >&2
  python3 -m venv build/venv
  build/venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
  cp tests/requirements.txt "$stamp"
}

if command -v apt-get >/dev/null; then
  install_packages
else
  echo "install_dependencies: no apt-get here; the build needs what Debian 12 calls: ${packages[*]}" >&2
fi
if [[ ${1-} == --all ]]; then install_python; fi
