//! A rule's arguments as iptables(8) takes them, in an order in which it understands them: matches before their options.

use crate::modules::Error;
use crate::value::{Map, Value};

/// What follows from other arguments: the target, and what has to be there with what.
pub(super) fn settle(args: &mut Map) -> Result<(), Error> {
    let given = |args: &Map, name: &str| args[name] != Value::Null;
    if args["flush"] == Value::Bool(false) && !given(args, "chain") {
        return Err(Error::new(
            "flush is False but all of the following are missing: chain",
        ));
    }
    for mark in ["set_dscp_mark", "set_dscp_mark_class"] {
        if given(args, mark) && !given(args, "jump") {
            return Err(Error::new(format!(
                "missing parameter(s) required by '{mark}': jump"
            )));
        }
    }
    if given(args, "log_prefix") || given(args, "log_level") {
        match args["jump"].as_str() {
            None => args["jump"] = "LOG".into(),
            Some("LOG") => {}
            Some(_) => {
                return Err(Error::new(
                    "Logging options can only be used with the LOG jump target.",
                ));
            }
        }
    }
    Ok(())
}

/// The words that make up the rule; none where the task has no rule.
pub(super) fn words(args: &Map, version: &str) -> Vec<String> {
    let mut rule = Rule {
        args,
        words: Vec::new(),
    };
    rule.basics();
    rule.targets();
    rule.interfaces_and_ports();
    rule.marks();
    rule.matches();
    rule.endings(version);
    rule.words
}

struct Rule<'a> {
    args: &'a Map,
    words: Vec<String>,
}

impl<'a> Rule<'a> {
    fn text(&self, name: &str) -> Option<&'a str> {
        self.args[name].as_str().filter(|text| !text.is_empty())
    }

    fn list(&self, name: &str) -> Vec<String> {
        match &self.args[name] {
            Value::List(items) => items.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }

    fn push(&mut self, words: &[&str]) {
        self.words.extend(words.iter().map(|&word| word.to_owned()));
    }

    /// `FLAG VALUE`, or `! FLAG VALUE`.
    fn option(&mut self, name: &str, flag: &str) {
        match self.text(name).map(|text| (text, text.strip_prefix('!'))) {
            Some((_, Some(inverted))) => self.push(&["!", flag, inverted.trim_start()]),
            Some((text, None)) => self.push(&[flag, text]),
            None => {}
        }
    }

    /// A free text: a `!` in it means nothing.
    fn literal(&mut self, name: &str, flag: &str) {
        if let Some(text) = self.text(name) {
            self.push(&[flag, text]);
        }
    }

    fn csv(&mut self, name: &str, flag: &str) {
        let list = self.list(name).join(",");
        if !list.is_empty() {
            self.push(&[flag, &list]);
        }
    }

    fn loads(&self, name: &str) -> bool {
        self.list("match").iter().any(|loaded| loaded == name)
    }

    fn basics(&mut self) {
        self.option("protocol", "-p");
        self.option("source", "-s");
        self.option("destination", "-d");
        for name in self.list("match") {
            match name.strip_prefix('!') {
                Some(inverted) => self.push(&["!", "-m", inverted]),
                None => self.push(&["-m", &name]),
            }
        }
        let Value::Map(flags) = &self.args["tcp_flags"] else {
            return;
        };
        let side = |name: &str| match flags.get(name) {
            Some(Value::List(items)) => Some(
                items
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
            ),
            Some(Value::Null) | None => None,
            Some(text) => Some(text.to_string()),
        };
        if let (Some(looked_at), Some(set)) = (side("flags"), side("flags_set")) {
            self.push(&["--tcp-flags", &looked_at, &set]);
        }
    }

    fn targets(&mut self) {
        self.option("jump", "-j");
        if self
            .text("jump")
            .is_some_and(|jump| jump.eq_ignore_ascii_case("tee"))
        {
            self.option("gateway", "--gateway");
        }
        self.literal("log_prefix", "--log-prefix");
        self.option("log_level", "--log-level");
        self.option("to_destination", "--to-destination");
        if !self.list("destination_ports").is_empty() {
            self.push(&["-m", "multiport"]);
            self.csv("destination_ports", "--dports");
        }
        self.option("to_source", "--to-source");
        self.option("goto", "-g");
    }

    fn interfaces_and_ports(&mut self) {
        self.option("in_interface", "-i");
        self.option("out_interface", "-o");
        match self.text("fragment") {
            Some(text) if text.starts_with('!') => self.push(&["!", "-f"]),
            Some(_) => self.push(&["-f"]),
            None => {}
        }
        self.option("set_counters", "-c");
        self.option("source_port", "--source-port");
        self.option("destination_port", "--destination-port");
        self.option("to_ports", "--to-ports");
    }

    fn marks(&mut self) {
        for (name, flag) in [
            ("set_dscp_mark", "--set-dscp"),
            ("set_dscp_mark_class", "--set-dscp-class"),
        ] {
            self.option(name, flag);
            let jump = self.text("jump").unwrap_or_default();
            if self.text(name).is_some() && !jump.eq_ignore_ascii_case("dscp") {
                self.push(&["-j", "DSCP"]);
            }
        }
        match self.text("syn") {
            Some("match") => self.push(&["--syn"]),
            Some("negate") => self.push(&["!", "--syn"]),
            _ => {}
        }
    }

    /// Options of matches, which are loaded where the task does not do so itself.
    fn matches(&mut self) {
        if self.loads("conntrack") {
            self.csv("ctstate", "--ctstate");
        } else if self.loads("state") {
            self.csv("ctstate", "--state");
        } else if !self.list("ctstate").is_empty() {
            self.push(&["-m", "conntrack"]);
            self.csv("ctstate", "--ctstate");
        }
        self.loaded(
            "iprange",
            &[("src_range", "--src-range"), ("dst_range", "--dst-range")],
        );
        self.loaded("set", &[("match_set", "--match-set")]);
        if self.text("match_set").is_some() || self.loads("set") {
            let flags = self.text("match_set_flags").unwrap_or_default();
            self.push(if flags.is_empty() {
                &[]
            } else {
                std::slice::from_ref(&flags)
            });
        }
        for (name, options) in [
            (
                "limit",
                &[("limit", "--limit"), ("limit_burst", "--limit-burst")][..],
            ),
            ("owner", &[("uid_owner", "--uid-owner")]),
            ("owner", &[("gid_owner", "--gid-owner")]),
        ] {
            if options.iter().any(|(name, _)| self.text(name).is_some()) {
                self.push(&["-m", name]);
                self.options(options);
            }
        }
    }

    fn options(&mut self, options: &[(&str, &str)]) {
        for (name, flag) in options {
            self.option(name, flag);
        }
    }

    fn loaded(&mut self, name: &str, options: &[(&str, &str)]) {
        if !self.loads(name) && options.iter().any(|(name, _)| self.text(name).is_some()) {
            self.push(&["-m", name]);
        }
        self.options(options);
    }

    fn endings(&mut self, version: &str) {
        if self.text("jump").is_none() && self.text("reject_with").is_some() {
            self.push(&["-j", "REJECT"]);
        }
        self.option("reject_with", "--reject-with");
        let icmp = if version == "ipv6" {
            "--icmpv6-type"
        } else {
            "--icmp-type"
        };
        self.option("icmp_type", icmp);
        if self.text("comment").is_some() {
            self.push(&["-m", "comment"]);
            self.literal("comment", "--comment");
        }
    }
}
