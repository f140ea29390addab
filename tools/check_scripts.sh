#!/usr/bin/env bash
# Reads every bash script of the repository without running it; with shellcheck too where that is installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts=(dev .ci/run)
while IFS= read -r script; do scripts+=("$script"); done < <(find . -path ./build -prune -o -name '*.sh' -print | sort)

for script in "${scripts[@]}"; do bash -n "$script"; done
if command -v shellcheck >/dev/null; then
  shellcheck "${scripts[@]}"
  echo "${#scripts[@]} scripts pass bash -n and shellcheck"
else
  echo "${#scripts[@]} scripts pass bash -n (shellcheck is not installed)"
fi
