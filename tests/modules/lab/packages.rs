//! A package manager that is busy, and one that was killed in the midst of its work.

use std::time::Duration;

use super::workshop::{By, Workshop, fault};

/// Packages: one whose configuration takes as long as `/srv/held` is there, and one that takes no time.
const PREPARED: &str = r"
set -e; cd /srv
for name in slow quick; do
	mkdir -p $name/DEBIAN $name/opt
	echo $name >$name/opt/$name
	printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: %s\n' $name $name >$name/DEBIAN/control
done
printf '#!/bin/sh\ntouch /srv/reached\nwhile [ -e /srv/held ]; do sleep 0.1; done\n' >slow/DEBIAN/postinst
chmod 755 slow/DEBIAN/postinst
for name in slow quick; do dpkg-deb --build $name $name.deb >/dev/null; done
touch held
";

/// As it was in the beginning.
const AGAIN: &str = "dpkg --purge slow quick >/dev/null; rm -f /srv/reached; touch /srv/held";

const QUICK: &str = "apt: {deb: /srv/quick.deb}";
const SLOW: &str = "apt: {deb: /srv/slow.deb}";
const HELD: &str = "/var/lib/dpkg/lock-frontend, held by process";

const REACHED: Duration = Duration::from_mins(1);

#[test]
fn is_waited_for_and_made_up_for() {
    let workshop = Workshop::open("packages", PREPARED);
    locked(&workshop);
    workshop.host().root(AGAIN);
    killed(&workshop);
    workshop.host().root(AGAIN);
    unconfigured(&workshop);
}

/// Who has the lock is told, by the task that waits and by the one that gives up.
fn locked(workshop: &Workshop) {
    let host = workshop.host();
    let holder = workshop.start(By::Root, &[SLOW]);
    host.eventually("test -e /srv/reached", REACHED);
    workshop.all_fail(
        By::Root,
        "dpkg-query -W quick 2>&1; ls /opt",
        &[fault(
            "apt: {deb: /srv/quick.deb, lock_timeout: 1}",
            &[HELD, "(apt-get)", "waited 1 seconds", "raise lock_timeout"],
        )],
    );

    let waiting = workshop.start(By::Root, &[QUICK]);
    // It has tried, and been refused: only the lock lets it end.
    let trying = "pgrep -f '^apt-get -y .*/srv/quick.deb' >/dev/null";
    // Each try takes a moment: whoever looks less often may come in between for ever.
    host.eventually(
        &format!("for i in $(seq 1000); do ! {trying} || exit 0; sleep 0.01; done; exit 1"),
        REACHED,
    );
    host.eventually(&format!("! {trying}"), REACHED);
    host.root("! dpkg -s quick 2>/dev/null; rm /srv/held");
    let ended = waiting.end();
    let told = format!("{}{}", ended.output, ended.errors);
    assert!(
        ended.status.success() && told.contains(&format!("waited for {HELD}")),
        "{told}"
    );
    holder.end().success();
    host.root("dpkg -s quick slow >/dev/null");
}

/// The failure says so, and so does every run until it is mended.
fn killed(workshop: &Workshop) {
    let host = workshop.host();
    let killed = workshop.start(By::Root, &[SLOW]);
    host.eventually("test -e /srv/reached", REACHED);
    host.root("kill -9 $(pidof apt-get) $(pidof dpkg); rm /srv/held");
    let told = killed.end().output;
    for says in ["was ended by signal 9", "run this again"] {
        assert!(told.contains(says), "{says}: {told}");
    }

    // Half configured is not installed, and the error says what mends it.
    workshop.all_fail(
        By::Root,
        "dpkg -s slow 2>&1 | grep Status; ls /opt",
        &[
            fault(SLOW, &["dpkg was interrupted", "run `dpkg --configure -a` there"]),
            fault(
                "apt: {name: slow}",
                &["dpkg was interrupted", "run `dpkg --configure -a` there"],
            ),
        ],
    );
    host.root("dpkg --configure -a");
    workshop.succeed(QUICK);
    host.root("dpkg -s quick slow >/dev/null; test -z \"$(dpkg --audit)\"");
}

/// Without dpkg's own journal of the moment nothing has to be done by hand.
fn unconfigured(workshop: &Workshop) {
    let host = workshop.host();
    host.root("rm /srv/held; dpkg --unpack /srv/slow.deb >/dev/null");
    assert!(workshop.succeed(SLOW).changed);
    host.root("dpkg -s slow | grep 'ok installed'");
    assert!(!workshop.succeed(SLOW).changed);
}
