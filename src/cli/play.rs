//! `regdeploy PLAYBOOK...`: the main verb.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::adhoc::{AdHocArguments, Task};
use super::arguments::Arguments;
use super::output::{self, Wanted};
use super::settings::{PasswordSource, Settings, Surroundings};
use super::{CONFIGURATION, Stop, checking, extra_vars, fail, playbook_lookup};
use crate::configuration::{Configuration, table};
use crate::diagnostic::{Cause, Diagnostic};
use crate::executor::{self, BecomeSettings, Listing, LoginSettings, Run, Words};
use crate::inventory::{Inventory, LOCALHOST, Pattern};
use crate::output::{Event, Line};
use crate::playbook::{Loader, Places, Playbook, Selection};
use crate::secrets;
use crate::source::{Source, Span};
use crate::value::Secret;
use crate::vault;

/// Bad options.
const USAGE: u8 = 2;
/// A missing playbook or inventory, a limit that names nobody.
const MISSING: u8 = 1;
/// A file that cannot be understood.
const PARSE: u8 = 4;
const INTERRUPTED: u8 = 99;

/// Templates of templates recurse: the usual two mebibytes of a thread are too few.
const STACK: usize = 16 << 20;

/// What is to be run.
enum Job {
    Playbooks,
    Single(Task),
}

pub fn run(arguments: Arguments) -> ExitCode {
    start(arguments, |_| Ok(Job::Playbooks))
}

/// Runs a single task.
pub fn run_single(arguments: &AdHocArguments) -> ExitCode {
    let mut usual = Arguments::default();
    let task = |configuration: &Configuration| Task::new(arguments, configuration).map(Job::Single);
    usual.run = arguments.run.clone();
    start(usual, task)
}

/// Reads the settings, then runs what `job` makes of them.
fn start(arguments: Arguments, job: impl FnOnce(&Configuration) -> Result<Job, Diagnostic>) -> ExitCode {
    let around = Surroundings {
        variable: &|name| std::env::var(name).ok(),
        terminal: io::stdout().is_terminal(),
    };
    let (configuration, mut warnings) = match super::configuration() {
        Ok(loaded) => loaded,
        Err((error, code)) => return fail(&error, code),
    };
    let vault_passwords = arguments.run.vault_passwords.clone();
    let resolved = Settings::resolve(arguments, &configuration, &around);
    let (settings, job) = match resolved.and_then(|settings| Ok((settings, job(&configuration)?))) {
        Ok(resolved) => resolved,
        Err(error) => return fail(&error, USAGE),
    };
    // Before anything is read: playbooks and inventories may be vaults.
    match vault_passwords.keyring(&configuration) {
        Ok((keyring, more)) => {
            warnings.extend(more);
            vault::install(keyring);
        }
        Err(error) => return fail(&error, MISSING),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Diagnostic::error(format!("cannot start: {error}")), MISSING),
    };
    let line = output::progress_line(&configuration);
    let code = runtime.block_on(async {
        // The main thread's own stack is small: the run is a task of the runtime.
        let shown = line.clone();
        let running = tokio::spawn(async move { play(job, settings, configuration, warnings, shown).await });
        tokio::select! {
            ended = running => match ended {
                Ok(Ok(code)) => ExitCode::from(code),
                Ok(Err((error, code))) => fail(&error, code),
                Err(error) => fail(&Diagnostic::error(format!("the run broke off: {error}")), 250),
            },
            () = interruption() => {
                if let Some(line) = &line {
                    line.hide();
                }
                fail(&Diagnostic::error("interrupted"), INTERRUPTED)
            }
        }
    });
    // Whoever still waits for a host is not waited for.
    runtime.shutdown_background();
    code
}

/// Until somebody wants the run to end.
async fn interruption() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => {
                signals.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}

async fn play(
    job: Job,
    settings: Settings,
    configuration: Configuration,
    mut warnings: Vec<Diagnostic>,
    line: Option<Line>,
) -> Result<u8, Stop> {
    let code = |code: u8| move |error: Diagnostic| (error, code);
    let (extra, more) = extra_vars::read(&settings.extra_vars).map_err(code(USAGE))?;
    warnings.extend(more);
    let extra = Arc::new(extra);
    let (inventory, more) =
        Inventory::load(&settings.inventories, &configuration, &extra).map_err(code(MISSING))?;
    warnings.extend(more);
    let words = Words {
        extra_vars: Arc::clone(&extra),
    };
    let loader = Loader::new(Box::new(words), places(&configuration));
    let playbooks = match &job {
        Job::Playbooks => read(&settings.playbooks, &loader)?,
        Job::Single(_) if settings.listing.hosts => Vec::new(),
        Job::Single(task) => vec![single(task, &loader)?],
    };
    let quiet = settings.syntax_check || settings.listing.any();
    let passwords = if quiet {
        Passwords::default()
    } else {
        ask(&settings).map_err(code(MISSING))?
    };
    let wanted = Wanted {
        verbosity: settings.verbosity,
        check: settings.check,
        colour: settings.colour,
        printer: match &job {
            Job::Playbooks => settings.printer.as_deref(),
            Job::Single(task) => settings.printer.as_deref().or(task.printer),
        },
    };
    let mut output = output::output(&configuration, &wanted, line).map_err(code(USAGE))?;
    let file = configuration.file.as_ref().or(configuration.own_file.as_ref());
    output.show(&Event::Chatter {
        verbosity: 1,
        text: &match file {
            Some(file) => format!("Using {} as config file", file.display()),
            None => "No config file found; using defaults".to_owned(),
        },
    });
    let listing = settings.listing;
    let flush_cache = settings.flush_cache;
    let syntax_check = settings.syntax_check;
    // Who asks for the implicit localhost by name does not have to be told of it.
    let quiet_pattern = matches!(&job, Job::Single(task) if LOCALHOST.contains(&task.pattern()));
    let run = Run::new(
        translated(settings, configuration.clone(), extra, passwords),
        inventory,
        loader,
        output,
    )
    .map_err(code(MISSING))?;
    if run.has_no_hosts() && configuration.truth(&table::LOCALHOST_WARNING) && !quiet_pattern {
        warnings.push(Diagnostic::warning(
            "provided hosts list is empty, only localhost is available. Note that the implicit localhost does not match 'all'",
        ));
    }
    for warning in &warnings {
        run.show(&Event::Diagnostic(warning));
    }
    heed_limit(&run)?;
    if let Some(warning) = checking::unknown_start(&run, &playbooks) {
        run.show(&Event::Diagnostic(&warning));
    }
    let checks = matches!(job, Job::Playbooks) && !listing.any();
    if checks && !checking::passes(&run, &playbooks) {
        return Ok(PARSE);
    }
    if syntax_check {
        for playbook in &playbooks {
            println!("\nplaybook: {}", playbook.name);
        }
        return Ok(0);
    }
    if let Job::Single(task) = &job
        && let Some(ended) = hosts_of(task, &run, listing)?
    {
        return Ok(ended);
    }
    if listing.any() {
        for playbook in &playbooks {
            let text = executor::list(&run, playbook, listing).map_err(code(PARSE))?;
            print!("{}", secrets::scrub(&text));
        }
        return Ok(0);
    }
    if flush_cache {
        run.flush_facts();
    }
    Ok(run.playbooks(playbooks).await.code())
}

/// Warns of what `--limit` names in vain; that it leaves no host is an error.
fn heed_limit(run: &Run) -> Result<(), Stop> {
    if let Some(limited) = run.limited() {
        for term in &limited.unmatched {
            run.show(&Event::Warning(&format!(
                "Could not match supplied host pattern, ignoring: {term}"
            )));
        }
        if limited.hosts.is_empty() {
            return Err((
                Diagnostic::error(
                    "Specified inventory, host pattern and/or --limit leaves us with no hosts to target.",
                ),
                MISSING,
            ));
        }
    }
    Ok(())
}

/// Lists the hosts of a task, or says that there are none; then nothing is left to do.
fn hosts_of(task: &Task, run: &Run, listing: Listing) -> Result<Option<u8>, Stop> {
    let place = Span::whole(&Source::new("<the command line>", task.pattern()));
    let pattern = Pattern::parse(task.pattern(), &place).map_err(|error| (error, CONFIGURATION))?;
    let selection = run.selected(&pattern);
    if listing.hosts {
        println!("  hosts ({}):", selection.hosts.len());
        for host in &selection.hosts {
            println!("    {host}");
        }
        return Ok(Some(0));
    }
    if !selection.hosts.is_empty() {
        return Ok(None);
    }
    for term in &selection.unmatched {
        run.show(&Event::Diagnostic(&super::inventory::unmatched(term)));
    }
    run.show(&Event::Warning("No hosts matched, nothing to do"));
    Ok(Some(0))
}

/// A playbook that holds nothing but a task.
fn single(task: &Task, loader: &Loader) -> Result<Playbook, Stop> {
    let play = task.play().map_err(|error| (error, CONFIGURATION))?;
    loader.single(&play, &task.folder).map_err(|error| (error, PARSE))
}

/// Finds and reads playbooks.
pub fn read(names: &[String], loader: &Loader) -> Result<Vec<Playbook>, Stop> {
    let find = |name: &String| match loader.find_playbook(name, Path::new("")) {
        Some(file) => Ok(file),
        None => playbook_lookup::find(name, Path::new("")).map_err(|error| (error, MISSING)),
    };
    // Nothing is read before everything is found.
    let files: Vec<PathBuf> = names.iter().map(find).collect::<Result<_, _>>()?;
    let stop = |error: Diagnostic| {
        let code = if error.cause == Cause::Missing {
            MISSING
        } else {
            PARSE
        };
        (error, code)
    };
    let read = |file: &PathBuf| loader.playbook(file).map_err(stop);
    files.iter().map(read).collect()
}

/// Where roles and collections are.
pub fn places(configuration: &Configuration) -> Places {
    let paths = |setting| configuration.list(setting).into_iter().map(PathBuf::from);
    // Where this program's own playbooks have theirs.
    let usual = std::env::current_dir().unwrap_or_default().join("roles");
    let private = &table::DEFAULT_PRIVATE_ROLE_VARS;
    Places {
        roles: paths(&table::DEFAULT_ROLES_PATH).chain([usual]).collect(),
        collections: paths(&table::COLLECTIONS_PATHS).collect(),
        modules: paths(&table::DEFAULT_MODULE_PATH).collect(),
        private_role_vars: configuration
            .is_set(private)
            .then(|| configuration.truth(private)),
    }
}

#[derive(Default)]
struct Passwords {
    connection: Option<Secret>,
    r#become: Option<Secret>,
}

/// Asks for the passwords that are to be asked for; an empty answer to the second repeats the first.
fn ask(settings: &Settings) -> Result<Passwords, Diagnostic> {
    let connection = password(&settings.connection_password, "SSH password: ")?;
    let prompt = match connection {
        Some(_) => "BECOME password[defaults to SSH password]: ",
        None => "BECOME password: ",
    };
    let answer = password(&settings.become_password, prompt)?;
    let r#become = match answer {
        Some(secret) if secret.reveal().is_empty() => connection.clone(),
        answer => answer,
    };
    Ok(Passwords { connection, r#become })
}

fn password(source: &PasswordSource, prompt: &str) -> Result<Option<Secret>, Diagnostic> {
    match source {
        PasswordSource::None => Ok(None),
        PasswordSource::Ask => rpassword::prompt_password(prompt)
            .map(|text| Some(Secret::new(text)))
            .map_err(|error| {
                Diagnostic::error(format!("cannot ask for a password: {error}"))
                    .hint("there is no terminal: use --connection-password-file or --become-password-file")
            }),
        PasswordSource::File(path) => std::fs::read_to_string(path)
            .map(|text| Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
            .map_err(|error| {
                Diagnostic::error(format!(
                    "cannot read the password file {}: {error}",
                    path.display()
                ))
            }),
    }
}

/// The command line's settings as the executor's.
fn translated(
    settings: Settings,
    configuration: Configuration,
    extra_vars: Arc<crate::template::Names>,
    passwords: Passwords,
) -> executor::Settings {
    executor::Settings {
        forks: settings.forks,
        check: settings.check,
        diff: settings.diff,
        selection: Selection {
            tags: settings.tags,
            skip: settings.skip_tags,
        },
        limit: settings.limit,
        extra_vars,
        start_at_task: settings.start_at_task,
        force_handlers: settings.force_handlers,
        login: LoginSettings {
            connection: settings.connection,
            user: settings.user,
            port: settings.port,
            password: passwords.connection,
            private_key: settings.private_key,
            passphrase: configuration
                .text(&table::SSH_PRIVATE_KEY_PASSPHRASE)
                .map(Secret::new),
            ssh_arguments: settings.ssh_arguments,
            host_key_checking: settings.host_key_checking,
            timeout: settings.timeout,
        },
        become_as: BecomeSettings {
            enabled: settings.r#become,
            user: settings.become_user,
            method: settings.become_method,
            flags: settings.become_flags,
            password: passwords.r#become,
        },
        verbosity: settings.verbosity,
        inventories: settings.inventories,
        configuration: Arc::new(configuration),
    }
}
