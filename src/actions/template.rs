//! `template`: rendered here, put in place there.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::copy::{lent, mode_of, place_single};
use super::{Action, Done, Failure, Invocation, Pending};
use crate::diagnostic::Diagnostic;
use crate::modules::{Arg, Return, Spec};
use crate::template::{self, Options};
use crate::value::Value;

pub struct Template;

static SPEC: Spec = Spec {
    name: "template",
    summary: "render a template and put it into a file on the target",
    args: &[
        Arg::path("src")
            .required()
            .doc("the template, looked up in `templates/`"),
        Arg::path("dest").required().doc("file or folder on the target"),
        Arg::mode("mode").doc("permissions of the file"),
        Arg::str("owner").doc("who owns the file"),
        Arg::str("group").doc("the group that owns the file"),
        Arg::bool("backup").default("no").doc("keep what was there"),
        Arg::bool("force").default("yes").doc("replace what is there"),
        Arg::bool("follow").default("no").doc("write through links"),
        Arg::str("validate").doc("a command that judges %s before it is used"),
        Arg::str("newline_sequence")
            .choices(&["\n", "\r", "\r\n", "\\n", "\\r", "\\r\\n"])
            .default("\n")
            .doc("what ends a line"),
        Arg::str("block_start_string").doc("instead of `{%`"),
        Arg::str("block_end_string").doc("instead of `%}`"),
        Arg::str("variable_start_string").doc("instead of `{{`"),
        Arg::str("variable_end_string").doc("instead of `}}`"),
        Arg::str("comment_start_string").doc("instead of `{#`"),
        Arg::str("comment_end_string").doc("instead of `#}`"),
        Arg::bool("trim_blocks")
            .default("yes")
            .doc("drop the newline after a block"),
        Arg::bool("lstrip_blocks")
            .default("no")
            .doc("drop the blanks in front of a block"),
        Arg::str("output_encoding").default("utf-8").doc("of the file"),
        Arg::bool("unsafe_writes").doc("write in place where a file cannot be replaced"),
        Arg::str("attributes")
            .aliases(&["attr"])
            .doc("flags as for chattr"),
        Arg::str("seuser").doc("accepted with a warning"),
        Arg::str("serole").doc("accepted with a warning"),
        Arg::str("setype").doc("accepted with a warning"),
        Arg::str("selevel").doc("accepted with a warning"),
    ],
    returns: &[
        Return::new("dest", "str", "the file"),
        Return::new("checksum", "str", "SHA-1 of its content"),
        Return::new("md5sum", "str", "MD5 of its content").when("it was changed"),
        Return::new("src", "str", "what was placed").when("it was changed"),
        Return::new("mode", "str", "permission bits, octal"),
        Return::new("owner", "str", "its user"),
        Return::new("group", "str", "its group"),
        Return::new("size", "int", "bytes"),
        Return::new("uid", "int", "its user's number"),
        Return::new("gid", "int", "its group's number"),
        Return::new("state", "str", "`file`, `directory`, `link` or `hard`"),
        Return::new("secontext", "str", "its SELinux label").when("there is SELinux"),
        Return::new("backup_file", "str", "where the earlier file is kept")
            .when("backup, and it was changed"),
    ],
    example: "- template:\n    src: app.conf.j2\n    dest: /etc/app/app.conf\n    owner: app\n    mode: '0640'\n    validate: app --check %s\n",
    free_form: None,
    rules: &[],
};

impl Action for Template {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move {
            let path = task.find_file("templates", "src", &task.arguments["src"].to_string())?;
            let (name, bytes) = render(&task, &path)?;
            let bytes: Arc<[u8]> = bytes.into();
            let mut arguments = lent(&task.arguments);
            if arguments.get("mode").and_then(Value::as_str) == Some("preserve") {
                let mode = mode_of(&path).map(Value::from);
                arguments.insert("mode".to_owned(), mode.unwrap_or_default());
            }
            let mut done = place_single(&task, arguments, &name, &bytes).await?;
            if done.outcome.changed {
                let src = task.arguments["src"].clone();
                done.outcome.values.entry("src".to_owned()).or_insert(src);
            }
            Ok(done)
        })
    }
}

/// The name under which the file lands in a folder, and its contents.
fn render(task: &Invocation, path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let src = task.arguments["src"].to_string();
    let span = task.span("src");
    let failed = |message: String| Diagnostic::error(message).at(span);
    let text = String::from_utf8(task.read("src", path)?)
        .map_err(|_| failed(format!("{} is not UTF-8 text", path.display())))?;
    let destination = task.arguments["dest"].to_string();
    let scope = template::with_file_variables(&task.scope, &src, path, Some(&destination), span);
    let rendered = match template::render_file(path, &text, &options(task)?, span, &scope)? {
        Value::Null => String::new(),
        value => value.to_string(),
    };
    let encoding = task.arguments["output_encoding"].as_str().unwrap_or_default();
    let bytes = template::encode(&rendered, encoding).map_err(failed)?;
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok((name, bytes))
}

fn options(task: &Invocation) -> Result<Options, Diagnostic> {
    let mut options = Options::default();
    for (name, value) in task.arguments.iter().filter(|(_, value)| **value != Value::Null) {
        if template::Options::NAMES.contains(&name.as_str()) {
            options
                .set(name, &value.to_string())
                .map_err(|message| Diagnostic::error(message).at(task.span(name)))?;
        }
    }
    Ok(options)
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
