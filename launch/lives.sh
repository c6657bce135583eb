# Shell functions about the lives of a run, for launch/mpirun-train and launch/slurm/train.sbatch; to be sourced by bash
# after lib.sh. A life is one mpirun (or srun) of `convoy train --resume=latest`; a run that meets crashes and time limits
# has several, all in one run folder.

# option_of NAME WORDS...: prints the value of --NAME among the words (--NAME=VALUE or --NAME VALUE); else that of `NAME =
# VALUE` above the first section of the file that --config names; else nothing.
option_of() {
  local name=$1 value config='' found=no
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      "--$name="*) value=${1#*=} found=yes ;;
      "--$name") value=${2-} found=yes ;;
      --config=*) config=${1#*=} ;;
      --config) config=${2-} ;;
    esac
    shift
  done
  if [ "$found" = yes ]; then
    printf '%s\n' "$value"
  elif [ -r "$config" ]; then
    ini_value_of "$name" "$config"
  fi
}

# ini_value_of NAME FILE: the value of NAME above the first section, without quotes and comment.
ini_value_of() {
  local value
  value=$(sed -n -e '/^[[:blank:]]*\[/q' -e "s/^[[:blank:]]*$1[[:blank:]]*=[[:blank:]]*//p" "$2")
  value=${value%%$'\n'*}
  if [[ $value == \"* ]]; then
    value=${value#\"}
    value=${value%%\"*}
  else
    value=${value%%[[:blank:]][#;]*}
    value=${value%"${value##*[![:space:]]}"}
  fi
  if [ -n "$value" ]; then printf '%s\n' "$value"; fi
}

# set_run_folder WHO DEFAULT-NAME WORDS...: run_folder = RUNS/NAME as `convoy train WORDS...` will name it; train_words =
# the words with what every life needs: the same --run, and --resume=latest. Status 2 after a message where that cannot be.
set_run_folder() {
  local who=$1 name=$2 given runs resume
  shift 2
  train_words=("$@")
  given=$(option_of run "$@")
  if [ -n "$given" ]; then name=$given; else train_words+=("--run=$name"); fi
  if [[ ! $name =~ ^[A-Za-z0-9_+=,@][A-Za-z0-9._+=,@-]*$ ]]; then
    echo "$who: --run=$name: a run is named by letters, digits or \"._-+=,@\"; use --runs=DIR for the folder above it" >&2
    return 2
  fi
  resume=$(option_of resume "$@")
  case $resume in
    latest) ;;
    '') train_words+=(--resume=latest) ;;
    *)
      echo "$who: --resume=$resume: every life goes on from the newest checkpoint of its run, so that --resume=latest" \
        "is what this script sets; to begin from a file, start once with: convoy train --resume=$resume" >&2
      return 2
      ;;
  esac
  runs=$(option_of runs "$@")
  run_folder=${runs:-runs}/$name
}

# outlives_ranks WORDS...: whether `convoy train WORDS...` goes on without ranks that die: an ensemble without those of a member,
# parameter servers without those of workers.
outlives_ranks() {
  case $(option_of mode "$@") in ensemble | async) return 0 ;; esac
  [ "$(option_of backup-workers "$@")" != '' ] && [ "$(option_of backup-workers "$@")" != 0 ]
}

# set_life_flags WORDS...: lib.sh's mpi_flags for a life of `convoy train WORDS...`. mpirun must not end the other ranks of a
# run that goes on without one; it then returns 0 however they end, so that status.json alone tells.
set_life_flags() {
  set_mpi_flags
  if [ ${#mpi_flags[@]} -gt 0 ] && outlives_ranks "$@"; then mpi_flags+=(--enable-recovery); fi
}

# newest_step FOLDER: the step of the newest checkpoint of this run folder; 0 where there is none. Of an ensemble: the sum of its
# members' newest steps.
newest_step() {
  local file step newest=0 member
  if [ -d "$1/members" ]; then
    for member in "$1"/members/*/; do newest=$((newest + $(newest_step "$member"))); done
    echo "$newest"
    return
  fi
  for file in "$1"/checkpoints/step-*.h5; do
    if [[ $file =~ /step-0*([0-9]+)\.h5$ ]]; then
      step=${BASH_REMATCH[1]}
      if [ "$step" -gt "$newest" ]; then newest=$step; fi
    fi
  done
  echo "$newest"
}

# status_mark FOLDER: tells one status.json from the next, which replaces it by rename.
status_mark() { stat -c '%i %.9Y' "$1/status.json" 2>/dev/null || echo none; }

# status_of_life FOLDER MARK STATUS: how the life ended that began at MARK and whose mpirun ended with STATUS: 0, 1, 2, 3,
# 75, crash, or hopeless (a failure that another life would meet again). status.json decides, if this life wrote it, for
# mpirun alters some statuses. A config or data set may be refused before the run folder is touched: then mpirun's own 2 or
# 3 is all there is.
status_of_life() {
  local status=''
  if [ "$(status_mark "$1")" != "$2" ]; then
    status=$(sed -n 's/^ *"status": *\([0-9][0-9]*\),\{0,1\}$/\1/p' "$1/status.json" 2>/dev/null) || status=''
  elif [ "$3" -eq 2 ] || [ "$3" -eq 3 ]; then
    status=$3
  fi
  if [ "$status" = 1 ] && grep -q '^ *"again": *false' "$1/status.json" 2>/dev/null; then status=hopeless; fi
  echo "${status:-crash}"
}

# reason_of_life FOLDER MARK: ": rank 2: WHY" as status.json tells it, still escaped as JSON, if the life that began at MARK
# wrote it; else nothing. The rank is named where one failed.
reason_of_life() {
  if [ "$(status_mark "$1")" = "$2" ]; then return 0; fi
  local reason rank
  reason=$(sed -n 's/^ *"reason": *"\(.*\)",\{0,1\}$/\1/p' "$1/status.json" 2>/dev/null) || reason=''
  rank=$(sed -n 's/^ *"rank": *\([0-9][0-9]*\),\{0,1\}$/\1/p' "$1/status.json" 2>/dev/null) || rank=''
  if [ -n "$reason" ]; then printf ': %s%s\n' "${rank:+rank $rank: }" "$reason"; fi
}

# times_of_run FOLDER: the slowest step, save and validation that the tail of metrics.jsonl tells of, in seconds, and how
# many saves those were: "0.21 11.4 3 8". A save counts with its stall; a step is batch / samples_per_second.
times_of_run() {
  local batch
  batch=$(sed -n '/^\[train\]/,/^\[/s/^batch *= *\([0-9][0-9]*\).*/\1/p' "$1/config.cfg" 2>/dev/null) || batch=''
  { tail -q -c 4000000 "$1"/metrics.jsonl "$1"/members/*/metrics.jsonl 2>/dev/null || true; } | LC_ALL=C awk -v batch="${batch:-0}" '
    function field(name) { return match($0, "\"" name "\": *[-+.0-9eE]+") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0 : 0 }
    /"kind": *"train"/ { rate = field("samples_per_second"); if (rate > 0 && batch / rate > step) step = batch / rate }
    /"kind": *"checkpoint"/ { saves++; took = field("seconds") + field("stall_seconds"); if (took > save) save = took }
    /"kind": *"validation"/ { took = field("seconds"); if (took > validation) validation = took }
    END { printf "%.4g %.4g %.4g %d\n", step, save, validation, saves }'
}

# seconds_to_stop STEP SAVE VALIDATION: how long before its end a life must be asked to stop: twice what it measured, and
# half a minute for what it did not (ranks that end, a requeue, a busy file system).
seconds_to_stop() { LC_ALL=C awk -v step="$1" -v save="$2" -v validation="$3" 'BEGIN { printf "%.0f\n", 30 + 2 * (step + save + validation) + 0.5 }'; }

# await_leftovers WHO FOLDER: ranks may outlive a killed mpirun by seconds and still hold the run folder's lock; convoy
# would then rightly refuse to start (status 2). Waits for the lock at most a minute.
await_leftovers() {
  local lock=$2/.lock
  if [ ! -e "$lock" ] || ! command -v flock >/dev/null || flock -n "$lock" true; then return 0; fi
  say "$1" "waiting for processes of the last life that still hold $2"
  flock -w 60 "$lock" true || true
}

life=''        # process id of the mpirun or srun that runs; empty: none
life_status=0  # exit status of the last one
signalled=no
stop_asked=no  # no life is to follow

# forward SIGNAL: to the life. The traps call it.
forward() {
  signalled=yes
  if [ -n "$life" ]; then kill -s "$1" "$life" 2>/dev/null || true; fi
}

# ask_to_stop: USR2 to the life, for mpirun hands it to the ranks and waits for their checkpoint, whereas TERM leaves them
# about a second. Whoever asks twice gets TERM.
ask_to_stop() {
  if [ "$stop_asked" = no ]; then
    stop_asked=yes
    forward USR2
  else
    forward TERM
  fi
}

# live COMMAND...: runs the command as a life, in the background, so that traps run at once; sets life_status.
live() {
  "$@" </dev/null &
  life=$!
  # A signal that came before the line above found no life to forward to.
  if [ "$stop_asked" = yes ]; then forward USR2; fi
  while :; do
    signalled=no
    life_status=0
    wait "$life" 2>/dev/null || life_status=$?  # bash would add "Killed" and a line number
    # A trapped signal ends `wait` early; bash keeps the status of a process that has ended, so asking again is safe.
    if [ "$signalled" = no ]; then break; fi
  done
  life=''
}
