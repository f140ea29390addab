#!/usr/bin/env bash
# tools/demo.sh [--price USD_PER_HOUR] [--price-cores N]: the product-search example from checkpoint to answers, in readable tables.
# Needs build/release/tilewise (./dev build). What a machine of N cores costs an hour is an assumption: say your own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

price=0.17 price_cores=4
while (($#)); do
  case $1 in
    --price) price=${2:?--price needs a number} ;;
    --price-cores) price_cores=${2:?--price-cores needs a number} ;;
    *)
      echo "usage: tools/demo.sh [--price USD_PER_HOUR] [--price-cores N]" >&2
      exit 2
      ;;
  esac
  shift 2
done

tilewise=${TILEWISE:-build/release/tilewise}
backbone=${TILEWISE_BACKBONE:-build/models/all-minilm-l6-v2}
example=examples/product-search
out=build/demo
model=$out/product-search.tw
log=$out/demo.log

[[ -x $tilewise ]] || { echo "demo: $tilewise is missing; './dev demo' builds it first" >&2; exit 1; }
mkdir -p "$out"
: >"$log"

# run TEXT COMMAND...: says what it does; the program's own messages go to the log, and to the screen if it fails.
run() {
  echo "$1" >&2
  shift
  "$@" 2>>"$log" || { tail -n 20 "$log" >&2; return 1; }
}

bench() { "$tilewise" bench "$model" --task "$1" --input "$2" --scenario "$3" --warmup 0.5 --seconds 2 --json; }

tools/fetch_backbone.sh "$backbone"
run "compiling $example/model to bf16" \
  "$tilewise" compile "$example/model" --backbone "$backbone" --precision bf16 -o "$model" >/dev/null
rm -rf "$out/duplicates"
run "scoring the candidate pairs of two catalogues" \
  "$tilewise" batch "$model" --task duplicate --input "$example/data/pairs.jsonl" --output "$out/duplicates" >/dev/null
run "classifying the queries" \
  "$tilewise" predict "$model" --task clinc150 --top 2 <"$example/data/queries.jsonl" >"$out/intents.jsonl"
run "measuring" bench duplicate "$example/data/pairs.jsonl" offline >"$out/bench-pairs.json"
bench clinc150 "$example/data/queries.jsonl" offline >"$out/bench-queries.json" 2>>"$log"
bench clinc150 "$example/data/queries.jsonl" single >"$out/bench-single.json" 2>>"$log"

python3 tools/demo_report.py "$out" --price "$price" --price-cores "$price_cores"

cat <<END

Try next
  $tilewise predict $model --task clinc150,hwu64 --top 3 "where is my parcel right now"
  $tilewise inspect $model
  $tilewise batch $model --task duplicate --input YOUR_PAIRS.jsonl --output build/scored
END
