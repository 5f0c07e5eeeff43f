#!/usr/bin/env bash
# One load run by all tasks of a Slurm job: each sends its share of the same schedule, from the same instant; the parts are then one run or none.
#
#   sbatch --nodes=4 Examples/load-slurm.sh --model seqlen --url server:8000 --rate 40000 --poisson --duration 60
#   srun does as well inside an allocation: salloc --nodes=4 Examples/load-slurm.sh ...
#
# What follows the script's name goes to `headroom load`. HEADROOM is the program (default: headroom in PATH); HEADROOM_LOAD_FOLDER is where
# the parts go, on a file system that all nodes share (default: load-JOBID); HEADROOM_LOAD_LEAD is how many seconds after now the run starts,
# enough for every task to be launched and to have asked the server for the model (default: 10).
#SBATCH --job-name=headroom-load
#SBATCH --ntasks-per-node=1
set -euo pipefail
: "${SLURM_JOB_ID:?run this with sbatch or salloc}"
export HEADROOM=${HEADROOM:-headroom}
folder=${HEADROOM_LOAD_FOLDER:-load-$SLURM_JOB_ID}
mkdir -p "$folder"
start=$(($(date +%s) + ${HEADROOM_LOAD_LEAD:-10}))

# Parts are files of this job alone: what an earlier run left must not be merged.
rm -f "$folder"/part-*.hlog
# A task that fails leaves no part or an invalid one, which the merge says better than srun: the others finish.
srun --kill-on-bad-exit=0 --input=none bash -c '
  folder=$1 start=$2; shift 2
  exec "$HEADROOM" load "$@" --share "$SLURM_PROCID/$SLURM_NTASKS" --start-at "$start" --quiet \
    --hdr-log "$folder/part-$SLURM_PROCID.hlog" >"$folder/report-$SLURM_PROCID.txt"
' load "$folder" "$start" "$@" || echo "a task of the run failed; its part decides whether there is a run" >&2
exec "$HEADROOM" load merge "$folder"/part-*.hlog
