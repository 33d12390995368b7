//! Sections of distribution's configuration that this registry does not have.

use super::key::Section;

pub const SECTION: Section = Section {
    without_effect: &[
        ("redis", "nothing is kept in Redis"),
        ("reporting", "errors are in the log, and sent nowhere"),
        ("compatibility", "manifests of schema 1 are not served"),
        (
            "validation.enabled",
            "manifests are always checked against the specification",
        ),
        (
            "validation.disabled",
            "manifests are always checked against the specification",
        ),
    ],
    refused: &[
        ("middleware", "there is nothing to plug in"),
        ("policy", "classes of repositories are not told apart"),
        (
            "validation.manifests",
            "manifests are checked against the specification only",
        ),
    ],
    ..Section::EMPTY
};
