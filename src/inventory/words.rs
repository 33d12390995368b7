//! A line split into words as a shell would, each with its place.

use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// The two places in which words are written differ in small ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A host's line: a backslash always escapes, `#` starts a comment even in the middle of a word.
    Inventory,
    /// `-e`: no comments, `{{ a b }}` is one word, a backslash escapes only spaces, quotes and itself.
    ExtraVars,
}

/// A word without its quotes.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    pub text: String,
    /// The word as written, quotes included.
    pub span: Span,
}

impl Word {
    /// `name=value` with the place of the value.
    pub fn assignment(&self) -> Option<(&str, &str, Span)> {
        let (name, value) = self.text.split_once('=')?;
        let raw = self.span.text();
        let at = raw.find('=').map_or(0, |at| at + 1);
        Some((name, value, self.span.part(at, raw.len())))
    }
}

/// The words of a line.
pub fn split(line: &Span, dialect: Dialect) -> Result<Vec<Word>, Diagnostic> {
    let text = line.text();
    let mut words = Vec::new();
    // The word that is being read: its start and its text so far.
    let mut word: Option<(usize, String)> = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c.is_whitespace() {
            words.extend(word.take().map(|word| finish(word, at, line)));
            continue;
        }
        if c == '#' && dialect == Dialect::Inventory {
            words.extend(word.take().map(|word| finish(word, at, line)));
            return Ok(words);
        }
        let (_, out) = word.get_or_insert_with(|| (at, String::new()));
        match c {
            '\'' | '"' => {
                let mut closed = false;
                while let Some((_, inside)) = characters.next() {
                    match inside {
                        inside if inside == c => {
                            closed = true;
                            break;
                        }
                        '\\' if c == '"' => match characters.next() {
                            Some((_, escaped @ ('"' | '\\'))) => out.push(escaped),
                            Some((_, other)) => out.extend(['\\', other]),
                            None => out.push('\\'),
                        },
                        inside => out.push(inside),
                    }
                }
                if !closed {
                    return Err(Diagnostic::error("a quote is opened here and never closed")
                        .at(&line.part(at, at + 1))
                        .hint(format!(
                            "close it with {c}, or put the whole value between the other kind of quotes"
                        )));
                }
            }
            '\\' => match characters.peek().copied() {
                Some((_, next)) if dialect == Dialect::Inventory || escapable(next) => {
                    out.push(next);
                    characters.next();
                }
                _ => out.push('\\'),
            },
            '{' if dialect == Dialect::ExtraVars && text[at..].starts_with("{{") => {
                let end = text[at..].find("}}").map_or(text.len(), |end| at + end + 2);
                out.push_str(&text[at..end]);
                while characters.next_if(|(next, _)| *next < end).is_some() {}
            }
            c => out.push(c),
        }
    }
    words.extend(word.map(|word| finish(word, text.len(), line)));
    Ok(words)
}

fn escapable(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\'' | '"' | '\\')
}

fn finish((start, text): (usize, String), end: usize, line: &Span) -> Word {
    Word {
        text,
        span: line.part(start, end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn words(text: &str, dialect: Dialect) -> Vec<String> {
        split(&Span::whole(&Source::new("t", text)), dialect)
            .unwrap()
            .into_iter()
            .map(|word| word.text)
            .collect()
    }

    #[test]
    fn splits_host_lines() {
        let cases: &[(&str, &[&str])] = &[
            ("h x=1", &["h", "x=1"]),
            (r#"q="23" qq='"23"'"#, &["q=23", "qq=\"23\""]),
            (r"p=C:\new", &["p=C:new"]),
            ("a=1#c b=2", &["a=1"]),
            ("a='# x'", &["a=# x"]),
            (r#"a="x\"y\z""#, &[r#"a=x"y\z"#]),
            ("a=''", &["a="]),
            ("# all", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text, Dialect::Inventory), *expected, "{text}");
        }
    }

    #[test]
    fn splits_extra_vars() {
        let cases: &[(&str, &[&str])] = &[
            ("a=1 b='x y'", &["a=1", "b=x y"]),
            ("a={{ b + c }}-x d=#1", &["a={{ b + c }}-x", "d=#1"]),
            (r"p=C:\new q=a\ b", &[r"p=C:\new", "q=a b"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text, Dialect::ExtraVars), *expected, "{text}");
        }
    }

    #[test]
    fn knows_places() {
        let source = Source::new("t", "h é='a b'");
        let words = split(&Span::whole(&source), Dialect::Inventory).unwrap();
        let (name, value, span) = words[1].assignment().unwrap();
        assert_eq!((name, value, span.text()), ("é", "a b", "'a b'"));
        let error = split(&Span::whole(&Source::new("t", "h a='b")), Dialect::Inventory).unwrap_err();
        assert_eq!(
            error.to_string(),
            "t:1:5: a quote is opened here and never closed"
        );
    }
}
