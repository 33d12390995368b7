//! What `file` tells, and how it is used: the part of its table that is for readers.

use crate::modules::Return;

pub const RETURNS: &[Return] = &[
    Return::new("path", "str", "what is managed").when("state is absent, directory or file"),
    Return::new("dest", "str", "what is managed").when("state is hard, link or touch"),
    Return::new("src", "str", "what a link points to").when("state is hard or link"),
    Return::new(
        "state",
        "str",
        "what it is: `absent`, `directory`, `file`, `hard`, `link`",
    ),
    Return::new("mode", "str", "permission bits, octal"),
    Return::new("owner", "str", "its user"),
    Return::new("group", "str", "its group"),
    Return::new("uid", "int", "its user's number"),
    Return::new("gid", "int", "its group's number"),
    Return::new("size", "int", "bytes"),
    Return::new("secontext", "str", "its SELinux label").when("there is SELinux"),
];

pub const EXAMPLE: &str = "- file:\n    path: /srv/app/releases\n    state: directory\n    owner: app\n    mode: '0750'\n- file:\n    path: /srv/app/current\n    src: releases/1.2\n    state: link\n- file:\n    path: /srv/app/tmp\n    state: absent\n";
