//! Links that others put into folders which all may write to: root is not led elsewhere by them.

use super::workshop::{By, Fault, Workshop, fault};

/// `deploy` has a folder of its own in a shared one, as in `/tmp`, and wants to get at what is root's.
const PREPARED: &str = r"
cd /srv; mkdir -m 700 precious; mkdir -p precious/below trees tree/sub; echo precious >precious/file; echo left >trees/new
echo first >tree/first; echo second >tree/sub/file
tar -cf trees.tar -C trees .
mkdir -m 1777 shared; mkdir shared/own; chown deploy shared/own
cat >links <<'END'
cd /srv/shared
for at in . own; do
	ln -s /srv/precious $at/folder; ln -s /srv/precious/file $at/file; ln -s /srv/shared/own/folder $at/chain
done
END
runuser -u deploy -- sh links
ln -s /srv/trees shared/rooted
cat >swap <<'END'
#!/bin/sh
# Called in between: what was looked at is not what is there any more.
[ -L /srv/shared/deep/sub ] || {
	mv /srv/shared/deep/sub /srv/shared/away && runuser -u deploy -- ln -s /srv/precious /srv/shared/deep/sub
}
END
chmod 755 swap
";

const PRECIOUS: &str = "cd /srv/precious; find . -printf '%p %y %m %u %g %s %T@\\n' | sort; cat file";

const REFUSED: &[&str] = &[
    "is a link that user 1000 has put below",
    "is not followed",
    "chown -h",
];

#[test]
fn lead_root_nowhere() {
    let workshop = Workshop::open("links", PREPARED);
    already_there(&workshop);
    between_check_and_change(&workshop);
    as_fast_as_they_can(&workshop);
}

fn already_there(workshop: &Workshop) {
    let mut faults: Vec<Fault> = Vec::new();
    for task in [
        "copy: {content: x, dest: AT/folder/new}",
        "copy: {content: x, dest: AT/folder/file}",
        "copy: {content: x, dest: AT/file, follow: true}",
        "copy: {content: x, dest: AT/chain/new}",
        "copy: {src: /srv/trees/, dest: AT/folder/}",
        "template: {src: /srv/trees/new, dest: AT/folder/new}",
        "assemble: {src: /srv/trees, dest: AT/folder/new, remote_src: true}",
        "lineinfile: {path: AT/file, line: x}",
        "blockinfile: {path: AT/folder/file, block: x}",
        "replace: {path: AT/file, regexp: p, replace: x}",
        "ini_file: {path: AT/folder/new, section: s, option: o, value: v}",
        "file: {path: AT/file, mode: '0666'}",
        "file: {path: AT/file, mode: '0666', state: file}",
        "file: {path: AT/file, owner: deploy, state: touch}",
        "file: {path: AT/folder/file, mode: '0666'}",
        "file: {path: AT/folder, state: directory, mode: '0777', recurse: true}",
        "file: {path: AT/folder/new, state: directory}",
        "file: {path: AT/folder/new, state: link, src: /etc/passwd}",
        "file: {path: AT/folder/new, state: hard, src: /srv/trees/new}",
        "file: {path: AT/folder/file, state: absent}",
        "file: {path: AT/folder/below, state: absent}",
        "tempfile: {path: AT/folder}",
        "archive: {path: /srv/trees, dest: AT/folder/new.tgz}",
        "unarchive: {src: /srv/trees.tar, dest: AT/folder, remote_src: true}",
        "synchronize: {src: /srv/trees/, dest: AT/folder}",
        "file: {path: AT/folder/file, attributes: +d}",
        "command: {cmd: touch new, chdir: AT/folder}",
        "expect: {command: touch new, chdir: AT/folder, responses: {question: nothing}}",
        "git: {repo: /srv/trees, dest: AT/folder/new, executable: /bin/true}",
        "htpasswd: {path: AT/folder/new, name: someone, password: something}",
        "authorized_key: {user: root, path: AT/folder/new, manage_dir: false, key: ssh-ed25519 \
         AAAAC3NzaC1lZDI1NTE5AAAAIP8aMbFWaFAVGG4kFsJIKvKPMpWkHHyP9Yrnv4WDDS9d}",
    ] {
        for at in ["/srv/shared", "/srv/shared/own"] {
            faults.push(fault(task.replace("AT", at), REFUSED));
        }
    }
    workshop.all_fail(By::Root, PRECIOUS, &faults);

    // Root's own lead where they lead, what is a link goes, and to its owner a link is as good as any.
    workshop.succeed("copy: {content: x, dest: /srv/shared/rooted/made}");
    workshop.succeed("file: {path: /srv/shared/file, state: absent}");
    let host = workshop.host();
    host.root("runuser -u deploy -- sh -c 'mkdir /srv/shared/mine; ln -s mine /srv/shared/own/mine; ln -s ../mine /srv/shared/own/here'");
    let own = workshop.run(By::User, &["copy: {content: x, dest: /srv/shared/own/here/made}"]);
    assert!(!own[0].failed, "{}", own[0].words());
    host.root("ls /srv/trees/made /srv/shared/mine/made; ! ls /srv/shared/file 2>/dev/null");
}

/// `validate` of the first file runs after all has been looked at and before the second is changed: no luck is needed to come
/// in between.
fn between_check_and_change(workshop: &Workshop) {
    let host = workshop.host();
    let before = host.root(PRECIOUS);
    for options in [
        "",
        "remote_src: true",
        "backup: true",
        "unsafe_writes: true",
        "mode: '0666'",
    ] {
        host.root("cd /srv/shared; rm -rf deep away; mkdir -p deep/sub; echo old >deep/sub/file; chown -R deploy deep");
        let task =
            format!("copy: {{src: /srv/tree/, dest: /srv/shared/deep/, validate: /srv/swap %s, {options}}}");
        let done = workshop.run(By::Root, &[&task]).remove(0);
        let words = done.words();
        assert!(
            done.failed && REFUSED.iter().all(|says| words.contains(says)),
            "{task}\n{words}"
        );
        let seen = host.root("cd /srv/shared; readlink deep/sub; cat deep/first away/file");
        assert_eq!(seen, "/srv/precious\nfirst\nold\n", "{task}");
        assert_eq!(host.root(PRECIOUS), before, "{task}");
    }
}

/// Somebody swaps as fast as they can while root works there; each task may fail.
fn as_fast_as_they_can(workshop: &Workshop) {
    let host = workshop.host();
    host.root(
        r"cat >/srv/race <<'END'
use strict; chdir '/srv/shared/own';
until (-e '/srv/enough') {
    mkdir 'tree'; mkdir 'tree/below'; for my $name ('plain', 'tree/file') { open my $file, '>', $name; close $file; }
    unlink 'plain'; symlink '/srv/precious/file', 'plain';
    rename 'tree', 'away'; symlink '/srv/precious', 'tree'; unlink 'tree'; unlink 'plain';
    unlink glob 'away/*'; rmdir 'away/below'; rmdir 'away';
}
END
setsid runuser -u deploy -- perl /srv/race </dev/null >/dev/null 2>&1 &",
    );
    let before = host.root(PRECIOUS);
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.extend([
            "copy: {content: mine, dest: /srv/shared/own/plain, mode: '0644'}",
            "file: {path: /srv/shared/own/plain, mode: '0666'}",
            "copy: {content: mine, dest: /srv/shared/own/tree/file, mode: '0644'}",
            "file: {path: /srv/shared/own/tree, mode: '0777', recurse: true, state: directory}",
            "file: {path: /srv/shared/own/tree, state: absent}",
        ]);
    }
    let done = workshop.run(By::Root, &tasks);
    host.root("touch /srv/enough");
    assert!(
        done.iter().any(|done| done.changed),
        "root came to nothing at all"
    );
    assert_eq!(host.root(PRECIOUS), before);
}
