//! `regdeploy explain VAR --host HOST [PLAYBOOK...]`: every place that sets a variable, the strongest first, and
//! which one wins. Nothing is run, and nothing evaluated.

mod playbook;
mod site;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use self::playbook::Found;
use self::site::{Rank, Reach, Site};
use super::sources::{SourceArguments, Sources};
use super::{Stop, play, warn};
use crate::configuration::Configuration;
use crate::diagnostic::Diagnostic;
use crate::executor::{MAGIC_VARIABLES, Words};
use crate::inventory::{Class, Pattern};
use crate::playbook::{Loader, Play, Playbook};

const FAILED: u8 = 1;

/// Shows every place that sets a variable, and which one wins.
#[derive(Debug, Parser)]
#[command(max_term_width = 110)]
pub struct ExplainArguments {
    /// The variable
    #[arg(value_name = "VARIABLE")]
    variable: String,

    /// Playbooks to look through as well
    #[arg(value_name = "PLAYBOOK")]
    playbooks: Vec<String>,

    /// The host
    #[arg(long, value_name = "HOST", required = true, help_heading = "Hosts")]
    host: String,

    #[command(flatten)]
    sources: SourceArguments,
}

pub fn run(arguments: &ExplainArguments) -> Result<ExitCode, Stop> {
    let (configuration, warnings) = super::configuration()?;
    warnings.iter().for_each(warn);
    let failed = |error| (error, FAILED);
    let sources = arguments.sources.read(&configuration).map_err(failed)?;
    sources.warnings.iter().for_each(warn);
    let host = &arguments.host;
    if !sources.inventory.contains(host) && !crate::inventory::LOCALHOST.contains(&host.as_str()) {
        let error = Diagnostic::error(format!("the inventory has no host `{host}`"));
        return Err(failed(error.nearest(host, sources.inventory.hosts())));
    }
    let text = explain(arguments, &sources, &configuration)?;
    sources.inventory.take_warnings().iter().for_each(warn);
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn explain(
    arguments: &ExplainArguments,
    sources: &Sources,
    configuration: &Configuration,
) -> Result<String, Stop> {
    let (name, host) = (arguments.variable.as_str(), arguments.host.as_str());
    if MAGIC_VARIABLES.contains(&name) {
        return Ok(format!(
            "{name} of {host}: made by the engine itself, whatever else sets it\n"
        ));
    }
    let mut out = String::new();
    if arguments.playbooks.is_empty() {
        let sites = known(name, host, sources, &sources.folder).map_err(|error| (error, FAILED))?;
        report(&mut out, name, host, "", sites, &Found::default());
        return Ok(out);
    }
    let words = Words {
        extra_vars: Arc::clone(&sources.extra_vars),
    };
    let loader = Loader::new(Box::new(words), play::places(configuration));
    let playbooks: Vec<Playbook> = play::read(&arguments.playbooks, &loader)?;
    for playbook in &playbooks {
        for play in &playbook.plays {
            let title = format!(" in the play at {}", play.attributes().span);
            match concerns(play, host, sources) {
                Some(false) => {
                    let _ = writeln!(out, "{host} is not{title}");
                }
                _ => {
                    let sites = known(name, host, sources, &play.folder);
                    let sites = sites.map_err(|error| (error, FAILED))?;
                    let found = playbook::search(name, play, &loader);
                    report(&mut out, name, host, &title, sites, &found);
                }
            }
        }
    }
    Ok(out)
}

/// Whether a play is for a host; unknown where its pattern is a template.
fn concerns(play: &Play, host: &str, sources: &Sources) -> Option<bool> {
    let pattern = play.hosts.as_str().filter(|_| !play.hosts.is_dynamic())?;
    let pattern = Pattern::parse(pattern, &play.hosts.span).ok()?;
    let selection = sources.inventory.select(&pattern);
    Some(selection.hosts.iter().any(|known| known == host))
}

/// What is known without a play: the inventory, the files beside it and beside the playbook, extra variables.
fn known(name: &str, host: &str, sources: &Sources, folder: &Path) -> Result<Vec<Site>, Diagnostic> {
    let places = sources.inventory.places(host, name, Some(folder))?;
    let mut sites: Vec<Site> = places
        .into_iter()
        .map(|(class, holder, variable)| Site::new(rank(class), holder, &variable))
        .collect();
    let extra = sources.extra_vars.get(name);
    sites.extend(extra.map(|variable| Site::new(Rank::ExtraVars, "", variable)));
    Ok(sites)
}

fn rank(class: Class) -> Rank {
    match class {
        Class::InventoryGroups => Rank::InventoryGroups,
        Class::InventoryGroupVarsAll => Rank::InventoryGroupVarsAll,
        Class::PlaybookGroupVarsAll => Rank::PlaybookGroupVarsAll,
        Class::InventoryGroupVars => Rank::InventoryGroupVars,
        Class::PlaybookGroupVars => Rank::PlaybookGroupVars,
        Class::InventoryHosts => Rank::InventoryHosts,
        Class::InventoryHostVars => Rank::InventoryHostVars,
        Class::PlaybookHostVars => Rank::PlaybookHostVars,
    }
}

/// The places as a table, the strongest first; the one that wins in all of the play has an arrow.
fn report(out: &mut String, name: &str, host: &str, title: &str, mut sites: Vec<Site>, found: &Found) {
    // Of equals the later one is the stronger.
    sites.extend(found.sites.iter().cloned());
    sites.reverse();
    sites.sort_by_key(|site| std::cmp::Reverse(site.rank));
    // A folder may be both the inventory's and the playbook's: its files count as the stronger.
    let mut seen = HashSet::new();
    sites.retain(|site| {
        site.span
            .as_ref()
            .is_none_or(|span| seen.insert((span.to_string(), site.reach.clone())))
    });
    let winner = sites.iter().position(|site| site.reach == Reach::Everywhere);
    let _ = match winner.map(|at| &sites[at]) {
        Some(site) => writeln!(out, "{name} of {host}{title}: {}", site.value),
        None if sites.is_empty() => writeln!(out, "{name} of {host}{title}: nothing sets it"),
        None => writeln!(out, "{name} of {host}{title}: set only in places"),
    };
    let place = |site: &Site| site.span.as_ref().map_or_else(String::new, ToString::to_string);
    let width = |text: &dyn Fn(&Site) -> String| {
        let widths = sites.iter().map(|site| text(site).chars().count());
        widths.max().unwrap_or_default()
    };
    let (titles, places) = (width(&Site::title), width(&place));
    for (at, site) in sites.iter().enumerate() {
        let sign = if winner == Some(at) { "->" } else { "  " };
        let reach = match &site.reach {
            Reach::Everywhere => String::new(),
            Reach::Inside(what) => format!("  (inside {what})"),
            Reach::After(what) => format!("  (once {what} has run)"),
        };
        let (title, place) = (site.title(), place(site));
        let _ = writeln!(
            out,
            "{sign} {:>2} {title:<titles$}  {place:<places$}  {}{reach}",
            site.rank as u8, site.value
        );
    }
    let mut told = HashSet::new();
    for include in &found.includes {
        let include = include.to_string();
        if told.insert(include.clone()) {
            let _ = writeln!(
                out,
                "      what is included at {include} is only known when it runs"
            );
        }
    }
}
