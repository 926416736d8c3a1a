# shellcheck shell=bash disable=SC2154 # scripts/bench.sh sets the settings
# What was found: judged against its target, and written down.

# Judges by the ratios of what two commands print, in pairs:
# judge_pairs ROW SCENARIO TARGET BESIDE COMMAND COMMAND.
judge_pairs() {
    local ratios
    ratios=$(ratios_in_pairs "$pairs" "$5" "$6" | cut -d ' ' -f 3 | { grep -v null || true; })
    judge "$1" "$2" "$3" "$4" "$(grep . <<<"$ratios" | median_and_interval)"
}

# Adds a line to the results: judge ROW SCENARIO TARGET BESIDE "MEDIAN LOW HIGH [CONTROL]".
judge() {
    local target=$3 metric bound sign='≤' median low high control_low control_high
    metric=${target%%[<>]*}
    bound=${target##*=}
    [[ "$target" != *'>'* ]] || sign='≥'
    read -r median low high control_low control_high <<<"$5"
    echo "| $1 | $2 | $metric | $4 | $sign $bound | $(show_interval "$median $low $high")" \
        "| $(show_width "$low" "$high") | $(show_control "${control_low:-}" "${control_high:-}")" \
        "| $(verdict "$sign" "$bound" "$median" "$low" "$high") |" |
        tee -a "$work/results" >&2
}

# A target is met where the interval reaches it.
verdict() {
    awk -v sign="$1" -v bound="$2" -v median="$3" -v low="$4" -v high="$5" 'BEGIN {
        if (median == "null" || median == "") print "not measured"
        else if (low == "null") print "no interval"
        else print ((sign == "≤") ? low <= bound : high >= bound) ? "met" : "**not met**"
    }'
}

show_interval() {
    awk '$1 == "null" || !NF { print "-"; exit }
        $2 == "null" { printf "%.4g [no interval]\n", $1; exit }
        $2 == $3 { printf "%.4g\n", $1; exit }
        { printf "%.4g [%.4g, %.4g]\n", $1, $2, $3 }' <<<"$1"
}

show_width() {
    awk -v low="$1" -v high="$2" 'BEGIN {
        if (low == "null" || low == high) print "-"; else printf "%.3g\n", high - low
    }'
}

show_control() {
    [[ -n "$1" && "$1" != null ]] || { echo - && return; }
    printf '[%.3f, %.3f]\n' "$1" "$2"
}

write_report() {
    cat <<END
# ringback on $(uname -n), $(date +%F)

- $(cpu_model), $(nproc) CPUs, Linux $(uname -r)
- ringback $built, $(rustc --version)
- \`${command_line% }\`: $rounds rounds of all peers, $blocks blocks, $pairs pairs; $duration a run
  after $warmup of warm-up
- Server on CPU 0, generator on CPU 1, except in row l.
- Control: CPU per echo of ringback against itself, 64 × 64 B: $(show_interval "$control")
$("$is_complete" || echo '- **Incomplete: it was ended before the last row.**')
$(! "$is_noisy" || echo "- **Written with --noisy, however wide the control's interval is.**")

Each ratio is of ringback to the best of its peers, which was found in the tables below; median and
95 % interval, of blocks or of pairs. A target is met where the interval reaches it. The control is
the comparison's own, of each server against itself.

| row | scenario | metric | beside | target | ratio or value | width | control | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
$(cat "$work/results")

## All peers

Medians over the rounds, without an interval: they choose whom to compare with. Runs of servers with
a mark (!) were not valid.
$(cat "$work/surveys" 2>/dev/null)

$(show_invalid)
## Comparisons

\`\`\`text
$(cat "$work/commands")
\`\`\`
END
}

heading() {
    printf '\n### %s\n\n' "$1"
}

show_invalid() {
    [[ -s "$work/invalid" ]] || return 0
    cat <<END
## Not measured

\`\`\`text
$(cat "$work/invalid")
\`\`\`

END
}
