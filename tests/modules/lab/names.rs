//! File names as nobody should make them.

use super::workshop::{By, Workshop};

/// Files whose names shells, options, templates, YAML and UTF-8 decoders could stumble over.
const PREPARED: &str = r#"
mkdir -p /srv/odd /srv/unpacked /srv/unzipped; cd /srv/odd
for name in -rf '{{ 1 + 1 }}' "quote'\"" '$(touch ran)' ';touch ran;' 'a  b' ' lead' 'trail ' '*' 'ünï' '\backslash' '\n' \
	'#x' '~' '%s' 'x=y' '[a]' "$(printf 'new\nline')" "$(printf 'bytes\377')" "$(printf 'tab\there')"; do
	printf %s "$name" >"./$name"
done
mkdir -- "$(printf 'dir\377')" -dir; echo in >"$(printf 'dir\377')/in"
ln -s -- -rf link; ln -s "$(printf 'bytes\377')" "$(printf 'link\377')"
tar -C /srv/odd -cf /srv/odd.tar .
"#;

/// Names, kinds, link targets and contents of all that is below a folder.
const TREE: &str = "find . -printf '%P %y %l\\0' | LC_ALL=C sort -z | od -c; \
                    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum";

const ENTRIES: usize = 25;

#[test]
fn are_taken_as_they_are() {
    let workshop = Workshop::open("names", PREPARED);
    all_at_once(&workshop);
    one_by_one(&workshop);
}

fn all_at_once(workshop: &Workshop) {
    let host = workshop.host();
    let tasks = [
        "find: {paths: /srv/odd, file_type: any, recurse: true}",
        "copy: {src: /srv/odd/, dest: /srv/copied, remote_src: true}",
        "copy: {src: /srv/odd/, dest: /srv/sent, local_follow: false}",
        "archive: {path: /srv/odd/, dest: /srv/ours.tar, format: tar}",
        "unarchive: {src: /srv/odd.tar, dest: /srv/unpacked, remote_src: true}",
        "unarchive: {src: /srv/ours.tar, dest: /srv/unzipped, remote_src: true}",
        "synchronize: {src: /srv/odd/, dest: /srv/pushed}",
        "synchronize: {src: /srv/odd/, dest: /srv/pulled, mode: pull}",
    ];
    let done = workshop.run(By::Root, &tasks);
    for (task, done) in tasks.iter().zip(&done) {
        assert!(!done.failed, "{task}\n{}", done.words());
    }
    assert_eq!(done[0].result["matched"], ENTRIES);
    let tree = |folder: &str| host.root(&format!("cd /srv/{folder}; {TREE}"));
    let wanted = tree("odd");
    assert!(wanted.contains("377"), "{wanted}");
    for folder in ["copied", "sent", "unpacked", "unzipped", "pushed", "pulled"] {
        assert_eq!(tree(folder), wanted, "{folder}");
    }
    // Nothing changes again where all is as it should be.
    for (task, done) in tasks.iter().zip(workshop.run(By::Root, &tasks)).skip(1) {
        assert!(!done.changed && !done.failed, "{task}\n{}", done.words());
    }
    // A zip archive cannot keep bytes that are no text: better none than one with other names.
    let zip = workshop.run(
        By::Root,
        &["archive: {path: /srv/odd/, dest: /srv/ours.zip, format: zip}"],
    );
    assert!(
        zip[0].failed && zip[0].words().contains("is no UTF-8"),
        "{}",
        zip[0].words()
    );
    host.root("! ls /srv/ours.zip 2>/dev/null");
}

fn one_by_one(workshop: &Workshop) {
    let host = workshop.host();
    let tasks = [
        r#"stat: {path: "/srv/odd/new\nline"}"#,
        "stat: {path: !unsafe '/srv/odd/{{ 1 + 1 }}'}",
        r#"copy: {content: y, dest: "/srv/odd/new\nline"}"#,
        r#"copy: {src: "/srv/odd/quote'\"", dest: "/srv/odd/quote'\" copy", remote_src: true}"#,
        r#"copy: {src: "/srv/odd/ünï", dest: "/srv/odd/ünï copy"}"#,
        "lineinfile: {path: '/srv/odd/;touch ran;', line: x, validate: 'test -e %s'}",
        "copy: {content: z, dest: '/srv/odd/$(touch ran)', validate: 'grep -q z %s', backup: true}",
        r#"fetch: {src: "/srv/odd/new\nline", dest: /srv/fetched/, flat: true}"#,
        "fetch: {src: '/srv/odd/;touch ran;', dest: /srv/fetched/, flat: true}",
        "fetch: {src: /srv/odd/-rf, dest: /srv/fetched/, flat: true}",
        "slurp: {src: '/srv/odd/ lead'}",
        "file: {path: /srv/odd/-ln, src: -rf, state: link}",
        "file: {path: '/srv/odd/%s', state: touch, mode: '0600'}",
        "file: {path: '/srv/odd/*', state: absent}",
        "file: {path: /srv/odd/-dir, state: absent}",
    ];
    let done = workshop.run(By::Root, &tasks);
    for (task, done) in tasks.iter().zip(&done) {
        assert!(!done.failed, "{task}\n{}", done.words());
        assert!(
            done.result["stat"].is_null() || done.result["stat"]["exists"] == true,
            "{task}"
        );
    }
    assert_eq!(done[10].result["content"], "IGxlYWQ=");
    for (file, content) in [
        (r#""$(printf 'new\nline')""#, "y"),
        (r#""quote'\" copy""#, "quote'\""),
        ("'ünï copy'", "ünï"),
        ("';touch ran;'", ";touch ran;\nx\n"),
        ("'$(touch ran)'", "z"),
        ("'$(touch ran)'*~", "$(touch ran)"),
        ("../fetched/-rf", "-rf"),
        ("-ln", "-rf"),
    ] {
        assert_eq!(
            host.root(&format!("cd /srv/odd; cat ./{file}")),
            content,
            "{file}"
        );
    }
    // A star was the one file, and no name was ever a command.
    host.root(
        "cd /srv/odd; ! ls -d './*' ./-dir 2>/dev/null; test -e ./-rf; test -z \"$(find / -xdev -name ran)\"",
    );
    workshop.succeed("file: {path: /srv/odd, state: absent}");
    host.root("! ls /srv/odd 2>/dev/null");
}
