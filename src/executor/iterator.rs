//! Which task a host runs next: a pure state machine, one cursor a host.
//!
//! A cursor is a stack of frames: lists of tasks, and blocks with the section they are in. It runs nothing,
//! knows no host, and can be asked at any time what comes next.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::playbook::{Block, Item, Task};

/// A place in a play: for each frame the index in it and the section or inclusion that follows. Comparing two
/// tells which comes first.
pub type Position = Vec<(usize, usize)>;

/// Which part of a block a host is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Tasks,
    Rescue,
    Always,
}

#[derive(Debug)]
struct Frame {
    items: Arc<[Item]>,
    index: usize,
    /// Tells the frames below one index apart: sections of a block, inclusions.
    ordinal: usize,
    /// Lists that follow in the same place: the other items of a loop of inclusions.
    following: VecDeque<(usize, Arc<[Item]>)>,
    block: Option<BlockState>,
}

#[derive(Debug)]
struct BlockState {
    block: Arc<Block>,
    section: Section,
    /// A task has failed and nothing has rescued it: the host stops after `always`.
    failed: bool,
}

/// What a failure led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// A `rescue` goes on.
    Rescued,
    /// An `always` goes on, the host stops after it.
    Cleaning,
    /// The host stops here.
    Stopped,
}

/// What happened when a cursor moved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// There may be more to do.
    On,
    /// An `always` section has ended after a failure, and nothing outside rescued it.
    Failed,
    /// As [`Moved::On`], by way of a rescue outside.
    Rescued,
}

/// One host's way through a list of tasks.
#[derive(Debug)]
pub struct Cursor {
    frames: Vec<Frame>,
}

impl Cursor {
    /// At the first task that `selected` accepts.
    pub fn new(items: Arc<[Item]>, selected: &dyn Fn(&Task) -> bool) -> Self {
        let mut cursor = Self {
            frames: vec![Frame::new(0, items)],
        };
        cursor.settle(selected);
        cursor
    }

    /// The task to run, unless the end is reached.
    pub fn task(&self) -> Option<&Arc<Task>> {
        let frame = self.frames.last()?;
        match frame.items.get(frame.index)? {
            Item::Task(task) => Some(task),
            Item::Block(_) => None,
        }
    }

    pub fn position(&self) -> Position {
        self.frames
            .iter()
            .map(|frame| (frame.ordinal, frame.index))
            .collect()
    }

    /// The task has ended well, or was skipped.
    pub fn advance(&mut self, selected: &dyn Fn(&Task) -> bool) -> Moved {
        if let Some(frame) = self.frames.last_mut() {
            frame.index += 1;
        }
        self.settle(selected)
    }

    /// The task has failed.
    pub fn fail(&mut self, selected: &dyn Fn(&Task) -> bool) -> Failure {
        match self.unwind() {
            Failure::Stopped => Failure::Stopped,
            failure => match self.settle(selected) {
                Moved::Failed => Failure::Stopped,
                _ => failure,
            },
        }
    }

    /// Runs lists of tasks in place of the current task, one after the other, each with its place in the order.
    pub fn include(&mut self, lists: Vec<(usize, Arc<[Item]>)>, selected: &dyn Fn(&Task) -> bool) -> Moved {
        let mut lists = VecDeque::from(lists);
        match lists.pop_front() {
            Some((ordinal, items)) => self.frames.push(Frame {
                following: lists,
                ..Frame::new(ordinal + 1, items)
            }),
            None => return self.advance(selected),
        }
        self.settle(selected)
    }

    /// Drops everything that is left.
    pub fn end(&mut self) {
        self.frames.clear();
    }

    /// Goes to the nearest block that has something for a failure.
    fn unwind(&mut self) -> Failure {
        while let Some(frame) = self.frames.last_mut() {
            if let Some(state) = &mut frame.block {
                if state.section == Section::Tasks && !state.block.rescue.is_empty() {
                    frame.enter(Section::Rescue);
                    return Failure::Rescued;
                }
                state.failed = true;
                if state.section < Section::Always && !state.block.always.is_empty() {
                    frame.enter(Section::Always);
                    return Failure::Cleaning;
                }
            }
            self.frames.pop();
        }
        Failure::Stopped
    }

    /// Moves to the next task that is to be run: into blocks, past what is not selected, out of what has ended.
    fn settle(&mut self, selected: &dyn Fn(&Task) -> bool) -> Moved {
        let mut moved = Moved::On;
        loop {
            let Some(frame) = self.frames.last_mut() else {
                return moved;
            };
            match frame.items.get(frame.index) {
                Some(Item::Task(task)) if selected(task) => return moved,
                Some(Item::Task(_)) => frame.index += 1,
                Some(Item::Block(block)) => {
                    let block = Arc::clone(block);
                    self.frames.push(Frame {
                        block: Some(BlockState {
                            block: Arc::clone(&block),
                            section: Section::Tasks,
                            failed: false,
                        }),
                        ..Frame::new(1, Arc::clone(&block.tasks))
                    });
                }
                None => match self.leave() {
                    Left::On => {}
                    Left::Failed => match self.unwind() {
                        Failure::Stopped => return Moved::Failed,
                        Failure::Rescued => moved = Moved::Rescued,
                        Failure::Cleaning => {}
                    },
                },
            }
        }
    }

    /// The top frame has ended.
    fn leave(&mut self) -> Left {
        let Some(frame) = self.frames.last_mut() else {
            return Left::On;
        };
        if let Some((ordinal, items)) = frame.following.pop_front() {
            (frame.ordinal, frame.items, frame.index) = (ordinal + 1, items, 0);
            return Left::On;
        }
        let failed = match &frame.block {
            Some(state) if state.section < Section::Always && !state.block.always.is_empty() => {
                frame.enter(Section::Always);
                return Left::On;
            }
            Some(state) => state.failed,
            None => false,
        };
        self.frames.pop();
        if failed {
            return Left::Failed;
        }
        // What has ended stood in the place of its parent's element.
        if let Some(parent) = self.frames.last_mut() {
            parent.index += 1;
        }
        Left::On
    }
}

enum Left {
    On,
    Failed,
}

impl Frame {
    fn new(ordinal: usize, items: Arc<[Item]>) -> Self {
        Self {
            items,
            index: 0,
            ordinal,
            following: VecDeque::new(),
            block: None,
        }
    }

    fn enter(&mut self, section: Section) {
        if let Some(state) = &mut self.block {
            state.section = section;
            self.items = match section {
                Section::Tasks => Arc::clone(&state.block.tasks),
                Section::Rescue => Arc::clone(&state.block.rescue),
                Section::Always => Arc::clone(&state.block.always),
            };
            self.ordinal = section as usize + 1;
            self.index = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;
    use crate::playbook::{Context, Loader, Places, Vocabulary};
    use crate::value::Value;
    use crate::yaml::{Mapping, Node};

    struct Anything;

    impl Vocabulary for Anything {
        fn modules(&self) -> Vec<&'static str> {
            vec!["debug", "fail"]
        }
        fn check_include(&self, _: &str, _: &Mapping) -> Result<(), Diagnostic> {
            Ok(())
        }
        fn lookups(&self) -> Vec<&'static str> {
            Vec::new()
        }
        fn value(&self, node: &Node, _: &Context) -> Result<Value, Diagnostic> {
            Ok(node.to_value())
        }
    }

    fn items(text: &str) -> Arc<[Item]> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("play.yml");
        let play = format!("- hosts: all\n  tasks:\n{text}");
        std::fs::write(&file, play).unwrap();
        let loader = Loader::new(Box::new(Anything), Places::default());
        let mut playbook = loader
            .playbook(&file)
            .unwrap_or_else(|error| panic!("{}", error.render(false)));
        playbook.plays.remove(0).tasks.into()
    }

    fn name(task: &Task) -> String {
        task.name().unwrap().to_value().to_string()
    }

    /// Runs a cursor; tasks whose names start with `bad` fail. Gives the names, and how it ended.
    fn walk(text: &str) -> String {
        let all = |_: &Task| true;
        let mut cursor = Cursor::new(items(text), &all);
        let mut seen = Vec::new();
        while let Some(task) = cursor.task().cloned() {
            seen.push(name(&task));
            if name(&task).starts_with("bad") {
                if cursor.fail(&all) == Failure::Stopped {
                    seen.push("STOPPED".to_owned());
                    break;
                }
            } else if cursor.advance(&all) == Moved::Failed {
                seen.push("STOPPED".to_owned());
                break;
            }
        }
        seen.join(" ")
    }

    fn block(tasks: &str, rescue: &str, always: &str) -> String {
        let list = |names: &str| {
            names
                .split_whitespace()
                .map(|name| format!("{{name: {name}, debug: }}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        format!(
            "  - block: [{}]\n    rescue: [{}]\n    always: [{}]\n  - {{name: after, debug: }}\n",
            list(tasks),
            list(rescue),
            list(always)
        )
    }

    #[test]
    fn blocks_rescue_and_clean_up() {
        assert_eq!(walk(&block("a b", "r", "z")), "a b z after");
        assert_eq!(walk(&block("a bad b", "r", "z")), "a bad r z after");
        assert_eq!(walk(&block("bad", "bad2", "z")), "bad bad2 z STOPPED");
        assert_eq!(walk(&block("bad", "", "z")), "bad z STOPPED");
        assert_eq!(walk(&block("bad", "", "")), "bad STOPPED");
        assert_eq!(walk(&block("a", "", "bad")), "a bad STOPPED");
    }

    #[test]
    fn an_outer_rescue_takes_what_an_inner_block_lets_through() {
        let text = "  - block:\n    - block: [{name: bad, debug: }]\n      always: [{name: z, debug: }]\n    rescue: [{name: r, debug: }]\n  - {name: after, debug: }\n";
        assert_eq!(walk(text), "bad z r after");
    }

    #[test]
    fn inclusions_come_before_what_follows_them() {
        let all = |_: &Task| true;
        let list = items("  - {name: inc, debug: }\n  - {name: after, debug: }\n");
        let included = items("  - {name: x, debug: }\n");
        let mut skipping = Cursor::new(Arc::clone(&list), &all);
        let mut including = Cursor::new(list, &all);
        skipping.advance(&all);
        including.include(vec![(0, Arc::clone(&included)), (1, included)], &all);
        let first = including.position();
        assert!(first < skipping.position());
        including.advance(&all);
        assert!(first < including.position() && including.position() < skipping.position());
        including.advance(&all);
        assert_eq!(including.position(), skipping.position());
    }
}
