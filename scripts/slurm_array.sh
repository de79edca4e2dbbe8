#!/bin/sh
# A study on a SLURM cluster without a scheduler of our own: an array of shares, then one job that assembles.
#
#     sh scripts/slurm_array.sh STUDY NAME [SHARES] [CORES_PER_JOB]
#
# Memory and walltime are those that `spikecube plan` predicts on the machine where this is called, with room to spare.
# SBATCH_FLAGS holds whatever your site wants, say "--partition=long --account=physics".
set -eu
study=$1
name=$2
shares=${3:-16}
cores=${4:-4}

plan=$(spikecube plan "$study" --json)
field() { printf '%s' "$plan" | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
megabytes=$(python3 -c "import math; print(math.ceil(1.25 * $cores * $(field memory_bytes) / 2**20))")
minutes=$(python3 -c "
import math
share = 3600 * $(field core_hours) / ($shares * $cores)
print(math.ceil(2 * max(share, $(field longest_task_seconds)) / 60) + 10)")
echo "$shares jobs of $cores cores, $megabytes MB and $minutes min each"

# A job that is preempted or meets its walltime gets SIGTERM and keeps what it has; call this script again to go on.
array=$(sbatch --parsable ${SBATCH_FLAGS:-} --job-name="$name" --array="1-$shares" \
    --cpus-per-task="$cores" --mem="${megabytes}M" --time="$minutes" --signal=B:TERM@60 --requeue \
    --wrap="exec spikecube run '$study' -o '$name' --shard \$SLURM_ARRAY_TASK_ID/$shares --workers $cores")

# Assembles; computes by itself whatever the array left over.
sbatch ${SBATCH_FLAGS:-} --job-name="$name-cube" --dependency="afterany:$array" \
    --cpus-per-task="$cores" --mem="${megabytes}M" --time="$minutes" \
    --wrap="exec spikecube run '$study' -o '$name' --workers $cores"
