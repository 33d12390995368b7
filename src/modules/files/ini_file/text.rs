//! The lines of a file in sections, and what is done to those of one option.

/// How lines of an option are written, and recognized.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is an argument of its own")]
pub(super) struct Form {
    /// No blanks around `=`.
    pub tight: bool,
    /// Blanks around `=` are no difference.
    pub lenient: bool,
    /// Comments that hold the option are lines of it.
    pub inactive: bool,
    /// Options may stand without a value.
    pub valueless: bool,
}

/// The section that is meant.
pub(super) struct Section<'a> {
    /// None for what precedes the first one.
    pub name: Option<&'a str>,
    /// Options that it has, each with these values or with any.
    pub needed: &'a [(&'a str, Vec<&'a str>)],
}

/// An option and its values.
pub(super) struct Wish<'a> {
    pub option: &'a str,
    pub values: &'a [&'a str],
}

/// A file's lines, without their ends.
pub(super) struct Text {
    lines: Vec<String>,
    /// Line ends and blanks at the end aside, it is as it was.
    untouched: bool,
    before: String,
}

/// A line of an option.
struct Line<'a> {
    active: bool,
    /// None without `=`.
    value: Option<&'a str>,
}

impl Text {
    pub(super) fn parse(text: &str) -> Self {
        // What is empty has one empty line.
        let lines = if text.is_empty() { "\n" } else { text };
        Self {
            lines: lines.lines().map(str::to_owned).collect(),
            untouched: true,
            before: text.to_owned(),
        }
    }

    /// The whole text. An end that the last line lacked is added; nothing is made of nothing.
    pub(super) fn finish(self) -> String {
        if self.untouched && self.before.is_empty() {
            return self.before;
        }
        let mut text = self.lines.join("\n");
        if !text.is_empty() || !self.lines.is_empty() {
            text.push('\n');
        }
        text
    }

    /// The lines of a section, its head first if it has one.
    fn range(&self, section: &Section) -> Option<std::ops::Range<usize>> {
        let end = |start: usize| {
            let rest = &self.lines[start..];
            start
                + rest
                    .iter()
                    .position(|line| line.starts_with('['))
                    .unwrap_or(rest.len())
        };
        let Some(name) = section.name else {
            return Some(0..end(0));
        };
        (0..self.lines.len())
            .filter(|at| heads(&self.lines[*at], name))
            .map(|at| at..end(at + 1))
            .find(|range| {
                section.needed.iter().all(|(option, values)| {
                    let has = |wanted: Option<&str>| {
                        self.lines[range.clone()].iter().any(|line| {
                            parsed(line, option).is_some_and(|found| {
                                found.active && (wanted.is_none() || found.value == wanted)
                            })
                        })
                    };
                    if values.is_empty() {
                        has(None)
                    } else {
                        values.iter().all(|value| has(Some(value)))
                    }
                })
            })
    }

    /// Removes a section with all that is in it.
    pub(super) fn remove_section(&mut self, section: &Section) -> Option<&'static str> {
        let range = self.range(section)?;
        self.lines.drain(range);
        self.untouched = false;
        Some("section removed")
    }

    /// Removes the option's lines: all of them, or (not `exclusive`) those with one of the values.
    pub(super) fn remove(&mut self, section: &Section, wish: &Wish, exclusive: bool) -> Option<&'static str> {
        let range = self.range(section)?;
        let gone: Vec<usize> = range
            .filter(|at| {
                parsed(&self.lines[*at], wish.option).is_some_and(|line| {
                    let named = line.value.is_some_and(|value| wish.values.contains(&value));
                    line.active && (exclusive || named)
                })
            })
            .collect();
        self.drop_lines(&gone).then_some("option changed")
    }

    /// Sees to it that the section is there, and in it the option with its values.
    pub(super) fn set(
        &mut self,
        section: &Section,
        wish: Option<&Wish>,
        exclusive: bool,
        form: Form,
    ) -> Option<&'static str> {
        let Some(range) = self.range(section) else {
            self.append(section, wish, form);
            return Some(if wish.is_some() {
                "section and option added"
            } else {
                "only section added"
            });
        };
        let wish = wish?;
        if wish.values.is_empty() {
            return self.set_valueless(range, wish.option);
        }
        let mut left: Vec<&str> = wish.values.to_vec();
        let mut others = Vec::new();
        let mut gone = Vec::new();
        let mut changed = false;
        for at in range.clone() {
            let Some(line) = self.option_line(at, wish.option, form) else {
                continue;
            };
            let value = line.value.unwrap_or_default();
            let active = line.active;
            let Some(place) = left.iter().position(|wanted| *wanted == value) else {
                let repeated = wish.values.contains(&value);
                match (exclusive, repeated) {
                    (true, true) => gone.push(at),
                    (true, false) => others.push(at),
                    (false, _) => {}
                }
                continue;
            };
            let wanted = left.remove(place);
            if !(active && form.lenient) {
                changed |= self.put(at, written(wish.option, wanted, form));
            }
        }
        // Those with other values make room for what is still missing.
        for at in others {
            if left.is_empty() {
                gone.push(at);
            } else {
                changed |= self.put(at, written(wish.option, left.remove(0), form));
            }
        }
        gone.sort_unstable();
        let mut place = self.behind(&range);
        place -= gone.iter().filter(|at| **at < place).count();
        changed |= self.drop_lines(&gone);
        if left.is_empty() {
            return changed.then_some("option changed");
        }
        for (offset, value) in left.into_iter().enumerate() {
            self.lines
                .insert(place + offset, written(wish.option, value, form));
        }
        self.untouched = false;
        Some("option added")
    }

    /// One line without a value: in the place of the first that has the option.
    fn set_valueless(&mut self, range: std::ops::Range<usize>, option: &str) -> Option<&'static str> {
        let form = Form {
            tight: false,
            lenient: false,
            inactive: true,
            valueless: false,
        };
        if self.lines[range.clone()].iter().any(|line| line == option) {
            return None;
        }
        let first = range
            .clone()
            .find(|at| self.option_line(*at, option, form).is_some());
        if let Some(at) = first {
            self.put(at, option.to_owned());
            return Some("option changed");
        }
        let place = self.behind(&range);
        self.lines.insert(place, option.to_owned());
        self.untouched = false;
        Some("option added")
    }

    /// What a line says of an option. A line without a value is another matter where options may stand without one.
    fn option_line(&self, at: usize, option: &str, form: Form) -> Option<Line<'_>> {
        let line = parsed(&self.lines[at], option)?;
        ((line.active || form.inactive) && !(form.valueless && line.value.is_none())).then_some(line)
    }

    /// Where a line is added to a section: behind its last option, before comments and blank lines.
    fn behind(&self, range: &std::ops::Range<usize>) -> usize {
        let filled = |at: &usize| {
            let line = self.lines[*at].trim_start();
            !line.is_empty() && !line.starts_with(['#', ';'])
        };
        range.clone().rev().find(filled).map_or(range.start, |at| at + 1)
    }

    fn append(&mut self, section: &Section, wish: Option<&Wish>, form: Form) {
        self.untouched = false;
        let name = section.name.unwrap_or_default();
        self.lines.push(format!("[{name}]"));
        let mut add = |option: &str, values: &[&str]| {
            for value in values {
                let line = written(option, value, form);
                self.lines.push(line);
            }
        };
        for (option, values) in section.needed {
            if wish.is_none_or(|wish| wish.option != *option) {
                add(option, values);
            }
        }
        if let Some(wish) = wish {
            add(wish.option, wish.values);
            if wish.values.is_empty() {
                self.lines.push(wish.option.to_owned());
            }
        }
    }

    /// Whether the line is another one now.
    fn put(&mut self, at: usize, line: String) -> bool {
        let other = self.lines[at] != line;
        self.lines[at] = line;
        self.untouched &= !other;
        other
    }

    fn drop_lines(&mut self, gone: &[usize]) -> bool {
        for at in gone.iter().rev() {
            self.lines.remove(*at);
        }
        self.untouched &= gone.is_empty();
        !gone.is_empty()
    }
}

/// Whether a line begins the section of this name; what follows the bracket does not matter.
fn heads(line: &str, name: &str) -> bool {
    line.strip_prefix('[')
        .and_then(|rest| rest.trim_start().strip_prefix(name))
        .is_some_and(|rest| rest.trim_start().starts_with(']'))
}

/// A line of this option, active or behind a comment's sign.
fn parsed<'a>(line: &'a str, option: &str) -> Option<Line<'a>> {
    let line = line.trim_matches([' ', '\t']);
    let (active, body) = match line.strip_prefix(['#', ';']) {
        Some(body) => (false, body.trim_start_matches([' ', '\t'])),
        None => (true, line),
    };
    let rest = body.strip_prefix(option)?.trim_start_matches([' ', '\t']);
    if rest.is_empty() {
        return Some(Line { active, value: None });
    }
    let value = rest.strip_prefix('=')?.trim_matches([' ', '\t']);
    Some(Line {
        active,
        value: Some(value),
    })
}

fn written(option: &str, value: &str, form: Form) -> String {
    let equals = if form.tight { "=" } else { " = " };
    format!("{option}{equals}{value}")
}
