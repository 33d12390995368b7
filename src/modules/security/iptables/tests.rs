//! Rules as they reach the program, on a machine whose packet filter is a list of texts.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::modules::testing::{check_agrees, failure, run};
use crate::system::CommandOutput;
use crate::system::fake::Fake;

/// Knows rules by their text; its built-in chain INPUT has a policy.
fn machine() -> Fake {
    let fake = Fake::new();
    fake.program("/usr/sbin/iptables").program("/usr/sbin/ip6tables");
    let state: Rc<RefCell<Vec<String>>> =
        Rc::new(RefCell::new(vec!["iptables filter INPUT ACCEPT".to_owned()]));
    fake.answer_with(move |_, command| {
        let argv = &command.argv;
        let mut state = state.borrow_mut();
        let chain = argv.get(4).map_or("", String::as_str);
        let place = format!(
            "{} {} {}",
            argv[0],
            argv[2],
            argv.get(4..).unwrap_or_default().join(" ")
        );
        let chain = format!("{} {} {chain}", argv[0], argv[2]);
        let output = |code: i32, stdout: &str| CommandOutput {
            code,
            stdout: stdout.into(),
            ..CommandOutput::default()
        };
        let known = state.contains(&place);
        Some(match argv[3].as_str() {
            "-C" => output(i32::from(!known), ""),
            "-A" | "-I" | "-N" => {
                state.push(place);
                output(0, "")
            }
            "-D" | "-X" => {
                state.retain(|line| *line != place);
                output(0, "")
            }
            "-P" => {
                state[0] = place;
                output(0, "")
            }
            "-L" => match state.iter().find(|line| line.starts_with(&chain)) {
                Some(line) => output(0, &format!("Chain X (policy {})\n", line.rsplit(' ').next()?)),
                None => output(1, ""),
            },
            _ => output(0, ""),
        })
    });
    fake
}

/// The rule that a task stands for.
fn rule(arguments: &str) -> String {
    let fake = machine();
    run::<Iptables>(&fake, arguments).values["rule"].to_string()
}

#[test]
fn every_argument_has_its_place() {
    for (arguments, expected) in [
        (
            r#"{"chain":"INPUT","protocol":"tcp","source":"! 10.0.0.0/8","in_interface":"eth+","destination_port":22,
               "ctstate":["NEW"],"syn":"match","jump":"ACCEPT","comment":"ssh, only"}"#,
            "-p tcp ! -s 10.0.0.0/8 -j ACCEPT -i eth+ --destination-port 22 --syn -m conntrack --ctstate NEW \
             -m comment --comment ssh, only",
        ),
        (
            r#"{"chain":"INPUT","protocol":"tcp","tcp_flags":{"flags":"ALL","flags_set":["ACK","RST"]},"jump":"DROP"}"#,
            "-p tcp --tcp-flags ALL ACK,RST -j DROP",
        ),
        (
            r#"{"chain":"L","limit":"2/second","limit_burst":20,"log_prefix":"! in: ","log_level":"info"}"#,
            "-j LOG --log-prefix ! in:  --log-level info -m limit --limit 2/second --limit-burst 20",
        ),
        (
            r#"{"chain":"INPUT","match":"set","match_set":"!admins","match_set_flags":"src,dst","jump":"ACCEPT"}"#,
            "-m set -j ACCEPT ! --match-set admins src,dst",
        ),
        (
            r#"{"chain":"INPUT","match_set":"admins","match_set_flags":"src","src_range":"1-2","jump":"ACCEPT"}"#,
            "-j ACCEPT -m iprange --src-range 1-2 -m set --match-set admins src",
        ),
        (
            r#"{"chain":"INPUT","protocol":"tcp","reject_with":"tcp-reset","destination_ports":["80","81:83"]}"#,
            "-p tcp -m multiport --dports 80,81:83 -j REJECT --reject-with tcp-reset",
        ),
        (
            r#"{"chain":"OUTPUT","table":"mangle","set_dscp_mark":8,"jump":"DSCP","uid_owner":"!ann","fragment":"!"}"#,
            "-j DSCP ! -f --set-dscp 8 -m owner ! --uid-owner ann",
        ),
        (
            r#"{"chain":"INPUT","protocol":"icmpv6","icmp_type":"echo-request","ip_version":"ipv6","jump":"ACCEPT"}"#,
            "-p icmpv6 -j ACCEPT --icmpv6-type echo-request",
        ),
        (
            r#"{"chain":"PREROUTING","table":"nat","to_ports":8600,"jump":"REDIRECT","gid_owner":"web","gateway":"x"}"#,
            "-j REDIRECT --to-ports 8600 -m owner --gid-owner web",
        ),
    ] {
        assert_eq!(rule(arguments), expected, "{arguments}");
    }
}

#[test]
fn a_rule_comes_once_and_goes() {
    let fake = machine();
    let present =
        r#"{"chain":"INPUT","jump":"DROP","source":"1.2.3.4","action":"insert","rule_num":2,"wait":5}"#;
    let outcome = check_agrees::<Iptables>(&fake, &present.replace(r#","rule_num":2"#, ""));
    assert_eq!(
        outcome.diff[0].after,
        "iptables -t filter -I INPUT -w 5 -s 1.2.3.4 -j DROP\n"
    );
    run::<Iptables>(&fake, &present.replace("1.2.3.4", "1.2.3.5"));
    assert_eq!(
        fake.ran().last().unwrap(),
        "iptables -t filter -I INPUT 2 -w 5 -s 1.2.3.5 -j DROP"
    );
    check_agrees::<Iptables>(
        &fake,
        r#"{"chain":"INPUT","jump":"DROP","source":"1.2.3.4","wait":5,"state":"absent"}"#,
    );
}

#[test]
fn both_protocols_chains_policies_and_flushing() {
    let fake = machine();
    check_agrees::<Iptables>(&fake, r#"{"chain":"INPUT","policy":"DROP"}"#);
    check_agrees::<Iptables>(
        &fake,
        r#"{"chain":"WEB","chain_management":true,"ip_version":"both"}"#,
    );
    check_agrees::<Iptables>(
        &fake,
        r#"{"chain":"WEB","chain_management":true,"state":"absent"}"#,
    );
    let nothing = run::<Iptables>(&fake, r#"{"chain":"WEB"}"#);
    assert!(!nothing.changed && nothing.values.contains_key("warnings"));
    assert!(run::<Iptables>(&fake, r#"{"table":"nat","flush":true}"#).changed);
    let changes: Vec<String> = fake
        .ran()
        .into_iter()
        .filter(|line| !line.contains(" -L "))
        .collect();
    assert_eq!(
        changes,
        [
            "iptables -t filter -P INPUT DROP",
            "iptables -t filter -N WEB",
            "ip6tables -t filter -N WEB",
            "iptables -t filter -X WEB",
            "iptables -t nat -F"
        ]
    );
}

#[test]
fn refusals() {
    let fake = machine();
    for (arguments, part) in [
        (r#"{"jump":"DROP"}"#, "missing: chain"),
        (r#"{"chain":"X","jump":"TEE"}"#, "missing: gateway"),
        (
            r#"{"chain":"X","set_dscp_mark":8}"#,
            "required by 'set_dscp_mark': jump",
        ),
        (
            r#"{"chain":"X","jump":"DROP","log_prefix":"x"}"#,
            "Logging options can only",
        ),
        (
            r#"{"chain":"NONE","policy":"DROP"}"#,
            "Can't detect current policy",
        ),
    ] {
        let message = failure::<Iptables>(&fake, arguments);
        assert!(message.contains(part), "{arguments}: {message}");
    }
    let bare = Fake::new();
    let message = failure::<Iptables>(&bare, r#"{"chain":"INPUT","jump":"DROP"}"#);
    assert!(message.contains("`iptables` is not on the target"), "{message}");
    bare.program("/usr/sbin/iptables")
        .answer("iptables -t filter -C INPUT -j DROP", 4, "must be root");
    let message = failure::<Iptables>(&bare, r#"{"chain":"INPUT","jump":"DROP"}"#);
    assert!(
        message.contains("failed with status 4: must be root"),
        "{message}"
    );
}
