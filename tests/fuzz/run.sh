#!/usr/bin/env bash
# tests/fuzz/run.sh SECONDS BUILD_DIR: runs each fuzz target that BUILD_DIR holds for SECONDS.
# Target foo_fuzz starts from the committed seeds in corpus/foo and from what earlier runs found (kept in the build folder).
# A failing input is left in BUILD_DIR/crashes; put it into the seeds with the fix.
set -euo pipefail

seconds=${1:?usage: tests/fuzz/run.sh SECONDS BUILD_DIR}
build=${2:?usage: tests/fuzz/run.sh SECONDS BUILD_DIR}
seeds=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/corpus
mkdir -p "$build/crashes"

failed=() count=0
for target in "$build"/fuzz/*_fuzz; do
  [[ -x $target ]] || continue
  name=$(basename "$target" _fuzz)
  count=$((count + 1))
  if [[ -z $(find "$seeds/$name" -type f 2>/dev/null | head -n 1) ]]; then
    echo "fuzz $name: no seeds in tests/fuzz/corpus/$name" >&2
    failed+=("$name")
    continue
  fi
  mkdir -p "$build/corpus/$name"
  log=$build/$name.log
  options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
    -artifact_prefix="$build/crashes/$name-")
  if "$target" "${options[@]}" "$build/corpus/$name" "$seeds/$name" >"$log" 2>&1; then
    echo "fuzz $name: $(awk '/number_of_executed_units/ {print $2}' "$log") inputs, none failed"
  else
    tail -n 40 "$log" >&2
    echo "fuzz $name: FAILED, see $log and $build/crashes" >&2
    failed+=("$name")
  fi
done

if ((count == 0)); then
  echo "fuzz: no targets in $build/fuzz" >&2
  exit 1
fi
((${#failed[@]} == 0))
