#!/bin/sh
# A study on a SLURM cluster without a scheduler of our own: an array of shares, then one job that assembles.
#
#     sh scripts/slurm_array.sh STUDY NAME [SHARES] [CORES_PER_JOB]
#
# SBATCH_FLAGS holds whatever your site wants, say "--partition=long --account=physics"; it wins over what is asked for here.
exec spikecube submit "$1" -o "$2" --shares "${3:-16}" --cores "${4:-4}"
