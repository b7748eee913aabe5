# bench/measure.sh - sourced by the measuring scripts: one line a figure, beside its limit; `over` is 1 after one was passed.
over=0

line() { # WHAT VALUE LIMIT UNIT [REMARK]
    awk -v what="$1" -v value="$2" -v limit="$3" -v unit="$4" -v remark="${5:-}" 'BEGIN {
        ok = value != "" && value + 0 <= limit + 0
        printf "%-34s %9.4g %-4s limit %6g  %5.2f of it  %s %s\n", what, value, unit, limit, value / limit, ok ? "ok" : "OVER", remark
        exit !ok
    }' || over=1
}
