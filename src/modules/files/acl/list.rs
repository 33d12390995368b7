//! An access control list: as the kernel keeps it in an extended attribute, as getfacl(1) prints it, and the rules by which
//! setfacl(1) changes it.
//!
//! After acl(5) and `linux/posix_acl_xattr.h`: a version, then tag, permissions and id of each entry, little-endian.

use std::collections::BTreeMap;

use crate::system::{Group, User};

const VERSION: u32 = 2;
const HEADER: usize = 4;
const ENTRY: usize = 8;

/// The id of entries that are nobody's in particular.
const NO_ID: u32 = u32::MAX;

/// Whom an entry is for, in the order in which the kernel wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    Owner,
    User(u32),
    OwningGroup,
    Group(u32),
    Mask,
    Other,
}

impl Tag {
    fn number(self) -> u16 {
        match self {
            Self::Owner => 0x01,
            Self::User(_) => 0x02,
            Self::OwningGroup => 0x04,
            Self::Group(_) => 0x08,
            Self::Mask => 0x10,
            Self::Other => 0x20,
        }
    }

    fn new(number: u16, id: u32) -> Option<Self> {
        Some(match number {
            0x01 => Self::Owner,
            0x02 => Self::User(id),
            0x04 => Self::OwningGroup,
            0x08 => Self::Group(id),
            0x10 => Self::Mask,
            0x20 => Self::Other,
            _ => return None,
        })
    }

    fn is_named(self) -> bool {
        matches!(self, Self::User(_) | Self::Group(_))
    }

    /// Whether the mask limits it.
    fn is_limited(self) -> bool {
        self.is_named() || self == Self::OwningGroup
    }
}

/// When the mask becomes the union of what it limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalculate {
    /// Unless it is the mask that is set.
    Default,
    Always,
    Never,
}

/// Permissions as a task gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    bits: u8,
    /// `X`: executable where somebody may execute it already, or it is a folder.
    execute_if_some: bool,
}

impl Permissions {
    /// `rwX`, `r-x`, `5`; none if it is no such thing.
    pub fn parse(text: &str) -> Option<Self> {
        let mut permissions = Self {
            bits: 0,
            execute_if_some: false,
        };
        if let Ok(digit @ 0..=7) = text.parse() {
            permissions.bits = digit;
            return Some(permissions);
        }
        for letter in text.chars() {
            match letter {
                'r' => permissions.bits |= 4,
                'w' => permissions.bits |= 2,
                'x' => permissions.bits |= 1,
                'X' => permissions.execute_if_some = true,
                '-' => {}
                _ => return None,
            }
        }
        (!text.is_empty()).then_some(permissions)
    }
}

/// A list; without entries where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List(BTreeMap<Tag, u8>);

impl List {
    /// What the permission bits alone say.
    pub fn of_mode(mode: u32) -> Self {
        let bits = |shift: u32| u8::try_from(mode >> shift & 0o7).unwrap_or_default();
        Self(BTreeMap::from([
            (Tag::Owner, bits(6)),
            (Tag::OwningGroup, bits(3)),
            (Tag::Other, bits(0)),
        ]))
    }

    /// The permission bits that go with it.
    pub fn mode(&self) -> u32 {
        let bits = |tag: Tag| self.0.get(&tag).copied().unwrap_or_default();
        let group = self.0.get(&Tag::Mask).copied();
        let group = group.unwrap_or_else(|| bits(Tag::OwningGroup));
        u32::from(bits(Tag::Owner)) << 6 | u32::from(group) << 3 | u32::from(bits(Tag::Other))
    }

    /// None where the attribute is of another version, or broken.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (header, entries) = bytes.split_first_chunk::<HEADER>()?;
        let (entries, rest) = entries.as_chunks::<ENTRY>();
        if u32::from_le_bytes(*header) != VERSION || !rest.is_empty() {
            return None;
        }
        let entry = |[tag_0, tag_1, bits, _, id @ ..]: &[u8; ENTRY]| {
            let tag = Tag::new(u16::from_le_bytes([*tag_0, *tag_1]), u32::from_le_bytes(*id))?;
            Some((tag, bits & 0o7))
        };
        entries.iter().map(entry).collect::<Option<_>>().map(Self)
    }

    /// Without entries the kernel takes it for none at all.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, bits) in &self.0 {
            let id = match tag {
                Tag::User(id) | Tag::Group(id) => *id,
                _ => NO_ID,
            };
            bytes.extend(tag.number().to_le_bytes());
            bytes.extend(u16::from(*bits).to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    /// Sets an entry; `base` has the entries that every list needs and this one may lack.
    pub fn set(
        &mut self,
        tag: Tag,
        permissions: Permissions,
        directory: bool,
        base: &Self,
        recalculate: Recalculate,
    ) {
        for needed in [Tag::Owner, Tag::OwningGroup, Tag::Other] {
            if let Some(bits) = base.0.get(&needed) {
                self.0.entry(needed).or_insert(*bits);
            }
        }
        let somebody_executes = self.0.values().any(|bits| bits & 1 != 0);
        let execute = permissions.execute_if_some && (directory || somebody_executes);
        self.0.insert(tag, permissions.bits | u8::from(execute));
        let mask = match (recalculate, tag) {
            (Recalculate::Default, Tag::Mask) | (Recalculate::Never, _) => false,
            (Recalculate::Default | Recalculate::Always, _) => true,
        };
        self.complete(mask);
    }

    /// Removes an entry, if it is there; says why it cannot.
    pub fn remove(&mut self, tag: Tag, recalculate: Recalculate) -> Result<(), &'static str> {
        if !self.0.contains_key(&tag) {
            return Ok(());
        }
        match tag {
            Tag::Owner | Tag::OwningGroup | Tag::Other => {
                return Err("the entries of owner, owning group and others cannot be removed");
            }
            Tag::Mask if self.0.keys().any(|tag| tag.is_named()) => {
                return Err("the mask cannot be removed while there are entries that it limits");
            }
            _ => self.0.remove(&tag),
        };
        self.complete(recalculate != Recalculate::Never);
        Ok(())
    }

    /// Makes the mask that named entries need, and where asked for lets it be what they are.
    fn complete(&mut self, recalculate: bool) {
        if self.0.keys().any(|tag| tag.is_named()) && !self.0.contains_key(&Tag::Mask) {
            let group = self.0.get(&Tag::OwningGroup).copied().unwrap_or_default();
            self.0.insert(Tag::Mask, group);
        }
        let union = self
            .0
            .iter()
            .filter(|(tag, _)| tag.is_limited())
            .fold(0, |union, (_, bits)| union | bits);
        if let Some(mask) = self.0.get_mut(&Tag::Mask).filter(|_| recalculate) {
            *mask = union;
        }
    }

    /// As getfacl prints it, with what the mask leaves of an entry where that is less.
    pub fn lines(&self, prefix: &str, users: &[User], groups: &[Group]) -> Vec<String> {
        let mask = self.0.get(&Tag::Mask).copied().unwrap_or(0o7);
        let user = |id: u32| {
            users
                .iter()
                .find(|user| user.uid == id)
                .map(|user| user.name.clone())
        };
        let group = |id: u32| {
            groups
                .iter()
                .find(|group| group.gid == id)
                .map(|group| group.name.clone())
        };
        let line = |(tag, bits): (&Tag, &u8)| {
            let who = match *tag {
                Tag::Owner => "user:".to_owned(),
                Tag::User(id) => format!("user:{}", user(id).unwrap_or_else(|| id.to_string())),
                Tag::OwningGroup => "group:".to_owned(),
                Tag::Group(id) => format!("group:{}", group(id).unwrap_or_else(|| id.to_string())),
                Tag::Mask => "mask:".to_owned(),
                Tag::Other => "other:".to_owned(),
            };
            let effective = if tag.is_limited() && bits & !mask != 0 {
                format!("\t#effective:{}", letters(bits & mask))
            } else {
                String::new()
            };
            format!("{prefix}{who}:{}{effective}", letters(*bits))
        };
        self.0.iter().map(line).collect()
    }
}

fn letters(bits: u8) -> String {
    [(4, 'r'), (2, 'w'), (1, 'x')]
        .map(|(bit, letter)| if bits & bit == 0 { '-' } else { letter })
        .iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(text: &str) -> Permissions {
        Permissions::parse(text).unwrap()
    }

    fn told(list: &List) -> String {
        list.lines("", &[], &[]).join(" ").replace('\t', "")
    }

    #[test]
    fn bytes_are_the_kernels() {
        // Of `setfacl -m u:1:rw FILE`, the file's mode being 0640.
        let bytes: Vec<u8> = [
            [2, 0, 0, 0].as_slice(),
            &[1, 0, 6, 0, 255, 255, 255, 255],
            &[2, 0, 6, 0, 1, 0, 0, 0],
            &[4, 0, 4, 0, 255, 255, 255, 255],
            &[16, 0, 6, 0, 255, 255, 255, 255],
            &[32, 0, 0, 0, 255, 255, 255, 255],
        ]
        .concat();
        let mut list = List::of_mode(0o640);
        list.set(
            Tag::User(1),
            permissions("rw"),
            false,
            &List::default(),
            Recalculate::Default,
        );
        assert_eq!(list.to_bytes(), bytes);
        assert_eq!(List::from_bytes(&bytes), Some(list.clone()));
        assert_eq!(list.mode(), 0o660);
        assert_eq!(List::from_bytes(&[2, 0, 0, 0]), Some(List::default()));
        for broken in [&bytes[..7], &[1, 0, 0, 0], &[]] {
            assert_eq!(List::from_bytes(broken), None);
        }
    }

    #[test]
    fn the_mask_follows_setfacls_rules() {
        let none = List::default();
        let mut list = List::of_mode(0o640);
        list.set(
            Tag::User(1),
            permissions("rw"),
            false,
            &none,
            Recalculate::Default,
        );
        assert_eq!(
            told(&list),
            "user::rw- user:1:rw- group::r-- mask::rw- other::---"
        );
        list.set(Tag::Mask, permissions("r"), false, &none, Recalculate::Default);
        assert_eq!(
            told(&list),
            "user::rw- user:1:rw-#effective:r-- group::r-- mask::r-- other::---"
        );
        list.set(
            Tag::Group(4),
            permissions("rwx"),
            false,
            &none,
            Recalculate::Never,
        );
        assert_eq!(
            told(&list),
            "user::rw- user:1:rw-#effective:r-- group::r-- group:4:rwx#effective:r-- mask::r-- other::---"
        );
        list.remove(Tag::Group(4), Recalculate::Default).unwrap();
        assert_eq!(
            told(&list),
            "user::rw- user:1:rw- group::r-- mask::rw- other::---"
        );
        assert!(list.clone().remove(Tag::Mask, Recalculate::Default).is_err());
        assert!(list.clone().remove(Tag::Owner, Recalculate::Default).is_err());
        list.remove(Tag::User(1), Recalculate::Default).unwrap();
        assert_eq!(told(&list), "user::rw- group::r-- mask::r-- other::---");
        list.remove(Tag::Mask, Recalculate::Default).unwrap();
        assert_eq!(list, List::of_mode(0o640));
    }

    #[test]
    fn a_default_list_begins_as_a_copy() {
        let mut list = List::default();
        list.set(
            Tag::Group(4),
            permissions("rX"),
            true,
            &List::of_mode(0o750),
            Recalculate::Default,
        );
        assert_eq!(
            told(&list),
            "user::rwx group::r-x group:4:r-x mask::r-x other::---"
        );
    }

    #[test]
    fn permissions_are_letters_or_a_digit() {
        let mut list = List::of_mode(0o600);
        for (text, told) in [
            ("rX", "r--"),
            ("7", "rwx"),
            ("-", "---"),
            ("w-x", "-wx"),
            ("X", "--x"),
        ] {
            list.set(
                Tag::Other,
                permissions(text),
                false,
                &List::default(),
                Recalculate::Default,
            );
            assert_eq!(list.lines("", &[], &[])[2], format!("other::{told}"), "{text}");
            if text != "w-x" {
                list = List::of_mode(0o600);
            }
        }
        for text in ["", "8", "rq", "77"] {
            assert_eq!(Permissions::parse(text), None, "{text}");
        }
    }
}
