//! The INI format of inventories.
//!
//! It is no general INI: a line is a host with its variables, a variable, or a child, depending on the
//! section. Values are Python literals where they can be read as such, and texts otherwise.

use std::sync::Arc;

use super::graph::{Graph, UNGROUPED};
use super::words::{self, Dialect};
use super::{address, literal};
use crate::diagnostic::Diagnostic;
use crate::source::{Source, Span};
use crate::value::Value;
use crate::yaml::{Entry, Kind, Node};

/// What the lines of a section are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Hosts,
    Variables,
    Children,
}

/// What follows the colon of a section's name.
const CONTENTS: [(&str, Content); 3] = [
    ("hosts", Content::Hosts),
    ("vars", Content::Variables),
    ("children", Content::Children),
];

/// Adds what a text says to a graph. After an error the graph is of no use.
pub fn parse(source: &Arc<Source>, graph: &mut Graph) -> Result<(), Diagnostic> {
    let mut reader = Reader {
        graph,
        group: UNGROUPED.to_owned(),
        content: Content::Hosts,
        variables: Vec::new(),
        children: Vec::new(),
        mentions: Vec::new(),
    };
    let mut start = 0;
    for text in source.text().split_inclusive('\n') {
        let line = trimmed(&Span::new(source, start, start + text.len()));
        start += text.len();
        if !line.text().is_empty() && !line.text().starts_with(['#', ';']) {
            reader.line(&line)?;
        }
    }
    reader.finish()
}

/// A span without the white space at its ends.
fn trimmed(span: &Span) -> Span {
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let text = span.text();
    let start = text.len() - text.trim_start_matches(blank).len();
    span.part(start, start.max(text.trim_end_matches(blank).len()))
}

struct Reader<'a> {
    graph: &'a mut Graph,
    group: String,
    content: Content,
    // What may precede the declaration of its group waits for the end.
    variables: Vec<(String, String, Node)>,
    children: Vec<(String, Span)>,
    mentions: Vec<(String, Span)>,
}

impl Reader<'_> {
    fn line(&mut self, line: &Span) -> Result<(), Diagnostic> {
        if line.text().starts_with('[') && !is_ipv6_host(line.text()) {
            return self.section(line);
        }
        match self.content {
            Content::Hosts => self.host(line),
            Content::Variables => self.variable(line),
            Content::Children => {
                let name = without_comment(line);
                if name
                    .text()
                    .contains(|c: char| c.is_whitespace() || ":]".contains(c))
                {
                    return Err(Diagnostic::error(format!(
                        "expected the name of a group, got `{}`",
                        name.text()
                    ))
                    .at(&name)
                    .hint("a `:children` section names one group per line"));
                }
                self.children.push((self.group.clone(), name));
                Ok(())
            }
        }
    }

    fn section(&mut self, line: &Span) -> Result<(), Diagnostic> {
        let wrong = |line: &Span| {
            Diagnostic::error(format!("`{}` is not the head of a section", line.text()))
                .at(line)
                .hint("write [group], [group:vars] or [group:children], without spaces inside")
        };
        let head = without_comment(line);
        let inside = head
            .text()
            .strip_prefix('[')
            .and_then(|head| head.strip_suffix(']'))
            .filter(|inside| !inside.contains(|c: char| c.is_whitespace() || c == ']'))
            .ok_or_else(|| wrong(line))?;
        let (group, kind) = inside.split_once(':').unwrap_or((inside, "hosts"));
        if group.is_empty() {
            return Err(wrong(line));
        }
        let Some((_, content)) = CONTENTS.into_iter().find(|(name, _)| *name == kind) else {
            let at = head.part(group.len() + 2, head.text().len() - 1);
            return Err(Diagnostic::error(format!("`{kind}` is not a kind of section"))
                .at(&at)
                .nearest(kind, CONTENTS.iter().map(|(name, _)| *name))
                .hint("the kinds are [group], [group:vars] and [group:children]"));
        };
        let name = head.part(1, 1 + group.len());
        self.content = content;
        if content == Content::Variables {
            self.group = self.graph.spelled(group);
            self.mentions
                .push((format!("[{inside}] sets variables of"), name));
        } else {
            self.group = self.graph.add_group(group);
        }
        Ok(())
    }

    fn host(&mut self, line: &Span) -> Result<(), Diagnostic> {
        let words = words::split(line, Dialect::Inventory)?;
        let Some((first, assignments)) = words.split_first() else {
            return Ok(());
        };
        if first.text == "---" {
            return Err(Diagnostic::error("`---` cannot be the name of a host")
                .at(&first.span)
                .hint("if this file is YAML, give it a name that ends with `.yml`"));
        }
        let address = address::parse(&first.text, &first.span)?;
        let mut variables = Vec::with_capacity(assignments.len() + 1);
        variables.extend(address.variable(&first.span));
        for word in assignments {
            let (name, value, place) = word.assignment().filter(|(name, ..)| !name.is_empty()).ok_or_else(|| {
                Diagnostic::error(format!("expected `name=value` after the host, got `{}`", word.text))
                    .at(&word.span)
                    .hint("a host's variables are `name=value` without spaces around the `=`; a value with spaces needs quotes")
            })?;
            variables.push((name, value_node(value, &place)));
        }
        for host in &address.hosts {
            self.graph.add_to_group(host, &self.group);
            for (name, node) in &variables {
                self.graph.set_host_variable(host, name, node.clone().into());
            }
        }
        Ok(())
    }

    fn variable(&mut self, line: &Span) -> Result<(), Diagnostic> {
        let text = line.text();
        let Some((name, _)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Diagnostic::error(format!("expected `name=value`, got `{text}`"))
                .at(line)
                .hint(format!(
                    "the section [{}:vars] holds one variable per line",
                    self.group
                )));
        };
        let place = trimmed(&line.part(name.len() + 1, text.len()));
        let node = value_node(place.text(), &place);
        self.variables
            .push((self.group.clone(), name.trim().to_owned(), node));
        Ok(())
    }

    fn finish(self) -> Result<(), Diagnostic> {
        let graph = self.graph;
        let children = self
            .children
            .iter()
            .map(|(parent, child)| (format!("[{parent}:children] names"), child.clone()));
        for (what, place) in self.mentions.into_iter().chain(children) {
            let group = place.text();
            let spelled = graph.spelled(group);
            if !graph.groups().contains_key(&spelled) {
                return Err(
                    Diagnostic::error(format!("{what} the group `{group}`, which is not declared"))
                        .at(&place)
                        .nearest(group, graph.groups().keys().map(String::as_str))
                        .hint(format!("declare it with a section [{group}]; it may be empty")),
                );
            }
        }
        for (parent, child) in self.children {
            let name = graph.spelled(child.text());
            add_child(graph, &parent, &name, &child)?;
        }
        for (group, name, node) in self.variables {
            graph.set_group_variable(&group, &name, node.into());
        }
        Ok(())
    }
}

/// Puts a group under another, or says at `place` why that cannot be.
pub fn add_child(graph: &mut Graph, parent: &str, child: &str, place: &Span) -> Result<(), Diagnostic> {
    graph.add_child(parent, child).map_err(|_| {
        let why = if parent == child {
            "itself".to_owned()
        } else {
            format!("`{child}`, which holds `{parent}`")
        };
        Diagnostic::error(format!("the group `{parent}` cannot hold {why}")).at(place)
    })
}

/// `[fe80::1]:22` starts a host's line, not a section.
fn is_ipv6_host(line: &str) -> bool {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(inside, _)| inside.parse::<std::net::Ipv6Addr>().is_ok())
        // A range may start a name too.
        || line.split_whitespace().next().is_some_and(|word| {
            word.find(']').is_some_and(|end| end + 1 < word.len() && word.as_bytes()[end + 1] != b'#')
        })
}

fn without_comment(line: &Span) -> Span {
    let end = line.text().find('#').unwrap_or(line.text().len());
    trimmed(&line.part(0, end))
}

/// A value of this format, which may hold templates wherever it holds texts.
fn value_node(text: &str, place: &Span) -> Node {
    match literal::evaluate(text) {
        Some(value) => node(&value, place),
        None => Node::text(text, place),
    }
}

fn node(value: &Value, place: &Span) -> Node {
    match value {
        Value::Str(text) => Node::text(text, place),
        Value::List(items) => Node::new(
            Kind::List(items.iter().map(|item| node(item, place)).collect()),
            place,
        ),
        Value::Map(map) => {
            let entry = |item| Entry {
                key: place.clone(),
                value: node(item, place),
            };
            let map = map
                .iter()
                .map(|(name, item)| (name.clone(), entry(item)))
                .collect();
            Node::new(Kind::Map(Arc::new(map)), place)
        }
        scalar => Node::new(Kind::Scalar(scalar.clone()), place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::graph::ALL;
    use crate::template::{Names, Variable};

    fn graph(text: &str) -> Graph {
        let mut graph = Graph::default();
        parse(&Source::new("hosts.ini", text), &mut graph)
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        graph
    }

    fn error(text: &str) -> String {
        let error = parse(&Source::new("hosts.ini", text), &mut Graph::default()).unwrap_err();
        error.render(false)
    }

    fn json(names: &Names) -> String {
        let map: crate::value::Map = names
            .iter()
            .map(|(name, variable)| match variable {
                Variable::Node(node) => (name.clone(), node.to_value()),
                other => panic!("{other:?}"),
            })
            .collect();
        serde_json::to_string(&Value::Map(map)).unwrap()
    }

    #[test]
    fn values_of_a_host_line() {
        let graph =
            graph(r#"h x=1 q="23" qq='"23"' p=C:\new m=yes n=None l=[1,2] d={"a":1} e= t='{{ y }}' o=1#c"#);
        assert_eq!(
            json(&graph.hosts()["h"].variables),
            r#"{"x":1,"q":23,"qq":"23","p":"C:new","m":"yes","n":null,"l":[1,2],"d":"{a:1}","e":"","t":"{{ y }}","o":1}"#
        );
    }

    #[test]
    fn values_of_a_group() {
        let graph = graph(
            "[web:vars]\na=\"23\"\nb = foo # c\nc={\"a\": 1}\nd={\"a\": true}\ne=\nf=0644\ng=0o17\nh=1e3\ni=1_000\nj=True\nk=FALSE\n; l=1\nm=x=y\n[web]\n",
        );
        assert_eq!(
            json(&graph.groups()["web"].variables),
            r#"{"a":"23","b":"foo # c","c":{"a":1},"d":"{\"a\": true}","e":"","f":"0644","g":15,"h":1000.0,"i":1000,"j":true,"k":"FALSE","m":"x=y"}"#
        );
    }

    #[test]
    fn values_know_their_place() {
        let graph = graph("[web]\nh  é='a b'\n[web:vars]\n name =  value \n");
        let place = |variable: &Variable| match variable {
            Variable::Node(node) => format!("{} {}", node.span, node.span.text()),
            other => panic!("{other:?}"),
        };
        assert_eq!(place(&graph.hosts()["h"].variables["é"]), "hosts.ini:2:6 'a b'");
        assert_eq!(
            place(&graph.groups()["web"].variables["name"]),
            "hosts.ini:4:10 value"
        );
    }

    #[test]
    fn groups_hosts_and_children() {
        let graph = graph(
            "\u{feff}plain\n[web] # the front\nw[1:2]:2222 a=1 # more\n\n[top:children]\nweb # below\ndb\n[db]\n[fe80::1]:22\n[a:b].example.com\n[web]\nw3\n",
        );
        assert_eq!(graph.group_hosts("web"), ["w1", "w2", "w3"]);
        assert_eq!(
            graph.group_hosts("top"),
            ["w1", "w2", "w3", "fe80::1", "a.example.com", "b.example.com"]
        );
        assert_eq!(graph.group_hosts(ALL)[0], "plain");
        assert_eq!(
            json(&graph.hosts()["w2"].variables),
            r#"{"ansible_port":2222,"a":1}"#
        );
        assert_eq!(
            graph.groups().keys().collect::<Vec<_>>(),
            ["all", "ungrouped", "web", "top", "db"]
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        insta::assert_snapshot!(error("[web:vars]\na=1\n[wev]\n"), @r"
        error: [web:vars] sets variables of the group `web`, which is not declared
         --> hosts.ini:1:2
          |
        1 | [web:vars]
          |  ^^^
          |
          = help: did you mean `wev`?
          = help: declare it with a section [web]; it may be empty
        ");
        insta::assert_snapshot!(error("[top:children]\n  web\n"), @r"
        error: [top:children] names the group `web`, which is not declared
         --> hosts.ini:2:3
          |
        2 |   web
          |   ^^^
          |
          = help: declare it with a section [web]; it may be empty
        ");
        insta::assert_snapshot!(error("[a:children]\nb\n[b:children]\na\n"), @r"
        error: the group `b` cannot hold `a`, which holds `b`
         --> hosts.ini:4:1
          |
        4 | a
          | ^
        ");
        insta::assert_snapshot!(error("[web server]\n"), @r"
        error: `[web server]` is not the head of a section
         --> hosts.ini:1:1
          |
        1 | [web server]
          | ^^^^^^^^^^^^
          |
          = help: write [group], [group:vars] or [group:children], without spaces inside
        ");
        insta::assert_snapshot!(error("[web:var]\n"), @r"
        error: `var` is not a kind of section
         --> hosts.ini:1:6
          |
        1 | [web:var]
          |      ^^^
          |
          = help: did you mean `vars`?
          = help: the kinds are [group], [group:vars] and [group:children]
        ");
        insta::assert_snapshot!(error("h a = 1\n"), @r"
        error: expected `name=value` after the host, got `a`
         --> hosts.ini:1:3
          |
        1 | h a = 1
          |   ^
          |
          = help: a host's variables are `name=value` without spaces around the `=`; a value with spaces needs quotes
        ");
        insta::assert_snapshot!(error("[web]\n[web:vars]\nport 80\n"), @r"
        error: expected `name=value`, got `port 80`
         --> hosts.ini:3:1
          |
        3 | port 80
          | ^^^^^^^
          |
          = help: the section [web:vars] holds one variable per line
        ");
        insta::assert_snapshot!(error("---\nall:\n"), @r"
        error: `---` cannot be the name of a host
         --> hosts.ini:1:1
          |
        1 | ---
          | ^^^
          |
          = help: if this file is YAML, give it a name that ends with `.yml`
        ");
        insta::assert_snapshot!(error("h a='b\n"), @r"
        error: a quote is opened here and never closed
         --> hosts.ini:1:5
          |
        1 | h a='b
          |     ^
          |
          = help: close it with ', or put the whole value between the other kind of quotes
        ");
        insta::assert_snapshot!(error("[a:children]\nb c\n"), @r"
        error: expected the name of a group, got `b c`
         --> hosts.ini:2:1
          |
        2 | b c
          | ^^^
          |
          = help: a `:children` section names one group per line
        ");
    }
}
