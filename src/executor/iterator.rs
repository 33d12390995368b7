//! Which task a host runs next: a pure state machine, one cursor a host.
//!
//! A cursor is a stack of frames: lists of tasks, blocks with the section they are in, and handlers while they
//! are flushed. It runs nothing, knows no host, and can be asked at any time what comes next.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::playbook::{Block, Item, Meta, Task, What};

/// What decides which tasks a host runs.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// By tags, and where the run is to start.
    pub selected: &'a dyn Fn(&Task) -> bool,
    /// The handlers to run, by their place in the play's list.
    pub notified: &'a BTreeSet<usize>,
}

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
    kind: FrameKind,
}

#[derive(Debug)]
enum FrameKind {
    List,
    Block(BlockState),
    /// The play's handlers, of which those run that the host has notified.
    Handlers,
}

#[derive(Debug)]
struct BlockState {
    block: Arc<Block>,
    section: Section,
    /// A task has failed and nothing has rescued it: the host stops after `always`.
    failed: bool,
}

/// What happened when a cursor moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// There may be more to do.
    On,
    /// A failure that nothing rescued: the host stops here.
    Stopped,
}

/// One host's way through a list of tasks.
#[derive(Debug)]
pub struct Cursor {
    frames: Vec<Frame>,
}

impl Cursor {
    pub fn new(items: Arc<[Item]>) -> Self {
        Self {
            frames: vec![Frame::new(0, items)],
        }
    }

    /// The task to run, unless the end is reached; after [`Self::settle`].
    pub fn task(&self) -> Option<&Arc<Task>> {
        let frame = self.frames.last()?;
        match frame.items.get(frame.index)? {
            Item::Task(task) => Some(task),
            Item::Block(_) => None,
        }
    }

    /// Which of two cursors of one play is at the earlier place: frame by frame the section or inclusion, then
    /// the index in it.
    pub fn order(&self, other: &Self) -> Ordering {
        let place = |frame: &Frame| (frame.ordinal, frame.index);
        self.frames.iter().map(place).cmp(other.frames.iter().map(place))
    }

    /// The handler that the task is, by its place in the play's list.
    pub fn handler(&self) -> Option<usize> {
        let frame = self.frames.last()?;
        matches!(frame.kind, FrameKind::Handlers).then_some(frame.index)
    }

    /// Whether the task is a handler, or included by one.
    pub fn in_handlers(&self) -> bool {
        self.frames
            .iter()
            .any(|frame| matches!(frame.kind, FrameKind::Handlers))
    }

    /// Whether a failure of the task would be rescued.
    pub fn is_rescued(&self) -> bool {
        self.frames.iter().any(|frame| match &frame.kind {
            FrameKind::Block(state) => state.section == Section::Tasks && !state.block.rescue.is_empty(),
            _ => false,
        })
    }

    /// Whether the end has not been reached yet.
    pub fn is_active(&self) -> bool {
        !self.frames.is_empty()
    }

    /// The task has ended well, or was skipped. The cursor stays in its block until it is settled: a failure of
    /// another host may still concern it there.
    pub fn advance(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.index += 1;
        }
    }

    /// The task has failed: goes on in the nearest `rescue` or `always`.
    pub fn fail(&mut self) -> Moved {
        self.unwind()
    }

    /// Forgets failures: after the `always` that it is in, the host goes on.
    pub fn forgive(&mut self) {
        for frame in &mut self.frames {
            if let FrameKind::Block(state) = &mut frame.kind {
                state.failed = false;
            }
        }
    }

    /// Runs lists of tasks in place of the current task, one after the other, each with its place in the order.
    pub fn include(&mut self, lists: Vec<(usize, Arc<[Item]>)>) {
        let mut lists = VecDeque::from(lists);
        match lists.pop_front() {
            Some((ordinal, items)) => self.frames.push(Frame {
                following: lists,
                ..Frame::new(ordinal + 1, items)
            }),
            None => self.advance(),
        }
    }

    /// Runs the notified ones of `handlers` in place of the current task.
    pub fn flush(&mut self, handlers: Arc<[Item]>) {
        self.frames.push(Frame {
            kind: FrameKind::Handlers,
            ..Frame::new(1, handlers)
        });
    }

    /// Drops everything that is left.
    pub fn end(&mut self) {
        self.frames.clear();
    }

    /// Drops what is left of the role that the current task belongs to, but for its very end.
    pub fn end_role(&mut self) {
        self.advance();
        self.settle(Choice {
            selected: &|task| task.what == What::Meta(Meta::RoleComplete),
            notified: &BTreeSet::new(),
        });
    }

    /// Goes to the nearest block that has something for a failure.
    fn unwind(&mut self) -> Moved {
        while let Some(frame) = self.frames.last_mut() {
            if let FrameKind::Block(state) = &mut frame.kind {
                if state.section == Section::Tasks && !state.block.rescue.is_empty() {
                    frame.enter(Section::Rescue);
                    return Moved::On;
                }
                state.failed = true;
                if state.section < Section::Always && !state.block.always.is_empty() {
                    frame.enter(Section::Always);
                    return Moved::On;
                }
            }
            self.frames.pop();
        }
        Moved::Stopped
    }

    /// Moves to the next task that is to be run: into blocks, past what is not chosen, out of what has ended.
    pub fn settle(&mut self, choice: Choice<'_>) -> Moved {
        loop {
            let in_handlers = self.in_handlers();
            let Some(frame) = self.frames.last_mut() else {
                return Moved::On;
            };
            match frame.items.get(frame.index) {
                Some(Item::Task(task)) => {
                    let chosen = match frame.kind {
                        FrameKind::Handlers => choice.notified.contains(&frame.index),
                        // Tags do not select handlers, nor what they include.
                        _ => in_handlers || (choice.selected)(task),
                    };
                    if chosen {
                        return Moved::On;
                    }
                    frame.index += 1;
                }
                Some(Item::Block(block)) => {
                    let block = Arc::clone(block);
                    self.frames.push(Frame {
                        kind: FrameKind::Block(BlockState {
                            block: Arc::clone(&block),
                            section: Section::Tasks,
                            failed: false,
                        }),
                        ..Frame::new(1, Arc::clone(&block.tasks))
                    });
                }
                None => {
                    if self.leave() == Left::Failed && self.unwind() == Moved::Stopped {
                        return Moved::Stopped;
                    }
                }
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
        let failed = match &frame.kind {
            FrameKind::Block(state) if state.section < Section::Always && !state.block.always.is_empty() => {
                frame.enter(Section::Always);
                return Left::On;
            }
            FrameKind::Block(state) => state.failed,
            _ => false,
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

#[derive(PartialEq, Eq)]
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
            kind: FrameKind::List,
        }
    }

    fn enter(&mut self, section: Section) {
        if let FrameKind::Block(state) = &mut self.kind {
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
        fn is_action(&self, _name: &str) -> bool {
            false
        }

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

    /// Runs tasks; those whose names start with `bad` fail. Gives the names, and how it ended.
    fn walk(text: &str) -> String {
        walk_with(items(text), &BTreeSet::new(), None)
    }

    fn all(notified: &BTreeSet<usize>) -> Choice<'_> {
        Choice {
            selected: &|_| true,
            notified,
        }
    }

    /// As [`walk`]; a task called `flush` flushes `handlers`.
    fn walk_with(items: Arc<[Item]>, notified: &BTreeSet<usize>, handlers: Option<&Arc<[Item]>>) -> String {
        let mut cursor = Cursor::new(items);
        let mut moved = cursor.settle(all(notified));
        let mut seen = Vec::new();
        while let Some(task) = cursor.task().cloned().filter(|_| moved == Moved::On) {
            seen.push(name(&task));
            match (name(&task).as_str(), &handlers) {
                ("flush", Some(handlers)) => cursor.flush(Arc::clone(handlers)),
                (name, _) if name.starts_with("bad") => moved = cursor.fail(),
                _ => cursor.advance(),
            }
            if moved == Moved::On {
                moved = cursor.settle(all(notified));
            }
        }
        if moved == Moved::Stopped {
            seen.push("STOPPED".to_owned());
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
        let none = BTreeSet::new();
        let list = items("  - {name: inc, debug: }\n  - {name: after, debug: }\n");
        let included = items("  - {name: x, debug: }\n");
        let mut skipping = Cursor::new(Arc::clone(&list));
        let mut including = Cursor::new(list);
        skipping.advance();
        skipping.settle(all(&none));
        including.include(vec![(0, Arc::clone(&included)), (1, included)]);
        for _ in 0..2 {
            including.settle(all(&none));
            assert_eq!(including.order(&skipping), Ordering::Less);
            including.advance();
        }
        including.settle(all(&none));
        assert_eq!(including.order(&skipping), Ordering::Equal);
    }

    #[test]
    fn a_host_is_in_its_block_until_it_goes_on() {
        let none = BTreeSet::new();
        let mut cursor = Cursor::new(items(&block("a", "r", "")));
        cursor.settle(all(&none));
        cursor.advance();
        assert_eq!(cursor.fail(), Moved::On);
        cursor.settle(all(&none));
        assert_eq!(name(cursor.task().unwrap()), "r");
    }

    #[test]
    fn handlers_run_in_place_of_the_flush_and_their_failure_is_the_flush_s() {
        let handlers = items("  - {name: h0, debug: }\n  - {name: bad1, debug: }\n  - {name: h2, debug: }\n");
        let text =
            "  - block: [{name: flush, debug: }, {name: b, debug: }]\n    rescue: [{name: r, debug: }]\n";
        let walk = |notified: &[usize]| {
            let notified = notified.iter().copied().collect();
            walk_with(items(text), &notified, Some(&handlers))
        };
        assert_eq!(walk(&[]), "flush b");
        assert_eq!(walk(&[0, 2]), "flush h0 h2 b");
        assert_eq!(walk(&[0, 1, 2]), "flush h0 bad1 r");
    }

    #[test]
    fn a_host_that_is_forgiven_goes_on() {
        let none = BTreeSet::new();
        let mut cursor = Cursor::new(items(&block("bad", "", "z")));
        cursor.settle(all(&none));
        assert_eq!(cursor.fail(), Moved::On);
        cursor.settle(all(&none));
        cursor.forgive();
        cursor.advance();
        assert_eq!(cursor.settle(all(&none)), Moved::On);
        assert_eq!(name(cursor.task().unwrap()), "after");
    }
}
