//! What a run puts on a target and leaves there: one file a user, and no process.

use std::time::Duration;

use super::controller::Controller;
use super::lab::Target;

/// All files that are agents, with mode, owner and size; and all that run.
const FILES: &str =
    r"find / -xdev -path /proc -prune -o -name '*agent-*' -path '*regdeploy*' -printf '%m %u %s %p\n'";
const NO_PROCESS: &str = r"! find /proc/[0-9]*/exe -lname '*/regdeploy*/agent-*' 2>/dev/null | grep -q .";

fn play(controller: &Controller, target: &Target, tasks: &str) -> [String; 2] {
    let playbook = controller.write(
        "play.yml",
        &format!("- hosts: all\n  gather_facts: true\n  tasks:\n{tasks}"),
    );
    let inventory = controller.write(
        "hosts",
        &format!("web ansible_host={} ansible_user=deploy\n", target.ip()),
    );
    [inventory, playbook].map(|path| path.to_str().unwrap().to_owned())
}

/// The name of the agent for the executable under test.
fn agent() -> String {
    let bytes = std::fs::read(env!("CARGO_BIN_EXE_regdeploy")).unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    let hexadecimal: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("agent-{hexadecimal}")
}

#[test]
fn the_agent_is_one_file_a_user_named_by_its_hash_and_nothing_else_is_needed() {
    let target = Target::start("agent");
    let controller = Controller::new(&[&target]);
    assert!(
        !target
            .try_root("command -v python3 || command -v python")
            .status
            .success()
    );
    let tasks = "    \
    - command: id -un
      become: true
    - command: id -un
      become: true
      become_user: pwuser
";
    let [inventory, playbook] = play(&controller, &target, tasks);
    for _ in 0..2 {
        controller
            .run(inventory.as_ref(), &[&playbook])
            .went_well(&["web"]);
        let size = std::fs::metadata(env!("CARGO_BIN_EXE_regdeploy")).unwrap().len();
        let files = target.root(FILES);
        let mut files: Vec<&str> = files.lines().collect();
        files.sort_unstable();
        // Root runs deploy's; pwuser cannot read it and has one of its own.
        let agent = agent();
        assert_eq!(
            files,
            [
                format!("700 deploy {size} /home/deploy/.cache/regdeploy/{agent}"),
                format!("700 pwuser {size} /home/pwuser/.cache/regdeploy/{agent}"),
            ]
        );
    }
    target.eventually(NO_PROCESS, Duration::from_secs(5));
    assert_eq!(target.root("ls -A /home/deploy/.cache/regdeploy | wc -l"), "1\n");
    assert_eq!(target.root("ls -A /tmp /var/tmp | grep -c regdeploy || :"), "0\n");
}

#[test]
fn a_controller_that_is_killed_leaves_no_process_behind() {
    let target = Target::start("killed");
    let controller = Controller::new(&[&target]);
    let tasks = "    \
    - name: Work for long
      command: sleep 3600
      become: true
";
    let [inventory, playbook] = play(&controller, &target, tasks);
    let mut run = controller.start(inventory.as_ref(), &[&playbook]);
    while let Some(line) = run.line() {
        if line.starts_with("TASK [Work for long]") {
            break;
        }
    }
    target.eventually("pgrep -x sleep", Duration::from_secs(20));
    assert!(!target.try_root(NO_PROCESS).status.success());
    run.kill();
    target.eventually(NO_PROCESS, Duration::from_secs(20));
    // The command goes with its agent.
    target.eventually("! pgrep -x sleep", Duration::from_secs(20));
}
