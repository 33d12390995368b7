//! A network that is dead: refused, unknown, silent, cut off.

use super::workshop::{By, Workshop, fault};

/// A server of files that says nothing, stops half-way and waits, or stops half-way and is gone.
const PREPARED: &str = r#"
cat >/srv/server <<'END'
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8099, Listen => 5, ReuseAddr => 1) or die;
$SIG{CHLD} = "IGNORE";
open my $ready, ">", "/srv/ready";
while (my $client = $server->accept) {
    next if fork;
    my $asked = <$client>;
    while (<$client> =~ /\S/) {}
    sleep 60 if $asked =~ m{/silent};
    print $client "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "x" x 500000;
    $client->flush;
    sleep 60 if $asked =~ m{/stalled};
    exit if $asked =~ m{/cut};
    print $client "x" x 500000;
    exit;
}
END
perl /srv/server >/dev/null 2>&1 &
until [ -e /srv/ready ]; do sleep 0.1; done
echo old >/srv/there; mkdir /srv/unpacked
"#;

const STATE: &str = "cd /srv; ls -l; cat there; ls -A unpacked /tmp /var/tmp; ls /var/cache/apt/archives";

#[test]
fn says_what_could_not_be_reached_and_keeps_what_is_there() {
    let workshop = Workshop::open("network", PREPARED);
    let faults = [
        fault(
            "get_url: {url: 'http://127.0.0.1:1/x', dest: /srv/got}",
            &["http://127.0.0.1:1/x", "Connection refused"],
        ),
        fault(
            "get_url: {url: 'http://no-such-host.invalid/x', dest: /srv/got, timeout: 5}",
            &[
                "http://no-such-host.invalid/x",
                "the name `no-such-host.invalid` is not known",
            ],
        ),
        fault(
            "get_url: {url: 'http://127.0.0.1:8099/silent', dest: /srv/got, timeout: 1}",
            &["http://127.0.0.1:8099/silent", "no answer within 1 seconds"],
        ),
        fault(
            "get_url: {url: 'https://127.0.0.1:8099/silent', dest: /srv/got, timeout: 1}",
            &["https://127.0.0.1:8099/silent", "no answer within 1 seconds"],
        ),
        fault(
            "get_url: {url: 'http://127.0.0.1:8099/stalled', dest: /srv/got, timeout: 1}",
            &[
                "/srv/got",
                "http://127.0.0.1:8099/stalled",
                "no answer within 1 seconds",
            ],
        ),
        fault(
            "get_url: {url: 'http://127.0.0.1:8099/cut', dest: /srv/got}",
            &[
                "/srv/got",
                "http://127.0.0.1:8099/cut",
                "the answer ended before it was complete",
            ],
        ),
        fault(
            "get_url: {url: 'http://127.0.0.1:8099/cut', dest: /srv/there, force: true, backup: true}",
            &[
                "/srv/there",
                "http://127.0.0.1:8099/cut",
                "the answer ended before it was complete",
            ],
        ),
        fault(
            "get_url: {url: 'http://127.0.0.1:8099/cut', dest: /srv/there, unsafe_writes: true}",
            &["/srv/there", "the answer ended before it was complete"],
        ),
        fault(
            "get_url: {url: 'http://127.0.0.1:8099/whole', dest: /srv/there, checksum: 'sha256:00', backup: true}",
            &["/srv/there", "did not match 00"],
        ),
        fault(
            "uri: {url: 'http://127.0.0.1:1/x', dest: /srv/got}",
            &["http://127.0.0.1:1/x", "Connection refused"],
        ),
        fault(
            "uri: {url: 'http://no-such-host.invalid/x', timeout: 5}",
            &["the name `no-such-host.invalid` is not known"],
        ),
        fault(
            "uri: {url: 'http://127.0.0.1:8099/silent', timeout: 1}",
            &["http://127.0.0.1:8099/silent", "no answer within 1 seconds"],
        ),
        fault(
            "uri: {url: 'http://127.0.0.1:8099/stalled', dest: /srv/there, timeout: 1}",
            &["http://127.0.0.1:8099/stalled", "no answer within 1 seconds"],
        ),
        fault(
            "uri: {url: 'http://127.0.0.1:8099/cut', dest: /srv/there}",
            &[
                "http://127.0.0.1:8099/cut",
                "the answer ended before it was complete",
            ],
        ),
        fault(
            "unarchive: {src: 'http://127.0.0.1:8099/cut', dest: /srv/unpacked, remote_src: true}",
            &[
                "http://127.0.0.1:8099/cut",
                "the answer ended before it was complete",
            ],
        ),
        fault(
            "apt: {deb: 'http://127.0.0.1:8099/cut.deb'}",
            &[
                "http://127.0.0.1:8099/cut.deb",
                "the answer ended before it was complete",
            ],
        ),
    ];
    workshop.all_fail(By::Root, STATE, &faults);
    workshop.succeed("get_url: {url: 'http://127.0.0.1:8099/whole', dest: /srv/there}");
    assert_eq!(workshop.host().root("stat -c %s /srv/there"), "1000000\n");
}
