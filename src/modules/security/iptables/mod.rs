//! `iptables`: single rules, chains and policies of the kernel's packet filter. After ansible.builtin.iptables.
//!
//! Nothing is saved for the next boot. Whether a rule is there is for the program itself to say (`-C`).

mod rule;

use crate::modules::tool::Calls;
use crate::modules::{Arg, Error, Module, Plan, Return, Rule, Spec, tool};
use crate::system::foresight::Foresight;
use crate::system::{Command, System};
use crate::value::{Map, Value};
use crate::wire::message::{Diff, Outcome};

/// Exit status where rights or the lock on the tables are lacking: says nothing of any rule.
const NO_ACCESS: i32 = 4;

const LEVELS: &[&str] = &[
    "0", "1", "2", "3", "4", "5", "6", "7", "emerg", "alert", "crit", "error", "warning", "notice", "info",
    "debug",
];

pub struct Iptables;

impl Module for Iptables {
    type Args = Map;
    type Change = Calls;
    const SPEC: Spec = Spec {
        name: "iptables",
        summary: "keep rules, chains and policies of the packet filter",
        args: &[
            Arg::str("table")
                .choices(&["filter", "nat", "mangle", "raw", "security"])
                .default("filter")
                .doc("the table"),
            Arg::str("state")
                .choices(&["absent", "present"])
                .default("present")
                .doc("whether the rule is there"),
            Arg::str("action")
                .choices(&["append", "insert"])
                .default("append")
                .doc("at which end of the chain a new rule goes"),
            Arg::str("ip_version")
                .choices(&["ipv4", "ipv6", "both"])
                .default("ipv4")
                .doc("for which protocol; `both`: the same rule in both"),
            Arg::str("chain").doc("the chain; needed but for `flush`"),
            Arg::str("rule_num").doc("the number that an inserted rule gets"),
            Arg::str("protocol").doc("`tcp`, `udp`, `icmp`...; a leading `!` inverts, here and below"),
            Arg::str("wait").doc("seconds to wait for the lock on the tables"),
            Arg::str("source").doc("address or network"),
            Arg::str("to_source").doc("new source address of SNAT"),
            Arg::str("destination").doc("address or network"),
            Arg::str("to_destination").doc("new destination address of DNAT"),
            Arg::strings("match").default("[]").doc("matches to load"),
            Arg::dict("tcp_flags")
                .options(&[
                    Arg::strings("flags").doc("those to look at"),
                    Arg::strings("flags_set").doc("those of them that are to be set"),
                ])
                .doc("flags of TCP"),
            Arg::str("jump").doc("the target: `ACCEPT`, `DROP`, a chain..."),
            Arg::str("gateway").doc("where TEE sends the copies"),
            Arg::str("log_prefix").doc("text before what LOG writes; implies `jump: LOG`"),
            Arg::str("log_level")
                .choices(LEVELS)
                .doc("level at which LOG writes; implies `jump: LOG`"),
            Arg::str("goto").doc("a chain to go on in, without coming back"),
            Arg::str("in_interface")
                .doc("the interface a packet came in by; `+` at the end: all that begin so"),
            Arg::str("out_interface").doc("the interface it leaves by"),
            Arg::str("fragment").doc("only further fragments; `!`: all but those"),
            Arg::str("set_counters").doc("initial counters of the rule: `PACKETS,BYTES`"),
            Arg::str("source_port").doc("port, service or range `FIRST:LAST`"),
            Arg::str("destination_port").doc("port, service or range `FIRST:LAST`"),
            Arg::strings("destination_ports")
                .default("[]")
                .doc("several ports or ranges"),
            Arg::str("to_ports").doc("new port of REDIRECT and its kin"),
            Arg::str("set_dscp_mark").doc("a DSCP mark"),
            Arg::str("set_dscp_mark_class").doc("a DSCP class"),
            Arg::str("comment").doc("a comment in the rule"),
            Arg::strings("ctstate")
                .default("[]")
                .doc("states of the connection: `NEW`, `ESTABLISHED`..."),
            Arg::str("src_range").doc("range of source addresses `FIRST-LAST`"),
            Arg::str("dst_range").doc("range of destination addresses"),
            Arg::str("match_set").doc("a set of ipset"),
            Arg::str("match_set_flags")
                .choices(&["src", "dst", "src,dst", "dst,src", "src,src", "dst,dst"])
                .doc("what of the packet is looked up in it"),
            Arg::str("limit").doc("average rate: `5/minute`"),
            Arg::str("limit_burst").doc("how many before the limit counts"),
            Arg::str("uid_owner").doc("user whose process sends"),
            Arg::str("gid_owner").doc("group whose process sends"),
            Arg::str("reject_with").doc("the error that REJECT answers; implies `jump: REJECT`"),
            Arg::str("icmp_type").doc("type of ICMP, by name or number"),
            Arg::str("syn")
                .choices(&["ignore", "match", "negate"])
                .default("ignore")
                .doc("packets that open a connection, or all others"),
            Arg::bool("flush")
                .default("no")
                .doc("remove all rules of the chain, or of the table; nothing else is looked at"),
            Arg::str("policy")
                .choices(&["ACCEPT", "DROP", "QUEUE", "RETURN"])
                .doc("what becomes of packets that no rule decided on"),
            Arg::bool("chain_management")
                .default("no")
                .doc("without a rule: make the chain, or remove it with `state: absent`"),
            Arg::bool("numeric")
                .default("no")
                .doc("taken without effect: names are never looked up"),
        ],
        returns: &[
            Return::new("rule", "str", "the rule as the program takes it"),
            Return::new("table", "str", "the table"),
            Return::new("chain", "str", "the chain"),
            Return::new("ip_version", "str", "the protocol"),
            Return::new("state", "str", "the state asked for"),
            Return::new("flush", "bool", "whether it was flushed"),
            Return::new("chain_management", "bool", "as given"),
            Return::new("wait", "str", "as given"),
        ],
        example: "- iptables: {chain: INPUT, protocol: tcp, destination_port: 22, ctstate: NEW, jump: ACCEPT, \
                  comment: ssh}\n\
                  - iptables: {chain: WEB, chain_management: true}\n\
                  - iptables: {chain: INPUT, policy: DROP}\n",
        free_form: None,
        rules: &[
            Rule::Exclusive(&["set_dscp_mark", "set_dscp_mark_class"]),
            Rule::Exclusive(&["flush", "policy"]),
            Rule::If("jump", "TEE", &["gateway"]),
            Rule::If("jump", "tee", &["gateway"]),
        ],
    };

    fn check(mut args: Map, system: &dyn System) -> Result<Plan<Calls>, Error> {
        rule::settle(&mut args)?;
        let flush = args["flush"] == Value::Bool(true);
        let version = args["ip_version"].to_string();
        let mut outcome = Outcome::ok().with("rule", rule::words(&args, &version).join(" "));
        for key in [
            "ip_version",
            "table",
            "chain",
            "flush",
            "state",
            "chain_management",
            "wait",
        ] {
            outcome = outcome.with(key, args[key].clone());
        }
        let mut calls = Calls::new(outcome);
        let programs = [("ipv4", "iptables"), ("ipv6", "ip6tables")];
        for (version, program) in programs
            .iter()
            .filter(|(name, _)| [name, "both"].contains(&&*version))
        {
            tool::require(system, program, "change the packet filter")?;
            let filter = Filter {
                program,
                args: &args,
                rule: rule::words(&args, version),
            };
            let found = if flush {
                Some(filter.call("-F", &[]))
            } else if let Value::Str(policy) = &args["policy"] {
                filter.policy(policy, system)?
            } else if filter.rule.is_empty() {
                filter.chain(&mut calls.outcome, system)?
            } else {
                filter.rule(system)?
            };
            if let Some(command) = found {
                calls.outcome.diff.push(shown(&command));
                calls.commands.push(command);
            }
        }
        Ok(calls.plan())
    }

    fn apply(change: Calls, system: &dyn System) -> Result<Outcome, Error> {
        change.apply(system)
    }

    fn foresee(change: &Calls) -> Foresight {
        change.foresee()
    }
}

/// A rule that goes is the left side of a difference, everything else the right.
fn shown(command: &Command) -> Diff {
    let line = format!("{}\n", shell_words::join(&command.argv));
    let removal = command.argv.iter().any(|word| word == "-D" || word == "-X");
    let (before, after) = if removal {
        (line, String::new())
    } else {
        (String::new(), line)
    };
    let header = command.argv[..3].join(" ");
    Diff {
        before_header: header.clone(),
        after_header: header,
        before,
        after,
    }
}

/// One protocol's tables and the task's wish.
struct Filter<'a> {
    program: &'a str,
    args: &'a Map,
    rule: Vec<String>,
}

impl Filter<'_> {
    fn call(&self, operation: &str, rest: &[String]) -> Command {
        let text = |name: &str| self.args[name].as_str().map(str::to_owned);
        let mut argv: Vec<String> = [self.program, "-t"].map(str::to_owned).to_vec();
        argv.extend(text("table"));
        argv.push(operation.to_owned());
        argv.extend(text("chain"));
        if operation == "-I" {
            argv.extend(text("rule_num"));
        }
        if let Some(seconds) = text("wait") {
            argv.extend(["-w".to_owned(), seconds]);
        }
        argv.extend_from_slice(rest);
        Command::new(argv)
    }

    /// What a question to the program printed; none where the answer is no.
    fn ask(&self, operation: &str, rest: &[String], system: &dyn System) -> Result<Option<String>, Error> {
        let command = self.call(operation, rest);
        let output = system.run(&command)?;
        if output.code == NO_ACCESS {
            return Err(tool::failure(&command, &output));
        }
        Ok(output.success().then(|| output.stdout_text()))
    }

    fn listing(&self, system: &dyn System) -> Result<Option<String>, Error> {
        self.ask("-L", &["--numeric".to_owned()], system)
    }

    /// `Chain INPUT (policy ACCEPT)`.
    fn policy(&self, wanted: &str, system: &dyn System) -> Result<Option<Command>, Error> {
        let listing = self.listing(system)?.unwrap_or_default();
        let now = listing
            .lines()
            .next()
            .and_then(|line| line.split_once("(policy "))
            .and_then(|(_, rest)| rest.split([' ', ')']).next())
            .ok_or_else(|| {
                Error::new("Can't detect current policy").with("chain", self.args["chain"].clone())
            })?;
        Ok((now != wanted).then(|| self.call("-P", &[wanted.to_owned()])))
    }

    fn chain(&self, outcome: &mut Outcome, system: &dyn System) -> Result<Option<Command>, Error> {
        let there = self.listing(system)?.is_some();
        let wanted = self.args["state"].as_str() == Some("present");
        if there == wanted {
            return Ok(None);
        }
        if self.args["chain_management"] != Value::Bool(true) {
            let text = "nothing to do: neither a rule nor `chain_management: true` is given".to_owned();
            outcome.values.insert("warnings".to_owned(), vec![text].into());
            return Ok(None);
        }
        Ok(Some(self.call(if wanted { "-N" } else { "-X" }, &[])))
    }

    fn rule(&self, system: &dyn System) -> Result<Option<Command>, Error> {
        let there = self.ask("-C", &self.rule, system)?.is_some();
        let wanted = self.args["state"].as_str() == Some("present");
        if there == wanted {
            return Ok(None);
        }
        let operation = match (wanted, self.args["action"].as_str()) {
            (false, _) => "-D",
            (true, Some("insert")) => "-I",
            (true, _) => "-A",
        };
        Ok(Some(self.call(operation, &self.rule)))
    }
}

#[cfg(test)]
mod tests;
