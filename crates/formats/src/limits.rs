//! The limits on what comes from outside, in one place; those of single JSON records stand beside them. Units are the last word of each name.

/// Longest host id.
pub const HOST_ID_BYTES: usize = 63;
/// Name of an account: what Linux takes.
pub const ACCOUNT_NAME_BYTES: usize = 32;
/// Longest path of an entry.
pub const PATH_BYTES: usize = 32_767;
/// Longest single component of a path.
pub const COMPONENT_BYTES: usize = 255;
/// Deepest path.
pub const PATH_COMPONENTS: usize = 4_096;
/// Longest symlink target (the kernel's own limit).
pub const TARGET_BYTES: usize = 4_095;
/// Most attributes of one entry.
pub const ATTRIBUTES: usize = 256;
/// Longest attribute name.
pub const ATTRIBUTE_NAME_BYTES: usize = 255;
/// Longest attribute value (the kernel's own limit for extended attributes).
pub const ATTRIBUTE_VALUE_BYTES: usize = 65_536;
/// Longest encoded entry.
pub const ENTRY_BYTES: usize = 512 * 1024;
/// What any entry is charged with in each snapshot: a name in a folder and a line in the manifest of usual length. Longer ones are charged with all
/// they hold.
pub const FLAT_ENTRY_BYTES: u64 = 128;
/// Largest expanded block, and so the most a decoder holds at once.
pub const BLOCK_BYTES: usize = 1024 * 1024;
/// Longest payload of a frame: a block that did not shrink, and its head.
pub const FRAME_BYTES: usize = BLOCK_BYTES + 64;
/// Most frames of a push file: 256 TiB of full blocks, and a bound on what tiny frames can cost.
pub const FRAMES: u64 = 1 << 28;
/// Longest time zone name.
pub const ZONE_BYTES: usize = 64;
/// Most verdicts that a jail publishes.
pub const VERDICTS: usize = 64;
/// Most contents that a server asks for again.
pub const WANTED: usize = 4_096;
/// Most contents in one offer.
pub const OFFER: usize = 2_048;
/// Most queued pushes that a base message names.
pub const QUEUED: usize = 64;
/// Most emergencies of one host in 30 days.
pub const EMERGENCIES: usize = 16;
/// Longest published state.
pub const PUBLISHED_BYTES: usize = 256 * 1024;
/// Longest line of a log or record that says no other.
pub const LINE_BYTES: usize = 65_536;
