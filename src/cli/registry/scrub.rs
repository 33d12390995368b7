//! `regdeploy-registry scrub`: what has rotted.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::fail;
use super::workplace::{Workplace, size};
use crate::registry::access::limits::size as bytes;
use crate::registry::content::scrub::{Options, Scrubbed};
use crate::registry::control::message::Request;

/// Something was damaged.
const DAMAGED: u8 = 3;

/// Read everything again and set aside what is damaged.
///
/// Damaged files move to `regdeploy/quarantine` in the data folder: from then on they count as missing, and the
/// next push of the same content heals them. A scrub that is interrupted goes on where it was.
///
/// Exit code: 0 when all is sound, 3 when something was damaged.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    workplace: Workplace,
    /// The most to read in a second, such as 50MiB; 0 is as fast as can be [default: storage.maintenance.scrub.rate]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    rate: Option<u64>,
    /// From the beginning, wherever the last one was interrupted
    #[arg(long)]
    restart: bool,
    /// Say what is damaged, and leave it where it is
    #[arg(long)]
    dry_run: bool,
}

pub fn run(arguments: &Arguments) -> ExitCode {
    let Some(config) = arguments.workplace.config() else {
        return ExitCode::FAILURE;
    };
    let options = Options {
        rate: arguments.rate.unwrap_or(config.maintenance.scrub.rate),
        restart: arguments.restart,
        dry_run: arguments.dry_run,
    };
    match arguments
        .workplace
        .ask(&config, &Request::Scrub { options }, None, |_| {})
    {
        Ok(done) => {
            let code = arguments.workplace.tell(&done, scrubbed);
            if done.damaged > 0 {
                ExitCode::from(DAMAGED)
            } else {
                code
            }
        }
        Err(error) => fail(&error),
    }
}

fn scrubbed(done: &Scrubbed) -> String {
    let mut text = format!(
        "read {} blobs ({}) and {} links\n{} damaged; {} links name what is not there\n",
        done.blobs,
        size(done.bytes),
        done.links,
        done.damaged,
        done.missing
    );
    for damage in &done.named {
        let _ = writeln!(text, "  {}: {}", damage.key, damage.why);
    }
    text
}
