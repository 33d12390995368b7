//! `gather_facts`: facts of a host, by `setup` or by the modules that `ansible_facts_modules` names. After
//! `ansible.builtin.gather_facts`.
//!
//! A play begins with it. Deliberately no modules of the user's own among them.

use futures_util::future::join_all;

use super::{Action, Done, Failure, Held, Invocation, Pending};
use crate::modules::{self, Arg, Return, Spec};
use crate::playbook::short_name;
use crate::value::{Map, Value};
use crate::wire::message::Outcome;

pub struct GatherFacts;

/// What stands for the module that suits the host.
const SMART: &str = "smart";
/// The variable that names other modules.
const MODULES: &str = "ansible_facts_modules";
/// The variable that stands in for the argument `parallel`.
const PARALLEL: &str = "ansible_facts_parallel";

static SPEC: Spec = Spec {
    name: "gather_facts",
    summary: "gather facts about the host, as a play does when it begins",
    args: &[
        Arg::bool("parallel").doc(
            "with several modules: whether they run at the same time; where neither this nor \
             `ansible_facts_parallel` says so, they do",
        ),
        Arg::strings("gather_subset").doc("for `setup`; `all` unless given"),
        Arg::strings("filter").doc("for `setup`: patterns of names to keep"),
        Arg::path("fact_path").doc("for `setup`: the folder of local facts"),
        Arg::int("gather_timeout").doc("for `setup`: seconds for what may hang"),
    ],
    returns: &[
        Return::new(
            "ansible_facts",
            "dict",
            "the facts of all modules, in their order",
        ),
        Return::new(
            "failed_modules",
            "dict",
            "results of the modules that failed, by name",
        )
        .when("on failure"),
    ],
    example: "- gather_facts:\n    gather_subset: [min, network]\n",
    free_form: None,
    rules: &[],
};

impl Action for GatherFacts {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn run<'a>(&'a self, task: Invocation<'a>) -> Pending<'a, Result<Done, Failure>> {
        Box::pin(async move { gather(&task).await.map(Done::from) })
    }
}

async fn gather(task: &Invocation<'_>) -> Result<Outcome, Failure> {
    let mut warnings = Vec::new();
    let mut calls = Vec::new();
    for name in modules(task)? {
        let arguments = arguments(task, &name, &mut warnings)?;
        calls.push((name, arguments));
    }
    let parallel = match &task.arguments["parallel"] {
        Value::Null => task.scope.value(PARALLEL)?.and_then(|value| value.truth()),
        given => given.truth(),
    };
    let (names, pending): (Vec<_>, Vec<_>) = calls
        .iter()
        .map(|(name, arguments)| {
            let module = short_name(name);
            (name, task.target.call(module, arguments.clone(), Held::default()))
        })
        .unzip();
    let answers = if parallel.unwrap_or(true) {
        join_all(pending).await
    } else {
        let mut answers = Vec::new();
        for call in pending {
            answers.push(call.await);
        }
        answers
    };
    let mut facts = Map::new();
    let mut failed = Map::new();
    for (name, answer) in names.into_iter().zip(answers) {
        let mut answer = answer?;
        if let Some(Value::List(more)) = answer.values.get("warnings") {
            warnings.extend(more.iter().map(Value::to_string));
        }
        if let Some(Value::Map(more)) = answer.values.get_mut("ansible_facts") {
            facts.extend(std::mem::take(more));
        }
        if answer.failed {
            answer.values.insert("failed".to_owned(), true.into());
            failed.insert(name.clone(), Value::Map(answer.values));
        }
    }
    let mut outcome = Outcome::ok();
    if !failed.is_empty() {
        let names: Vec<&str> = failed.keys().map(String::as_str).collect();
        outcome = Outcome::failed(format!(
            "The following modules failed to execute: {}.",
            names.join(", ")
        ))
        .with("failed_modules", failed);
    }
    if !warnings.is_empty() {
        outcome = outcome.with("warnings", warnings);
    }
    Ok(outcome.with("ansible_facts", facts))
}

/// The modules to ask, each of which is there.
fn modules(task: &Invocation<'_>) -> Result<Vec<String>, Failure> {
    let named = match task.scope.value(MODULES)? {
        Some(Value::List(names)) => names.iter().map(Value::to_string).collect(),
        Some(Value::Null) | None => vec![SMART.to_owned()],
        Some(names) => names
            .to_string()
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect(),
    };
    let mut names: Vec<String> = Vec::new();
    for name in named {
        let name = if name == SMART {
            "ansible.legacy.setup".to_owned()
        } else {
            name
        };
        if modules::find(short_name(&name)).is_none() {
            return Err(Failure::new(format!(
                "The module {name} was not found in configured module paths: `{MODULES}` takes modules of this \
                 program, such as setup, package_facts and service_facts"
            )));
        }
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// What a module takes of the task's arguments.
fn arguments(task: &Invocation<'_>, module: &str, warnings: &mut Vec<String>) -> Result<Map, Failure> {
    let Some(spec) = modules::find(short_name(module)).map(modules::AnyModule::spec) else {
        return Ok(Map::new());
    };
    let mut taken = Map::new();
    for (name, value) in &task.arguments {
        if name == "parallel" || value == &Value::Null {
            continue;
        }
        if spec.arg(name).is_some() {
            taken.insert(name.clone(), value.clone());
        } else {
            let shown = match value {
                Value::List(texts) => texts.iter().map(Value::to_string).collect::<Vec<_>>().join(","),
                value => value.to_string(),
            };
            let name = name.strip_prefix("gather_").unwrap_or(name);
            warnings.push(format!("Not passing {name}({shown}) to {module}"));
        }
    }
    Ok(spec.resolve(&taken)?)
}
