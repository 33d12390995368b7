//! What modules do to real hosts: machines of the lab (`tests/lab`), one with `regdeploy` and without Python, one with
//! ansible-core.
//!
//! [`case`] reads what is written in `cases/` (see the README), [`outcome`] says what came of it. What needs the
//! lab is below [`lab`].

mod case;
mod lab;
mod outcome;
