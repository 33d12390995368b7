#!/bin/sh
# WANT_JSON
# Keeps a text in a file; looks only where it is told that it is a check.
text=$(sed -n 's/.*"text": *"\([^"]*\)".*/\1/p' "$1")
check=$(sed -n 's/.*"_ansible_check_mode": *\([a-z]*\).*/\1/p' "$1")
now=$(cat /srv/own/file 2>/dev/null)
if [ "$now" = "$text" ]; then
    echo '{"changed": false}'
    exit 0
fi
[ "$check" = true ] || echo "$text" > /srv/own/file
printf '{"changed": true, "diff": {"before": "%s\\n", "after": "%s\\n"}, "ansible_facts": {"own_text": "%s"}}\n' "$now" "$text" "$text"
