//! What `file` tells, and how it is used: the part of its table that is for readers.

use crate::modules::Return;
use crate::modules::files::attributes;

pub const RETURNS: &[Return] = &[
    Return::new("path", "str", "what is managed").when("state is absent, directory or file"),
    Return::new("dest", "str", "what is managed").when("state is hard, link or touch"),
    Return::new("src", "str", "what a link points to").when("state is hard or link"),
    Return::new(
        "state",
        "str",
        "what it is: `absent`, `directory`, `file`, `hard`, `link`",
    ),
    attributes::MODE,
    attributes::OWNER,
    attributes::GROUP,
    attributes::UID,
    attributes::GID,
    attributes::SIZE,
    attributes::LABEL,
];

pub const EXAMPLE: &str = "- file:\n    path: /srv/app/releases\n    state: directory\n    owner: app\n    mode: '0750'\n- file:\n    path: /srv/app/current\n    src: releases/1.2\n    state: link\n- file:\n    path: /srv/app/tmp\n    state: absent\n";
