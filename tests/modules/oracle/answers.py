"""A callback for ansible-core: runs the scripts of cases between their plays, and writes what came of each task.

A play is called `CASE RUN`, with RUN 1 or 2. Its scripts and tasks are beside the playbook: `CASE.before` runs before
run 1, `CASE.state` after each run, into `CASE.out/state1` and `state2`. What tasks came to is a line of JSON each in
`CASE.out/run1` and `run2`.
"""

import json
import os
import subprocess

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: answers
type: stdout
short_description: runs the scripts of cases and writes what came of each task
description: see above
"""

# For one script, in seconds.
LIMIT = 120


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "answers"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.case = None
        self.run = None

    def script(self, kind, output):
        with open(os.path.join(f"{self.case}.out", output), "wb") as file:
            try:
                ended = subprocess.run(
                    ["sh", f"{self.case}.{kind}"], stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=LIMIT)
                if kind == "before" and ended.returncode != 0:
                    file.write(f"ended with {ended.returncode}\n".encode())
            except subprocess.TimeoutExpired:
                file.write(b"does not end\n")

    def finish(self):
        if self.case is not None:
            self.script("state", f"state{self.run}")

    def v2_playbook_on_play_start(self, play):
        self.finish()
        self.case, self.run = play.get_name().split(" ")
        os.makedirs(f"{self.case}.out", exist_ok=True)
        if self.run == "1":
            self.script("before", "before")
        open(os.path.join(f"{self.case}.out", f"run{self.run}"), "w").close()

    def v2_playbook_on_stats(self, stats):
        self.finish()

    def write(self, result, state):
        # The one that is around the tasks, unless it is all that there is to tell.
        if result._task.action == "include_tasks" and state == "ok":
            return
        values = result._result
        line = {
            "task": result._task.get_name(),
            "state": state,
            "changed": bool(values.get("changed")),
            "result": json.loads(json.dumps(values, default=str)),
        }
        with open(os.path.join(f"{self.case}.out", f"run{self.run}"), "a") as file:
            file.write(json.dumps(line) + "\n")

    def v2_runner_on_ok(self, result):
        self.write(result, "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.write(result, "failed")

    def v2_runner_on_unreachable(self, result):
        self.write(result, "failed")

    def v2_runner_on_skipped(self, result):
        self.write(result, "skipped")
