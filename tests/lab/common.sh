# Shared by up, target and down (sourced, POSIX sh): names, folders, helpers.
# shellcheck shell=sh disable=SC2034

lab_src=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
lab_dir=${REGDEPLOY_LAB_DIR:-$lab_src/../../target/lab}
mkdir -p "$lab_dir"
lab_dir=$(CDPATH='' cd -- "$lab_dir" && pwd)

lab_key=$lab_dir/id_ed25519
lab_label=regdeploy-lab
lab_prefix=${REGDEPLOY_LAB_PREFIX:-regdeploy-lab}

# The tag carries a hash of the recipe, so that editing the recipe is enough
# to get a new image, and two checkouts with different recipes can coexist.
lab_image=regdeploy-lab/debian-systemd:12-$(
	cat "$lab_src/image" "$lab_src/lab-init" | sha256sum | cut -c1-12)

say() { echo "lab: $*" >&2; }
die() { say "$*"; exit 1; }

# Waits until "$2..." succeeds, for at most $1 tenths of a second.
wait_for() {
	tenths=$1; shift
	while ! "$@" >/dev/null 2>&1; do
		tenths=$((tenths - 1))
		[ "$tenths" -gt 0 ] || return 1
		sleep 0.1
	done
}
