//! The types of file systems that can be made: by which program, with which options, and how they grow.

/// What is known of one type.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    /// As blkid(8) calls it.
    pub signature: &'static str,
    /// Makes it, over whatever is there.
    pub make: &'static [&'static str],
    pub uuid: Uuid,
    pub growth: Option<Growth>,
}

/// How a UUID of one's own gets there.
#[derive(Debug, Clone, Copy)]
pub struct Uuid {
    /// Options of the program that makes it, the value after the first one; others of the same meaning follow.
    pub made_with: &'static [&'static str],
    pub extra: &'static [&'static str],
    /// On one that is there; `UUID` stands for the value.
    pub changed_with: &'static [&'static str],
}

#[derive(Debug, Clone, Copy)]
pub struct Growth {
    pub command: &'static [&'static str],
    /// The program wants the mount point instead of the device.
    pub mounted: bool,
    pub size: Size,
}

/// Where the present size is read.
#[derive(Debug, Clone, Copy)]
pub enum Size {
    /// `LABEL: NUMBER` lines of a program, the numbers multiplied.
    Labels(&'static [&'static str], &'static [&'static str]),
    Xfs,
    Btrfs,
    PhysicalVolume,
}

const NO_UUID: Uuid = Uuid {
    made_with: &[],
    extra: &[],
    changed_with: &[],
};
const EXT_UUID: Uuid = Uuid {
    made_with: &["-U"],
    extra: &[],
    changed_with: &["tune2fs", "-U", "UUID"],
};
const EXT_GROWTH: Option<Growth> = Some(Growth {
    command: &["resize2fs"],
    mounted: false,
    size: Size::Labels(&["tune2fs", "-l"], &["Block count", "Block size"]),
});

const fn plain(name: &'static str, signature: &'static str, make: &'static [&'static str]) -> Kind {
    Kind {
        name,
        signature,
        make,
        uuid: NO_UUID,
        growth: None,
    }
}

const fn ext(name: &'static str, signature: &'static str, make: &'static [&'static str]) -> Kind {
    Kind {
        uuid: EXT_UUID,
        growth: EXT_GROWTH,
        ..plain(name, signature, make)
    }
}

pub const KINDS: &[Kind] = &[
    Kind {
        growth: Some(Growth {
            command: &["btrfs", "filesystem", "resize", "max"],
            mounted: true,
            size: Size::Btrfs,
        }),
        ..plain("btrfs", "btrfs", &["mkfs.btrfs", "-f"])
    },
    ext("ext2", "ext2", &["mkfs.ext2", "-F"]),
    ext("ext3", "ext3", &["mkfs.ext3", "-F"]),
    ext("ext4", "ext4", &["mkfs.ext4", "-F"]),
    ext("ext4dev", "ext4", &["mkfs.ext4", "-F"]),
    Kind {
        growth: Some(Growth {
            command: &["resize.f2fs"],
            mounted: false,
            size: Size::Labels(&["dump.f2fs"], &["Info: sector size", "Info: total FS sectors"]),
        }),
        ..plain("f2fs", "f2fs", &["mkfs.f2fs", "-f"])
    },
    Kind {
        uuid: Uuid {
            made_with: &["-u", "--uuid"],
            extra: &["--norestorefile"],
            changed_with: &["pvchange", "-u"],
        },
        growth: Some(Growth {
            command: &["pvresize"],
            mounted: false,
            size: Size::PhysicalVolume,
        }),
        ..plain("lvm", "LVM2_member", &["pvcreate", "-f"])
    },
    plain("ocfs2", "ocfs2", &["mkfs.ocfs2", "-Fx"]),
    plain("reiserfs", "reiserfs", &["mkfs.reiserfs", "-q"]),
    plain("swap", "swap", &["mkswap", "-f"]),
    Kind {
        growth: Some(Growth {
            command: &["fatresize", "-s", "max"],
            mounted: false,
            size: Size::Labels(&["fatresize", "--info"], &["Size"]),
        }),
        ..plain("vfat", "vfat", &["mkfs.vfat"])
    },
    Kind {
        uuid: Uuid {
            made_with: &[],
            extra: &[],
            changed_with: &["xfs_admin", "-U", "UUID"],
        },
        growth: Some(Growth {
            command: &["xfs_growfs"],
            mounted: true,
            size: Size::Xfs,
        }),
        ..plain("xfs", "xfs", &["mkfs.xfs", "-f"])
    },
];

/// The names, for the table of arguments.
pub const NAMES: &[&str] = &[
    "btrfs", "ext2", "ext3", "ext4", "ext4dev", "f2fs", "lvm", "ocfs2", "reiserfs", "swap", "vfat", "xfs",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_table() {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        assert_eq!(names, NAMES);
    }
}
