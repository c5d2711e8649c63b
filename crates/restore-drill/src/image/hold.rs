//! What an image can hold of an entry (docs/formats/ice.md); the manifest has the rest.

use formats::{Kind, Meta};

use super::talk::Kind as Seen;

/// Symlink targets of this length and more are left out of an image.
const TARGET_BYTES_LONG: usize = 256;

/// False for what is missing in an image by right.
pub(crate) fn holds(kind: &Kind) -> bool {
    match kind {
        Kind::Symlink { target } => target.len() < TARGET_BYTES_LONG,
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            packed(*major, *minor).is_some()
        }
        Kind::Socket => false,
        Kind::File { .. } | Kind::Folder | Kind::Fifo => true,
    }
}

/// The mtime as an image holds it.
pub(crate) fn clamped(meta: &Meta) -> i64 {
    meta.mtime.seconds.clamp(0, i64::from(u32::MAX))
}

/// True if `seen` is what `expected` is, as far as it can be told without reading a content.
pub(crate) fn is_same(expected: &Kind, seen: &Seen) -> bool {
    match (expected, seen) {
        (Kind::Folder, Seen::Folder) | (Kind::Fifo, Seen::Fifo) | (Kind::Socket, Seen::Socket) => true,
        (Kind::File { size, .. }, Seen::File { size: found }) => size == found,
        (Kind::Symlink { target }, Seen::Symlink { target: found }) => target == found,
        (Kind::CharDevice { major, minor }, Seen::CharDevice(found))
        | (Kind::BlockDevice { major, minor }, Seen::BlockDevice(found)) => {
            packed(*major, *minor) == Some(*found)
        }
        _ => false,
    }
}

/// A device number as Linux and squashfs pack it into 32 bits; none if it does not fit.
fn packed(major: u32, minor: u32) -> Option<u32> {
    (major < 1 << 12 && minor < 1 << 20).then_some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_packed_as_linux_does() {
        assert_eq!(packed(8, 1), Some(0x801));
        assert_eq!(packed(0xfff, 0xfffff), Some(0xffff_ffff));
        assert_eq!(packed(1, 0x100), Some(0x0010_0100));
        assert_eq!(packed(1 << 12, 0), None);
        assert_eq!(packed(0, 1 << 20), None);
    }
}
