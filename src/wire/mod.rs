//! What controller and agent say to each other, and how it is framed.
//!
//! The stream is a sequence of [`frame`]s in each direction; JSON bodies carry [`message`]s, raw bodies carry
//! file contents. Nothing here knows what a module or a playbook is: arguments and outcomes are plain
//! [`crate::value::Value`]s.
//!
//! ```text
//! controller                                   agent
//!     |  <- Hello {protocol, build, uid, ...}    |     said first, unasked: it ends the start-up
//!     |  Data (small contents that go along) ->  |     in one write with what follows
//!     |  Run {batch: calls...} ->                |     one message for any number of calls
//!     |  <- Sums, Ask {contents | sign}          |     only for what could not be sent ahead
//!     |  Data, Copy, Answer ->                   |
//!     |  <- Data                                 |     what a call reads out for the controller
//!     |  <- Data, Foreseen {changes, contents}   |     in a check: what the call would have changed
//!     |  <- Result {batch, index, outcome}       |     as each call ends
//!     |  <- Done {batch}                         |
//! ```
//!
//! Before the first frame a shell speaks: [`bootstrap`]. For another user the agent is the controller of a
//! child agent and passes frames on.
//!
//! Protocol versions: 1, the first; 2, checks share what they foresee; contents are asked for together, without the
//! chunks that are there already, compressed, and sent both ways.

pub mod bootstrap;
pub mod delta;
pub mod frame;
pub mod message;
pub mod pack;

/// Raised whenever a message changes in a way that an older peer would misread.
pub const PROTOCOL_VERSION: u32 = 2;
