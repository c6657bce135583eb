# Shell functions that launch/'s and tests/'s scripts share; to be sourced by bash.

# say WHO WORDS...: a line of news.
say() {
  local who=$1
  shift
  printf '[%s] %s\n' "$who" "$*"
}

# cores: how many this process may use.
cores() { nproc; }

# set_mpi_flags: mpirun's flags that suit any machine, into the array mpi_flags. More ranks than cores are fine; ranks are
# not bound (binding puts the ranks of emulated or small machines on one core); waiting ranks yield. Open MPI refuses root
# unless told otherwise. -q: convoy itself says why a run failed.
set_mpi_flags() {
  mpi_flags=()
  if [[ $(mpirun --version 2>/dev/null) == *'Open MPI'* ]]; then
    mpi_flags=(-q --oversubscribe --bind-to none --mca mpi_yield_when_idle 1)
    if [ "$(id -u)" -eq 0 ]; then mpi_flags+=(--allow-run-as-root); fi
  fi
}

# mpi_run RANKS COMMAND...: mpirun with those flags.
mpi_run() {
  local ranks=$1 mpi_flags
  shift
  set_mpi_flags
  mpirun "${mpi_flags[@]}" -n "$ranks" "$@"
}

# quietly LOG COMMAND...: runs the command with its output in LOG; shows the end of LOG where it fails.
quietly() {
  local log=$1 status=0
  shift
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" -ne 0 ]; then
    tail -n 40 "$log" >&2
    printf 'failed (status %s): %s\nThe whole output: %s\n' "$status" "$*" "$log" >&2
  fi
  return "$status"
}
