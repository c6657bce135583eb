# tests/run --gpu: what needs a device, from a bundle (launch/bundle --tests) or from a build, without building anything. To
# be sourced by tests/run, in the folder above tests/, after launch/lib.sh; it counts through tests/run's count_suite.

readonly gpu_part_seconds=525   # a part ends before 9 minutes
readonly gpu_shards=4           # of the parity tests, at once

gpu_usage() {
  cat <<'END'
tests/run --gpu: the tests that need a device, without building anything

Usage: tests/run --gpu [--part=I/N] [--bench] [--output=DIR]

  --part=I/N     the I-th of N parts, each under 9 minutes; together they are the whole. Tests are dealt
                 out by number (test k belongs to part 1 + k mod N), so the same part is always the same
  --bench        also the benchmarks, each in one of the parts, as long as its time lasts
  --output=DIR   where the logs go (default: gpu-proof)

In the unpacked folder of launch/bundle --tests, or in a tree whose build/release is built with tests.
Where there is no device each test is skipped, and the reasons are listed; the status is then 0.
CONVOY_PARITY_SEED=N repeats the random operands of the parity tests.
END
}

# gpu_places: where the binaries are.
gpu_places() {
  if [ -x libexec/convoy ]; then
    gpu_tests=(libexec/tests/gpu_parity_test libexec/tests/gpu_command_test)
    gpu_convoy=$PWD/bin/convoy gpu_mpirun=$PWD/bin/mpirun
    export CONVOY_MODULES=$PWD/libexec
    # For the tests that are no wrapper: NVIDIA's libraries as bin/convoy finds them.
    root=$PWD
    # shellcheck source=/dev/null
    source <(sed -n '/^add_nvidia() {/,/^}/p' bin/environment.sh)
    add_nvidia
  else
    gpu_tests=(build/release/tests/core/gpu_parity_test build/release/tests/launch/gpu_command_test)
    gpu_convoy=$PWD/build/release/convoy gpu_mpirun=$(command -v mpirun || true)
    export CONVOY_MODULES=$PWD/build/release
  fi
  local file
  for file in "$gpu_convoy" "${gpu_tests[@]}"; do
    if [ ! -x "$file" ]; then
      echo "tests: no $file: unpack what launch/bundle --tests made, or build this tree first: cmake --preset release && cmake --build build/release" >&2
      exit 2
    fi
  done
  export CONVOY_TEST_BINARY=$gpu_convoy
  export CONVOY_TEST_MPIRUN="$gpu_mpirun -q --oversubscribe --bind-to none --mca mpi_yield_when_idle 1"
  if [ "$(id -u)" -eq 0 ]; then CONVOY_TEST_MPIRUN+=' --allow-run-as-root'; fi
}

# gpu_shown: whether the machine itself shows a device; then convoy must find it too.
gpu_shown() { [ -e /dev/nvidiactl ] || { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU'; }; }

seconds_left() { echo $((gpu_part_seconds - SECONDS)); }

# gtest_xml FILE NAME: counts a report; a test that left none failed.
gtest_xml() {
  local suite
  if [ ! -s "$1" ]; then
    echo "tests: $2 ended without a report: killed, crashed or out of time"
    failed=$((failed + 1))
    return 0
  fi
  suite=$(tr '\n\t' '  ' <"$1" | grep -o '<testsuites [^>]*>' | head -n 1)
  count_suite "$(attribute tests "$suite")" "$(attribute failures "$suite")" "$(grep -c 'result="skipped"' "$1")"
}

# gtest NAME BINARY SHARD SHARDS OPTIONS...: runs a share of a test program.
gtest() {
  local name=$1 binary=$2 shard=$3 shards=$4 limit
  shift 4
  limit=$(seconds_left)
  rm -f "$output/$name.xml"
  if [ "$limit" -lt 5 ]; then limit=5; fi
  GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard timeout -k 5 "$limit" \
    "$binary" --gtest_output="xml:$output/$name.xml" "$@" >"$output/$name.log" 2>&1 </dev/null || true
}

# gpu_parity: the shards of this part, all at once: the reference computes on the host's cores.
gpu_parity() {
  local shard pids=() name
  for ((shard = 0; shard < gpu_shards; ++shard)); do
    gtest "parity-$part-$shard" "${gpu_tests[0]}" $(((part - 1) * gpu_shards + shard)) $((parts * gpu_shards)) &
    pids+=($!)
  done
  wait "${pids[@]}"
  for ((shard = 0; shard < gpu_shards; ++shard)); do
    name=parity-$part-$shard
    tell_gtest "$name"
  done
}

# tell_gtest NAME: counts and shows what failed.
tell_gtest() {
  gtest_xml "$output/$1.xml" "$1"
  grep -E '^\[  FAILED  \] [^0-9]|: Failure$' "$output/$1.log" | sort | uniq -c | head -n 40 || true
  { grep -h -A 4 ': Failure$' "$output/$1.log" || true; } | head -n 60
}

gpu_commands() {
  gtest "commands-$part" "${gpu_tests[1]}" $((part - 1)) "$parts"
  tell_gtest "commands-$part"
}

# omit WHY: counts as skipped, with its reason.
omit() {
  echo "skipped: $*"
  skipped=$((skipped + 1))
}

# sanitizer TOOL: compute-sanitizer over our own kernels, on the small cases.
sanitizer() {
  local tool=$1 log=$output/$1.log status=0 limit
  command -v compute-sanitizer >/dev/null || { omit "$tool: no compute-sanitizer in PATH"; return 0; }
  limit=$(seconds_left)
  if [ "$limit" -lt 30 ]; then echo "tests: no time left for $tool: use more parts"; failed=$((failed + 1)); return 0; fi
  timeout -k 5 "$limit" compute-sanitizer --tool "$tool" --error-exitcode 99 --target-processes application-only \
    "${gpu_tests[0]}" --gtest_filter='Kernels/GpuParity.EqualsTheReference/*' >"$log" 2>&1 </dev/null || status=$?
  if grep -q 'Device not supported' "$log"; then omit "$tool: compute-sanitizer refuses this device"; return 0; fi
  if [ "$status" -eq 0 ] && grep -q 'ERROR SUMMARY: 0 errors' "$log"; then
    say tests "$tool: no finding in $(grep -c '^\[       OK' "$log") tests"
    passed=$((passed + 1))
  else
    tail -n 40 "$log"
    failed=$((failed + 1))
  fi
}

# bench NAME COMMAND...: shown and logged; one that fails is a failure, one that finds no time is said to be missing.
bench() {
  local name=$1 limit
  shift
  limit=$(seconds_left)
  if [ "$limit" -lt 40 ]; then say tests "no time left for the benchmark $name: use more parts"; return 0; fi
  say tests "benchmark $name: $*"
  if timeout -k 5 "$limit" "$@" </dev/null 2>"$output/$name.err" | tee "$output/$name.txt"; then
    passed=$((passed + 1))
  else
    tail -n 20 "$output/$name.err"
    failed=$((failed + 1))
  fi
}

bench_ops() { bench "ops-$1-$2" "$gpu_convoy" bench ops --device=cuda --model="$1" --precision="$2" --batch="$3"; }

bench_pytorch() {
  local python
  python=$(command -v python3) || python=python3
  if ! "$python" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    omit "step_vs_pytorch $1 $2: no python3 with a PyTorch that sees the device"
    return 0
  fi
  bench "pytorch-$1-$2" "$python" experiments/benchmarks/step_vs_pytorch.py --device=cuda --convoy="$gpu_convoy" \
    --python="$python" --model="$1" --precision="$2" --batch="$3"
}

# bench_reduce: two ranks on one device: its time says nothing of two devices, its sums are checked all the same.
# shellcheck disable=SC2086  # words
bench_reduce() { bench reduce-2 $CONVOY_TEST_MPIRUN -n 2 "$gpu_convoy" bench reduce --device=cuda --share-gpu; }

# What is dealt out to the parts besides the test programs. Order decides, so new entries go to the end.
readonly gpu_checks=('sanitizer memcheck' 'sanitizer racecheck')
readonly gpu_benchmarks=(
  'bench_pytorch resnet-20 bf16 1024' 'bench_pytorch lenet-5 fp32 1024' 'bench_pytorch resnet-20 fp32 1024'
  'bench_pytorch resnet-20 fp16 1024' 'bench_ops resnet-20 bf16 1024' 'bench_ops resnet-20 fp32 1024'
  bench_reduce)

# deal COMMANDS...: runs those of this part.
deal() {
  local index=0 command
  for command in "$@"; do
    # shellcheck disable=SC2086  # words of a command
    if [ $((index % parts)) -eq $((part - 1)) ]; then $command; fi
    index=$((index + 1))
  done
}

# skip_reasons: one line for each reason for which tests were skipped.
skip_reasons() {
  cat "$output"/*.xml 2>/dev/null | tr '\n' ' ' | { grep -o '<skipped message="[^"]*"' || true; } |
    sed -e 's/<skipped message="//' -e 's/"$//' -e 's/^[^ ]*:[0-9]*&#x0A;//' -e 's/&#x0A;/ /g' -e "s/&apos;/'/g" -e 's/&quot;/"/g' |
    sort | uniq -c | sed 's/^ *\([0-9]*\) /skipped: \1 tests: /'
}

run_gpu() {
  local part=1 parts=1 with_benchmarks=no output=gpu-proof word
  for word in "$@"; do
    case $word in
      --part=*/*) part=${word#--part=} parts=${part#*/} part=${part%/*} ;;
      --bench) with_benchmarks=yes ;;
      --output=*) output=${word#*=} ;;
      --help | -h) gpu_usage; exit 0 ;;
      *) echo "tests: unknown option '$word'; see tests/run --gpu --help" >&2; exit 2 ;;
    esac
  done
  if [[ ! $part =~ ^[1-9][0-9]?$ || ! $parts =~ ^[1-9][0-9]?$ ]] || [ "$part" -gt "$parts" ]; then
    echo "tests: --part=I/N: expected two numbers, I from 1 to N, found '$part/$parts'" >&2
    exit 2
  fi
  SECONDS=0
  gpu_places
  mkdir -p "$output"
  output=$(cd "$output" && pwd)
  rm -f "$output"/*.xml
  export CONVOY_PARITY_SEED=${CONVOY_PARITY_SEED-$(date +%s)} CONVOY_CACHE=${CONVOY_CACHE-$output/cache}
  say tests "part $part of $parts, $(grep -m 1 '^commit' CONTENTS 2>/dev/null || echo 'not a bundle'); CONVOY_PARITY_SEED=$CONVOY_PARITY_SEED"
  if gpu_shown; then
    export CONVOY_EXPECT_DEVICE=yes
    nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2>/dev/null || true
  else
    say tests 'this machine shows no NVIDIA device'
  fi
  gpu_parity
  gpu_commands
  if [ "${CONVOY_EXPECT_DEVICE-}" = yes ]; then
    deal "${gpu_checks[@]}"
    if [ "$with_benchmarks" = yes ]; then deal "${gpu_benchmarks[@]}"; fi
  else
    omit 'memcheck, racecheck and benchmarks: no device'
  fi
  skip_reasons
  say tests "$SECONDS s; logs in $output"
  local line="$passed passed, $failed failed"
  if [ "$skipped" -gt 0 ]; then line+=", $skipped skipped"; fi
  echo "$line"
  if [ "$failed" -ne 0 ]; then exit 1; fi
  exit 0
}
