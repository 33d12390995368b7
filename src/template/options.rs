//! What a template file may choose for itself, by the arguments of `template` or in its first line: `#jinja2:`.

use std::borrow::Cow;

use minijinja::Error;
use minijinja::syntax::SyntaxConfig;

/// The options by which a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
    /// Starts and ends of blocks, variables and comments.
    pub delimiters: [(String, String); 3],
    /// What a line starts with that is a statement or a comment as a whole; empty: nothing does.
    pub line_prefixes: [String; 2],
    /// What ends a line of the template.
    pub newline: String,
}

impl Default for Options {
    fn default() -> Self {
        let pair = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        Self {
            trim_blocks: true,
            lstrip_blocks: false,
            delimiters: [pair("{%", "%}"), pair("{{", "}}"), pair("{#", "#}")],
            line_prefixes: Default::default(),
            newline: "\n".to_owned(),
        }
    }
}

/// What a template's first line starts with where it holds options.
const HEADER: &str = "#jinja2:";

impl Options {
    /// The names of all options.
    pub const NAMES: &[&str] = &[
        "trim_blocks",
        "lstrip_blocks",
        "newline_sequence",
        "block_start_string",
        "block_end_string",
        "variable_start_string",
        "variable_end_string",
        "comment_start_string",
        "comment_end_string",
        "line_statement_prefix",
        "line_comment_prefix",
    ];

    /// Sets one option by its name in Jinja.
    ///
    /// # Errors
    /// A message for what is no option.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let truth = || matches!(value.to_lowercase().as_str(), "true" | "yes" | "1");
        let [block, variable, comment] = &mut self.delimiters;
        let [line_statement, line_comment] = &mut self.line_prefixes;
        let text = match name {
            "trim_blocks" => {
                self.trim_blocks = truth();
                return Ok(());
            }
            "lstrip_blocks" => {
                self.lstrip_blocks = truth();
                return Ok(());
            }
            // Written in single quotes the escapes arrive as they are.
            "newline_sequence" => {
                self.newline = value.replace("\\r", "\r").replace("\\n", "\n");
                return Ok(());
            }
            "block_start_string" => &mut block.0,
            "block_end_string" => &mut block.1,
            "variable_start_string" => &mut variable.0,
            "variable_end_string" => &mut variable.1,
            "comment_start_string" => &mut comment.0,
            "comment_end_string" => &mut comment.1,
            "line_statement_prefix" => line_statement,
            "line_comment_prefix" => line_comment,
            "keep_trailing_newline" => return Ok(()),
            _ => return Err(format!("there is no option `{name}` of templates")),
        };
        value.clone_into(text);
        Ok(())
    }

    /// The options with those of the text's first line, and what follows it.
    pub(super) fn of_header<'t>(&self, text: &'t str) -> Result<(Cow<'_, Self>, &'t str), String> {
        let Some(rest) = text.strip_prefix(HEADER) else {
            return Ok((Cow::Borrowed(self), text));
        };
        let (line, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        let mut options = self.clone();
        for pair in line.split(',') {
            let (name, value) = pair.split_once(':').ok_or_else(|| {
                format!(
                    "Missing key-value separator `:` in the override '{}'",
                    pair.trim()
                )
            })?;
            let value = value.trim();
            let bare = value
                .strip_prefix(['\'', '"'])
                .and_then(|value| value.strip_suffix(['\'', '"']));
            options.set(name.trim(), bare.unwrap_or(value))?;
        }
        Ok((Cow::Owned(options), rest))
    }

    pub(super) fn syntax(&self) -> Result<SyntaxConfig, Error> {
        let mut builder = SyntaxConfig::builder();
        builder
            .trim_blocks(self.trim_blocks)
            .lstrip_blocks(self.lstrip_blocks)
            .keep_trailing_newline(true);
        let [line_statement, line_comment] = &self.line_prefixes;
        builder
            .line_statement_prefix(line_statement.clone())
            .line_comment_prefix(line_comment.clone());
        if self.delimiters != Self::default().delimiters {
            let [block, variable, comment] = &self.delimiters;
            builder
                .block_delimiters(block.0.clone(), block.1.clone())
                .variable_delimiters(variable.0.clone(), variable.1.clone())
                .comment_delimiters(comment.0.clone(), comment.1.clone());
        }
        builder.build()
    }
}
