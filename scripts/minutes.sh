#!/bin/sh
# minutes.sh PART COMMAND... : runs the command, and notes how long the part took in $MINUTES (a file), if that is set.
# The clock is the machine's uptime: the time of day may be set while something runs.
part=$1
shift
start=$(cut -d' ' -f1 /proc/uptime)
"$@"
status=$?
end=$(cut -d' ' -f1 /proc/uptime)
line=$(awk -v s="$start" -v e="$end" -v p="$part" -v r="$status" 'BEGIN {printf "%6.1f min  %s%s", (e - s) / 60, p, r ? " (failed)" : ""}')
echo "== $line" >&2
[ -z "${MINUTES:-}" ] || echo "$line" >>"$MINUTES"
exit $status
