#!/bin/sh
# minutes.sh PART COMMAND... : runs the command, and notes how long the part took in $MINUTES (a file), if that is set.
part=$1
shift
start=$(date +%s)
"$@"
status=$?
seconds=$(($(date +%s) - start))
line=$(awk -v s="$seconds" -v p="$part" -v r="$status" 'BEGIN {printf "%6.1f min  %s%s", s / 60, p, r ? " (failed)" : ""}')
echo "== $line" >&2
[ -z "${MINUTES:-}" ] || echo "$line" >>"$MINUTES"
exit $status
