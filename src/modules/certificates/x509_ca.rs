//! `x509_ca`: a certificate authority whose key stays on the controller. A module of our own.
//!
//! Only the description is here, so that the static check, the documentation and the controller's action
//! read one table; the work is [`crate::certificate::folder`]'s, and never a target's.

use crate::modules::{Arg, Return, Spec};

pub const SPEC: Spec = Spec {
    name: "x509_ca",
    summary: "Keep a certificate authority on the controller",
    args: &[
        Arg::str("name")
            .required()
            .doc("The name that x509_certificate's `authority` refers to."),
        Arg::path("path")
            .required()
            .doc("Folder on the controller for ca.key (0600) and ca.crt."),
        Arg::str("common_name").doc("The authority's own name; `name` unless given."),
        Arg::int("valid_days")
            .default("3650")
            .doc("Days for which a new authority is good."),
    ],
    returns: &[
        Return::new("name", "str", "the authority"),
        Return::new("path", "str", "its folder on the controller"),
        Return::new(
            "certificate",
            "str",
            "its certificate as PEM; empty where a check predicts it",
        ),
    ],
    example: "\
- x509_ca:
    name: lab
    path: pki/lab
    common_name: Lab authority
",
    free_form: None,
    rules: &[],
};
