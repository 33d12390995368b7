//! What is said before the first frame: the shell script that finds or installs the agent, and its replies.
//!
//! The script is one line of POSIX shell without single quotes or exclamation marks, so that it passes through
//! any login shell (csh and fish too) as one quoted word. It answers with lines that begin with [`MARK`];
//! whatever a login shell prints before them is skipped. One exchange when the agent is there, two when it has
//! to be sent. It knows nothing of connections: the same script starts the agent over SSH and, on the target,
//! for another user.
//!
//! An agent is at `FOLDER/agent-HASH`, FOLDER being private to its user: the user's cache, else one under
//! `/var/tmp` or `/tmp`. It gets there by temporary name and rename, so what has that name is whole; the size
//! is compared all the same, for a file whose blocks a power failure has lost. The agent itself runs under the
//! user's own umask: what tasks create has the modes that the user's login gives.

use std::fmt::Write as _;

/// Begins every line that is meant for us.
const MARK: &str = "regdeploy-start:";

/// A shell profile that prints more than this is not noise but something else.
const MAX_NOISE: usize = 1 << 20;

/// Agents of other versions are removed after so many days without having been written again.
const KEEP_DAYS: u32 = 7;

/// Tells an agent the digest of its executable, where whoever starts it knows.
pub const BUILD: &str = "--build";

/// An executable that can be sent, as the script has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Shell patterns for what `uname -m` prints, joined by `|`.
    pub machines: &'static str,
    /// Hexadecimal SHA-256 of the file.
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

/// The script in parts; `@...@` are filled in.
const SCRIPT: &str = r#"
mark="@MARK@"; usual=$(umask); umask 077;
say() { printf "%s%s\n" "$mark" "$*"; };
start() { say ready "$1"; umask "$usual"; exec "$1" agent@ARGUMENTS@; };
own="@OWN@";
if [ -n "$own" ] && [ -x "$own" ]; then start "$own"; fi;
machine=$(uname -sm);
case $machine in @OFFERS@ *) say unsupported "$machine"; exit 1;; esac;
uid=$(id -u); cache=${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}};
set -- "${cache:+$cache/regdeploy}" "/var/tmp/regdeploy-$uid" "/tmp/regdeploy-$uid";
for folder in "$@"; do
  file=$folder/$name;
  if [ -L "$folder" ]; then continue; fi;
  if [ -O "$folder" ] && [ -O "$file" ] && [ -x "$file" ] && [ "$(wc -c <"$file")" -eq "$size" ]; then
    start "$file";
  fi;
done;
tried=; chosen=;
for folder in "$@"; do
  if [ -z "$folder" ]; then continue; fi;
  if [ -L "$folder" ]; then tried="$tried $folder: is a link;"; continue; fi;
  probe=$folder/.probe.$$;
  if reason=$(mkdir -p "$folder" 2>&1 && [ -O "$folder" ] && chmod 700 "$folder" 2>&1
      && { : >"$probe"; } 2>&1 && chmod 700 "$probe" 2>&1 && "$probe" 2>&1); then
    rm -f "$probe"; chosen=$folder; break;
  fi;
  rm -f "$probe" 2>/dev/null;
  tried="$tried $folder: ${reason:-is not ours};";
done;
if [ -z "$chosen" ]; then say failed "no folder takes the agent (not writable, or mounted noexec):$tried"; exit 1; fi;
file=$chosen/$name; temporary=$chosen/.$name.$$;
trap "rm -f \"$temporary\"" EXIT; trap "exit 1" HUP INT TERM;
say need "$machine";
if reason=$(head -c "$size" 2>&1 >"$temporary") && [ "$(wc -c <"$temporary")" -eq "$size" ]
    && reason=$(chmod 700 "$temporary" 2>&1 && mv -f "$temporary" "$file" 2>&1); then
  find "$chosen" -type f \( -name "agent-*" -o -name ".agent-*" \) -mtime +@DAYS@ -exec rm -f {} + 2>/dev/null;
  start "$file";
fi;
say failed "cannot write $file: ${reason:-the transfer was cut short}"; exit 1
"#;

/// The script that starts an agent. `own` is an executable to prefer if the user may run it.
///
/// # Panics
/// Never: writing to a `String` does not fail.
pub fn script(offers: &[Offer], own: Option<&str>, arguments: &[&str]) -> String {
    let mut cases = String::new();
    for offer in offers {
        let patterns: Vec<String> = offer
            .machines
            .split('|')
            .map(|machine| format!("Linux\\ {machine}"))
            .collect();
        let _ = write!(
            cases,
            "{}) name={}; size={};; ",
            patterns.join("|"),
            file_name(&offer.digest),
            offer.size
        );
    }
    let arguments: String = arguments.iter().flat_map(|argument| [" ", argument]).collect();
    let line: Vec<&str> = SCRIPT.lines().map(str::trim).collect();
    line.join(" ")
        .trim()
        .replace("@MARK@", MARK)
        .replace("@DAYS@", &KEEP_DAYS.to_string())
        .replace("@OWN@", &double_quoted(own.unwrap_or_default()))
        .replace("@ARGUMENTS@", &arguments)
        .replace("@OFFERS@", &cases)
}

/// A command for a login shell of any kind that runs `script` in a POSIX shell.
pub fn command(script: &str) -> String {
    format!("exec /bin/sh -c '{script}'")
}

/// The agent's file name. Sixteen digits tell apart all the versions that a target will ever see.
fn file_name(digest: &str) -> String {
    format!("agent-{}", &digest[..digest.len().min(16)])
}

/// For use between double quotes that are themselves inside single quotes. A single quote cannot be had
/// there; a path with one counts as absent.
fn double_quoted(path: &str) -> String {
    if path.contains(['\'', '!', '\n']) {
        return String::new();
    }
    let mut quoted = String::with_capacity(path.len());
    for c in path.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

/// What the script says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// The agent at this path is being started: frames follow.
    Ready(String),
    /// It is not there: the bytes for this `uname -sm` are awaited.
    Need(String),
    /// No offer fits this `uname -sm`.
    Unsupported(String),
    Failed(String),
}

/// The output before a greeting was not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it printed more than {MAX_NOISE} bytes, none of them the agent's, beginning with {beginning:?}")]
pub struct NotAGreeting {
    beginning: String,
}

/// Finds greetings in a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct GreetingDecoder {
    buffer: Vec<u8>,
}

impl GreetingDecoder {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next greeting; none until more bytes come.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator that may go on after `None` would mislead"
    )]
    pub fn next(&mut self) -> Result<Option<Greeting>, NotAGreeting> {
        while let Some(start) = find(&self.buffer, MARK.as_bytes()) {
            let text = start + MARK.len();
            let Some(length) = self.buffer[text..].iter().position(|byte| *byte == b'\n') else {
                return Ok(None);
            };
            let line = String::from_utf8_lossy(&self.buffer[text..text + length]).into_owned();
            self.buffer.drain(..=text + length);
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let rest = rest.trim_end().to_owned();
            match word {
                "ready" => return Ok(Some(Greeting::Ready(rest))),
                "need" => return Ok(Some(Greeting::Need(rest))),
                "unsupported" => return Ok(Some(Greeting::Unsupported(rest))),
                "failed" => return Ok(Some(Greeting::Failed(rest))),
                _ => {}
            }
        }
        if self.buffer.len() > MAX_NOISE {
            return Err(NotAGreeting {
                beginning: self.text().chars().take(80).collect(),
            });
        }
        Ok(None)
    }

    /// What came so far and is no greeting, for an error message.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).trim().to_owned()
    }

    /// The bytes behind the last greeting: the beginning of the frames.
    pub fn into_rest(self) -> Vec<u8> {
        self.buffer
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Stdio};

    /// Stands in for the agent: a program that says which arguments it got.
    const AGENT: &[u8] = b"#!/bin/sh\necho \"running $* under $(umask)\"\n";

    fn shells() -> Vec<Vec<&'static str>> {
        let busybox = Path::new("/bin/busybox").exists() || Path::new("/usr/bin/busybox").exists();
        let mut shells = vec![vec!["/bin/sh"], vec!["bash"]];
        if busybox {
            shells.push(vec!["busybox", "sh"]);
        }
        shells
    }

    fn offer() -> Offer {
        Offer {
            machines: "*",
            digest: "0123456789abcdef0123".to_owned(),
            size: AGENT.len() as u64,
        }
    }

    /// Runs the script as a login shell would and gives its output and what it greeted with.
    fn start(shell: &[&str], home: &Path, before: &str, sent: &[u8]) -> (Vec<Greeting>, String) {
        start_offer(&offer(), shell, home, before, sent)
    }

    fn start_offer(
        offer: &Offer,
        shell: &[&str],
        home: &Path,
        before: &str,
        sent: &[u8],
    ) -> (Vec<Greeting>, String) {
        let script = script(std::slice::from_ref(offer), None, &["--flag"]);
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .arg("-c")
            .arg(format!("umask 027; {before}{}", command(&script)))
            .env("HOME", home)
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The script may end before it has read all.
        let _ = child.stdin.take().unwrap().write_all(sent);
        let output = child.wait_with_output().unwrap();
        let mut decoder = GreetingDecoder::default();
        decoder.push(&output.stdout);
        let mut greetings = Vec::new();
        while let Some(greeting) = decoder.next().unwrap() {
            greetings.push(greeting);
        }
        let rest = String::from_utf8(decoder.into_rest()).unwrap();
        (greetings, rest + &String::from_utf8(output.stderr).unwrap())
    }

    #[test]
    fn sends_once_and_finds_it_afterwards() {
        for shell in shells() {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join(".cache/regdeploy/agent-0123456789abcdef");
            let ready = Greeting::Ready(path.to_str().unwrap().to_owned());
            let (greetings, rest) = start(&shell, home.path(), "echo welcome; ", AGENT);
            assert!(
                matches!(greetings[0], Greeting::Need(_)),
                "{shell:?}: {greetings:?}"
            );
            assert_eq!(greetings[1..], *std::slice::from_ref(&ready), "{shell:?}");
            assert_eq!(rest, "running agent --flag under 0027\n");
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700);
            let (greetings, rest) = start(&shell, home.path(), "printf noise; ", b"");
            assert_eq!(greetings, [ready], "{shell:?}");
            assert_eq!(rest, "running agent --flag under 0027\n");
        }
    }

    #[test]
    fn a_damaged_or_cut_file_is_never_started() {
        for shell in shells() {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path().join(".cache/regdeploy");
            let (greetings, _) = start(&shell, home.path(), "", &AGENT[..5]);
            assert!(
                matches!(&greetings[1], Greeting::Failed(reason) if reason.contains("cut short")),
                "{shell:?}: {greetings:?}"
            );
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{shell:?}");
            let path = folder.join("agent-0123456789abcdef");
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            let (greetings, _) = start(&shell, home.path(), "", AGENT);
            assert!(matches!(greetings[0], Greeting::Need(_)), "{shell:?}");
        }
    }

    #[test]
    fn goes_elsewhere_when_home_takes_nothing() {
        // Outside of any home all tests would share it.
        let offer = Offer {
            digest: format!("elsewhere{}", std::process::id()),
            ..offer()
        };
        for shell in shells() {
            let (greetings, rest) = start_offer(&offer, &shell, Path::new("/dev/null"), "", AGENT);
            let Some(Greeting::Ready(path)) = greetings.last() else {
                panic!("{shell:?}: {greetings:?} {rest}");
            };
            assert!(path.contains("/tmp/regdeploy-"), "{path}");
            fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn a_full_disk_is_named() {
        // `/dev/full` takes the place of the temporary file's disk: the script's own message is what counts.
        let script = script(&[offer()], None, &[]).replace(">\"$temporary\")", ">/dev/full)");
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(&script)
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(AGENT).unwrap();
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        assert!(output.contains("failed cannot write"), "{output}");
        assert!(output.contains("No space left on device"), "{output}");
    }

    #[test]
    fn another_machine_is_refused() {
        let script = script(
            &[Offer {
                machines: "pdp11",
                ..offer()
            }],
            None,
            &[],
        );
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        let mut decoder = GreetingDecoder::default();
        decoder.push(&output.stdout);
        assert!(matches!(
            decoder.next(),
            Ok(Some(Greeting::Unsupported(machine))) if machine.starts_with("Linux ")
        ));
    }

    #[test]
    fn the_script_passes_through_any_shell() {
        let script = script(&[offer()], Some("/a \"b\"$c"), &[]);
        assert!(!script.contains(['\'', '!', '\n']), "{script}");
        assert!(script.contains(r#"own="/a \"b\"\$c""#), "{script}");
    }

    #[test]
    fn old_agents_are_pruned() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".cache/regdeploy");
        fs::create_dir_all(&folder).unwrap();
        let file = fs::File::create(folder.join("agent-old")).unwrap();
        let age = std::time::Duration::from_hours(24 * 30);
        file.set_modified(std::time::SystemTime::now() - age).unwrap();
        fs::write(folder.join("agent-new"), "").unwrap();
        fs::write(folder.join("other"), "").unwrap();
        start(&["sh"], home.path(), "", AGENT);
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["agent-0123456789abcdef", "agent-new", "other"]);
    }

    #[test]
    fn endless_noise_is_given_up() {
        let mut decoder = GreetingDecoder::default();
        decoder.push(&vec![b'x'; MAX_NOISE + 1]);
        assert!(decoder.next().is_err());
    }
}
