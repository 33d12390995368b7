#!/bin/sh
# WANT_JSON
echo rubbish
echo trouble >&2
exit 7
