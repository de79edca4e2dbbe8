#!/bin/sh
# A small SLURM for trials: one controller and two nodes of one core, all on this machine and its loopback address.
#
#     sh scripts/slurm_here.sh start DIR && export SLURM_CONF=DIR/slurm.conf
#     sh scripts/slurm_here.sh stop DIR
#
# Needs root and the packages slurmctld, slurmd, slurm-client and munge (Debian, Ubuntu). Files, keys and logs are in DIR
# alone; DIR must be short, since a socket's path has 107 characters at most. Jobs that take more memory than they asked for
# are killed, by their resident size (MEMORY_COUNTED=pss counts pages that processes share once, as control groups do).
set -eu
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
port=${SLURM_HERE_PORT:-16817} # and the two that follow

pids() {
    cat "$dir/slurmd.n1.pid" "$dir/slurmd.n2.pid" "$dir/slurmctld.pid" "$dir/munged.pid" 2>/dev/null || true
}

stop() {
    running=$(pids)
    for pid in $running; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in $running; do
        tries=0
        while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do
            tries=$((tries + 1))
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

configure() {
    case ${MEMORY_COUNTED:-rss} in
        pss) counted=OverMemoryKill,UsePss ;;
        *) counted=OverMemoryKill ;;
    esac
    (umask 077 && head -c 64 /dev/urandom >"$dir/munge.key")
    # NoInAddrAny and NoCtldInAddrAny keep every listener on the address of `localhost`. SLURM polls memory each second. It looks
    # for jobs to start each second too, and a credential is good for 5 s: else a requeued job waits for two minutes.
    cat >"$dir/slurm.conf" <<CONF
ClusterName=here
SlurmUser=root
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
NodeName=n[1-2] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[$((port + 1))-$((port + 2))] CPUs=1 RealMemory=4000
PartitionName=main Nodes=ALL Default=YES MaxTime=1-0
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=$counted
SchedulerParameters=sched_interval=1,bf_interval=1
KillWait=5
ReturnToService=2
SlurmdTimeout=10
StateSaveLocation=$dir
SlurmdSpoolDir=$dir/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmdLogFile=$dir/slurmd.%n.log
CONF
}

# The flags above bind listeners to the address of the machine's own name. Where that is not loopback, daemons get a name that is.
named_here() {
    case $(getent ahostsv4 "$(hostname)" | cut -d ' ' -f 1 | head -n 1) in
        127.*) "$@" ;;
        *) unshare --uts sh -c 'hostname localhost && exec "$@"' sh "$@" ;;
    esac
}

start() {
    for tool in munged slurmctld slurmd sinfo; do
        command -v "$tool" >/dev/null || { echo "$tool is not installed: apt-get install slurmctld slurmd slurm-client munge" >&2; exit 1; }
    done
    configure
    export SLURM_CONF="$dir/slurm.conf"
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/munged.log" --seed-file="$dir/munged.seed"
    named_here slurmctld
    named_here slurmd -N n1
    named_here slurmd -N n2
    tries=0
    while [ "$(sinfo --noheader --states=idle --format=%D 2>/dev/null)" != 2 ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ]; then
            tail -n 20 "$dir"/*.log >&2
            stop
            exit 1
        fi
        sleep 0.1
    done
}

case $verb in
    start) start ;;
    stop) stop ;;
    *) echo "given '$verb'; allowed: start DIR, stop DIR" >&2; exit 2 ;;
esac
